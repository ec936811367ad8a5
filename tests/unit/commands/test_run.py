"""Exit codes of `interlock run` fold all jobs; what leaves no result is an error."""

import json

import pytest

from interlock.commands.run import _folded
from interlock.config.hydra_main import only_prints, overrides_of
from interlock.errors import ExitCode


def fold(tmp_path, *results, may_be_empty=False):
    for number, result in enumerate(results):
        (tmp_path / f"{number:06d}.json").write_text(json.dumps(result))
    return _folded(tmp_path, may_be_empty=may_be_empty)


PASS, FAIL = {"verdict": "pass"}, {"verdict": "fail"}
BLOCKED, OPEN = {"verdict": "blocked"}, {"verdict": "inconclusive"}
ERROR = {"error": "no", "exit_code": 2}


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ([PASS, PASS], ExitCode.PASS),
        ([PASS, OPEN], ExitCode.INCONCLUSIVE),
        ([OPEN, BLOCKED, PASS], ExitCode.BLOCKED),
        ([BLOCKED, FAIL], ExitCode.FAIL),
        ([FAIL, ERROR, PASS], ExitCode.ERROR),
        ([ERROR], ExitCode.USAGE),
    ],
)
def test_the_worst_job_decides(tmp_path, results, code):
    assert fold(tmp_path, *results) == code


def test_no_result_is_an_error_unless_hydra_only_printed(tmp_path):
    assert fold(tmp_path) == ExitCode.ERROR
    assert fold(tmp_path, may_be_empty=True) == ExitCode.PASS


def test_overrides_are_told_from_flags():
    argv = ["-m", "lane=toy", "--cfg", "job", "+a.b=1", "~lane.gates", "--resolve"]
    assert overrides_of(argv) == ["lane=toy", "+a.b=1", "~lane.gates"]
    assert only_prints(argv)
    assert not only_prints(["-m", "lane=toy"])
