"""`registry:LANE@production` becomes a run id while composing, or is refused by name."""

from pathlib import Path

import pytest

from interlock.config.compose import compose_lane
from interlock.config.params import composed_text
from interlock.config.validate import validate
from interlock.errors import ConfigError
from interlock.registry.events import Proposal, append_new

CONF = Path(__file__).resolve().parents[3] / "conf"
KEY = "lane.gates.over_base.baseline_run"
RUNS = {"old": "a" * 16, "new": "0123456789012345"}


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("INTERLOCK_HOME", str(tmp_path))
    return tmp_path


def register(home, name, *, lane="toy", kind="toy"):
    shared = {"model_type": kind, "dataset": "d", "git_commit": "", "seed": 1, "created_at": 1}
    archived = {**shared, "lane": lane, "export": "completed", "card_sha256": "0" * 64}
    model = {**shared, "run_id": RUNS[name], "path": "p", "hyperparameters": {}, "metrics": {}, "sha256": "0" * 64}
    append_new(home, [Proposal(kind="run_archived", subject=RUNS[name], body=archived)])
    append_new(home, [Proposal(kind="model_registered", subject=name, body=model)])


def promote(home, name, *, to="production", lane="toy"):
    body = {
        "lane": lane, "before": "candidate", "to": to, "by": "Ada", "reason": "best", "run_id": RUNS[name],
        "judgement_id": "0" * 64, "sha256": "0" * 64, "replaces": [],
    }  # fmt: skip
    append_new(home, [Proposal(kind="promoted", subject=name, body=body)])


def composed(value):
    return validate(compose_lane(CONF, ["lane=toy", f"{KEY}={value}"]), subject="lane toy")


def pinned(value):
    return composed(value).lane.gates["over_base"].baseline_run


def refusal(value):
    with pytest.raises(ConfigError) as caught:
        composed(value)
    (fault,) = caught.value.faults
    assert (fault.key, fault.source) == (KEY, f"override {KEY}={value}")
    return fault


class TestRefused:
    @pytest.mark.parametrize("stage", ["production", "staging"])
    def test_a_stage_that_nobody_holds(self, home, stage):
        register(home, "old")
        fault = refusal(f"registry:toy@{stage}")
        assert fault.problem == (f"no model of toy is in {stage}; set it to null, or interlock registry promote one")

    @pytest.mark.parametrize(
        "value",
        ["registry:toy", "registry:toy@candidate", "registry:toy@archived", "registry:@production", "registry:"],
    )
    def test_what_names_no_held_stage(self, home, value):
        assert refusal(value).problem.startswith("must be a run id, run:ID, registry:LANE@production")

    @pytest.mark.parametrize("value", ["0123", "run:../../x", "production", "f" * 17])
    def test_what_is_no_run(self, home, value):
        assert "should match pattern" in refusal(value).problem

    @pytest.mark.parametrize("value", ["1234567890123456", "123456789012e345"])  # pragma: allowlist secret
    def test_an_id_that_was_read_as_a_number(self, home, value):
        assert refusal(value).problem == "was read as a number; write run:ID for an id that looks like one"

    def test_a_kind_of_which_two_lanes_hold_the_stage(self, home):
        for name, lane in (("old", "one"), ("new", "two")):
            register(home, name, lane=lane)
            promote(home, name, lane=lane)
        assert refusal("registry:toy@production").allowed == (
            "registry:one@production",
            "registry:two@production",
        )
        assert pinned("registry:two@production") == RUNS["new"]

    def test_all_faults_at_once(self, home):
        with pytest.raises(ConfigError) as caught:
            validate(compose_lane(CONF, ["lane=toy", "seed=x", f"{KEY}=registry:toy@production"]), subject="toy")
        assert {fault.key for fault in caught.value.faults} == {"seed", KEY}


def test_null_compares_with_the_runs_own(home):
    assert pinned("null") is None


@pytest.mark.parametrize("run_id", ["0123456789abcdef", "1234567890123456", "123456789012e345"])
def test_an_id_is_an_id_however_it_is_written(home, run_id):
    assert pinned(f"run:{run_id}") == pinned(f"'{run_id}'") == run_id


def test_the_pointer_is_read_at_compose(home):
    register(home, "old")
    promote(home, "old")
    before = composed("registry:toy@production")
    assert composed_text(before) == composed_text(composed(RUNS["old"]))  # nothing of the pointer stays
    register(home, "new")
    promote(home, "new", to="staging")
    assert pinned("registry:toy@staging") == RUNS["new"]
    assert pinned("registry:toy@production") == RUNS["old"]
    promote(home, "new")
    assert pinned("registry:toy@production") == RUNS["new"]
    assert before.lane.gates["over_base"].baseline_run == RUNS["old"]
