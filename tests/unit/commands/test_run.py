"""Exit codes of `interlock run` fold all jobs; what leaves no result is an error."""

import os

import pytest

from interlock.commands.run import SingleJob
from interlock.commands.running import require_writable
from interlock.commands.sweep_jobs import folded
from interlock.config.hydra_main import is_multirun, only_prints, overrides_of
from interlock.contracts.sweep import PlannedJob, SweepJob, SweepManifest
from interlock.contracts.verdict import Verdict
from interlock.errors import ExitCode, StageError


def fold(*results, planned=None):
    jobs = [
        PlannedJob(number=n, overrides=(), lane="toy", seed=n, params_sha256="0" * 64, unseeded_sha256="0" * 64)
        for n in range(len(results) if planned is None else planned)
    ]
    manifest = SweepManifest(
        sweep_id="a" * 16, experiment="x", command=(), sweeper="basic", context_sha256="0" * 64, ranked_by={},
        jobs=tuple(jobs),
    )  # fmt: skip
    told = {
        n: SweepJob(number=n, overrides=(), lane="toy", params_sha256="0" * 64, duration_s=1.0, **result)
        for n, result in enumerate(results)
    }
    return folded(manifest, told)


PASS, FAIL = {"status": "finished", "verdict": Verdict.PASS}, {"status": "finished", "verdict": Verdict.FAIL}
BLOCKED, OPEN = (
    {"status": "finished", "verdict": Verdict.BLOCKED},
    {"status": "finished", "verdict": Verdict.INCONCLUSIVE},
)
ERROR = {"status": "failed", "error": "no", "exit_code": ExitCode.USAGE}
PRUNED, COPY = {"status": "pruned"}, {"status": "duplicate", "duplicate_of": 0}


@pytest.mark.parametrize(
    ("results", "code"),
    [
        ([PASS, PASS], ExitCode.PASS),
        ([PASS, OPEN], ExitCode.INCONCLUSIVE),
        ([OPEN, BLOCKED, PASS], ExitCode.BLOCKED),
        ([BLOCKED, FAIL], ExitCode.FAIL),
        ([FAIL, ERROR, PASS], ExitCode.ERROR),
        ([ERROR], ExitCode.USAGE),
        ([PASS, PRUNED, COPY], ExitCode.PASS),
        ([PRUNED], ExitCode.BLOCKED),
    ],
)
def test_the_worst_job_decides(results, code):
    assert fold(*results) == code


def test_a_job_without_a_result_is_an_error():
    assert fold(PASS, planned=2) == ExitCode.ERROR
    assert fold(planned=1) == ExitCode.ERROR


def test_a_folder_for_results_must_be_writable(tmp_path, monkeypatch):
    home, hydras = tmp_path / "workspace" / "artifacts", tmp_path / "hydra"
    require_writable(home, hydras, setting="hydra.run.dir")
    assert not list(tmp_path.iterdir())
    hydras.write_text("a file")
    with pytest.raises(StageError, match="is a file") as caught:
        require_writable(home, hydras / "run", setting="hydra.run.dir")
    assert (caught.value.path, "hydra.run.dir" in caught.value.hint) == (hydras, True)
    # Rights do not hold root back, so the answer of the system is put in its place.
    monkeypatch.setattr("os.access", lambda path, mode: (path, mode) != (tmp_path, os.W_OK | os.X_OK))
    with pytest.raises(StageError, match="cannot be written to") as caught:
        require_writable(home, home, setting="hydra.run.dir")
    assert (caught.value.path, caught.value.exit_code) == (tmp_path, ExitCode.ERROR)


def test_no_result_is_an_error_unless_hydra_only_printed(tmp_path):
    assert SingleJob(tmp_path).answer(may_be_empty=False) == ExitCode.ERROR
    assert SingleJob(tmp_path).answer(may_be_empty=True) == ExitCode.PASS


def test_overrides_are_told_from_flags():
    argv = ["-m", "lane=toy", "--cfg", "job", "+a.b=1", "~lane.gates", "--resolve"]
    assert overrides_of(argv) == ["lane=toy", "+a.b=1", "~lane.gates"]
    assert only_prints(argv)
    assert not only_prints(["-m", "lane=toy"])


@pytest.mark.parametrize(
    ("argv", "many"),
    [(["lane=toy", "-m"], True), (["hydra.mode=MULTIRUN"], True), (["lane=toy"], False), (["--info"], False)],
)
def test_what_is_a_sweep(argv, many):
    assert is_multirun(argv) is many
