"""`interlock judge --set` takes gates and nothing else."""

import pytest

from interlock.commands.records import judge
from interlock.errors import UsageError


@pytest.mark.parametrize("override", ["lane.optimizer.lr=0.1", "+lane.gatesx=1", "lane=other", "~lane.model", "", "="])
def test_other_keys_are_refused_by_name(tmp_path, override):
    with pytest.raises(UsageError, match="only gates") as caught:
        judge(tmp_path, "a", ["lane.gates.a.target=1", override], as_json=False)
    assert caught.value.key == override.lstrip("+~").partition("=")[0]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("override", ["lane.gates.a.target=1", "+lane.gates.b={}", "~lane.gates.a", "++lane.gates={}"])
def test_gates_are_taken(tmp_path, override):
    with pytest.raises(UsageError, match="no such run"):
        judge(tmp_path, "a", [override], as_json=False)
