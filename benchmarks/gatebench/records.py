"""What can be wrong with the records and files of a finished run: it is spoiled, and `interlock status` is asked.

The healthy twin is an untouched copy of the run that passed. Does not cover a writer who recomputes every record of a
run; that is what signatures are for.
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

from gatebench.cases import FAIL, INCONCLUSIVE, Case, Expected, blocked
from gatebench.toy_runs import ToyRun, ToyRuns, edit_json
from interlock.contracts.verdict import Verdict

Spoil = Callable[[ToyRun, ToyRuns], None]
BLOCKED = blocked()


def _truncate(stage: str, name: str) -> Spoil:
    def spoil(run: ToyRun, runs: ToyRuns) -> None:
        path = run.stage(stage) / name
        path.write_bytes(path.read_bytes()[:-7])

    return spoil


def _from_other(stage: str, *names: str, signed: tuple[str, ...] = ()) -> Spoil:
    """Files of another run, which passed."""

    def spoil(run: ToyRun, runs: ToyRuns) -> None:
        for name in names:
            shutil.copy(runs.finished("other").stage(stage) / name, run.stage(stage) / name)
        run.sign_again(*signed)

    return spoil


def _whole_stages(*stages: str) -> Spoil:
    """Folders of another run with their records, which passed."""

    def spoil(run: ToyRun, runs: ToyRuns) -> None:
        for stage in stages:
            shutil.rmtree(run.stage(stage))
            shutil.copytree(runs.finished("other").stage(stage), run.stage(stage))

    return spoil


def _delete(stage: str, name: str = "record.json") -> Spoil:
    return lambda run, runs: (run.stage(stage) / name).unlink()


def _configure(*overrides: str) -> Spoil:
    return lambda run, runs: run.configure(*overrides)


def _edit(stage: str, name: str, change: Callable[[Any], None], *signed: str) -> Spoil:
    def spoil(run: ToyRun, runs: ToyRuns) -> None:
        edit_json(run.stage(stage) / name, change)
        run.sign_again(*signed)

    return spoil


def _all_pass(judgement: Any) -> None:
    judgement["verdict"] = "pass"
    for row in judgement["rows"]:
        row.update(verdict="pass", cause=None, observed=row["observed"] if row["observed"] is not None else 1.0)


def _raise_values(measurements: Any) -> None:
    for item in measurements["items"]:
        item["value"] = 1.0


def _nothing(run: ToyRun, runs: ToyRuns) -> None:
    pass


STATUS: dict[str, tuple[str, Spoil, Expected, str]] = {
    # fault: run that is spoiled, how, what has to come out, the system that is known for it
    "scores_file_truncated": ("good", _truncate("evaluate", "per_query.parquet"), BLOCKED, ""),
    "scores_file_deleted": ("good", _delete("evaluate", "per_query.parquet"), BLOCKED, ""),
    "scores_file_stale": ("bad", _from_other("evaluate", "per_query.parquet"), BLOCKED, ""),
    "measurements_of_other_run": ("bad", _from_other("evaluate", "measurements.json"), BLOCKED, ""),
    "measurements_and_scores_of_other_run": (
        "bad", _from_other("evaluate", "measurements.json", "metrics.json", "per_query.parquet"), BLOCKED, "",
    ),
    "metrics_edited": (
        "bad", _edit("evaluate", "metrics.json", lambda found: found.update(accuracy=0.99)), BLOCKED,
        "AIDE: the metric is a field that a model fills in",
    ),
    "measurements_edited": (
        "bad", _edit("evaluate", "measurements.json", _raise_values), BLOCKED,
        "AIDE: the metric is a field that a model fills in",
    ),
    "measurements_edited_and_signed": (
        "bad", _edit("evaluate", "measurements.json", _raise_values, "evaluate"), BLOCKED, "",
    ),
    "judgement_edited": ("bad", _edit("judge", "judgement.json", _all_pass), BLOCKED, ""),
    "judgement_edited_and_signed": (
        "bad", _edit("judge", "judgement.json", _all_pass, "judge", "decide"), BLOCKED, "",
    ),
    "verdict_edited_and_signed": (
        "bad", _edit("judge", "judgement.json", lambda found: found.update(verdict="pass"), "judge", "decide"),
        BLOCKED, "",
    ),
    "verdict_unknown_word": (
        "good", _edit("judge", "judgement.json", lambda found: found.update(verdict="Successful"), "judge", "decide"),
        BLOCKED, "Argo Rollouts: an unknown phase counts as success",
    ),
    "judgement_of_other_run": ("bad", _from_other("judge", "judgement.json"), BLOCKED, ""),
    "verdict_of_other_run": ("bad", _whole_stages("judge"), BLOCKED, ""),
    "verdict_and_decision_of_other_run": ("bad", _whole_stages("judge", "decide"), BLOCKED, ""),
    "everything_after_training_of_other_run": (
        "bad", _whole_stages("evaluate", "export", "judge", "decide"), BLOCKED, "",
    ),
    "decision_edited": (
        "bad", _edit("decide", "decision.json", lambda found: found.update(action="accept")), BLOCKED,
        "RD-Agent: accept is a yes or no of a language model",
    ),
    "threshold_lowered_afterwards": (
        "bad", _configure("lane.model.value=0.03", "lane.gates.accuracy.target=0.1"), BLOCKED, "",
    ),
    "gate_made_advisory_afterwards": (
        "bad", _configure("lane.model.value=0.03", "lane.gates.accuracy.severity=advise"), BLOCKED, "",
    ),
    "gate_removed_afterwards": ("bad", _configure("lane.model.value=0.03", "~lane.gates.accuracy"), BLOCKED, ""),
    "seed_changed_afterwards": ("good", _configure("seed=7"), BLOCKED, ""),
    "training_killed": (
        "good", _delete("train"), BLOCKED, "Argo Rollouts: ended early is always successful",
    ),
    "evaluation_never_finished": (
        "good", _delete("evaluate"), BLOCKED, "Argo Rollouts: ended early is always successful",
    ),
    "nobody_judged": ("good", _delete("judge"), BLOCKED, "MLflow: thresholds matter only if somebody validates"),
    "judgement_deleted": ("good", _delete("judge", "judgement.json"), BLOCKED, ""),
    "nobody_decided": ("good", _delete("decide"), BLOCKED, ""),
    "model_swapped_after_evaluation": ("good", _from_other("train", "model.safetensors"), BLOCKED, ""),
    "model_swapped_and_signed": ("good", _from_other("train", "model.safetensors", signed=("train",)), BLOCKED, ""),
    "shipped_file_swapped": ("good", _from_other("export", "model.json"), BLOCKED, ""),
    "test_set_swapped_afterwards": (
        "good", _edit("prepare", "numbers.json", lambda found: found.reverse(), "prepare"), BLOCKED, "",
    ),
    "export_skipped": ("unsure", _nothing, INCONCLUSIVE, ""),
    "loss_still_falls": ("unconverged", _nothing, FAIL, "Argo Rollouts: ended early is always successful"),
    "worse_than_the_gate": ("bad", _nothing, FAIL, ""),
}  # fmt: skip


CODE: dict[str, tuple[str, str]] = {
    "evaluator_code_changed": ("src/interlock/stages/evaluate.py", "\nCHANGED = 1\n"),
    "judge_code_changed": ("src/interlock/gates/comparison.py", "\nCHANGED = 1\n"),
    "lock_changed": ("requirements.lock", "\nchanged==1.0\n"),
}
"""File of the workspace, and what is added to it after the run."""


def status_cases(runs: ToyRuns) -> Iterator[Case]:
    """Every way to spoil a finished run; their twin, an untouched copy of the run that passed, is judged once."""
    untouched = cache(partial(_status_of_spoiled, runs, "good", _nothing))
    for fault, (run, spoil, expected, after) in STATUS.items():
        yield _case(fault, partial(_status_of_spoiled, runs, run, spoil), untouched, expected=expected, after=after)
    for fault, (file, added) in CODE.items():
        after = "" if file.endswith(".lock") else "autoresearch: the evaluator is in reach of what it evaluates"
        yield _case(fault, partial(_status_after_edit, runs, file, added), untouched, after=after)
    for fault, spoil in STAGE.items():
        yield _case(fault, partial(_judged_again, runs, spoil), partial(_judged_again, runs, _nothing))


STAGE: dict[str, Spoil] = {
    "stage_given_other_runs_measurements": _from_other("evaluate", "measurements.json", "per_query.parquet"),
    "stage_given_other_runs_scores": _from_other("evaluate", "per_query.parquet"),
    "stage_given_torn_scores": _truncate("evaluate", "per_query.parquet"),
    "stage_without_evaluation": _delete("evaluate", "measurements.json"),
    "stage_without_training": _delete("train"),
}
"""What is judged anew, past the records that would have told."""


def _case(
    fault: str,
    drive: Callable[[], Verdict],
    twin: Callable[[], Verdict],
    *,
    expected: Expected = BLOCKED,
    after: str = "",
) -> Case:
    return Case(fault=fault, kind="files", number=0, expected=expected, after=after, drive=drive, drive_twin=twin)


def _status_of_spoiled(runs: ToyRuns, name: str, spoil: Spoil) -> Verdict:
    with runs.copy(name) as run:
        spoil(run, runs)
        return run.status()


def _status_after_edit(runs: ToyRuns, file: str, added: str) -> Verdict:
    run = runs.finished("good")
    with _added(run.workspace / file, added):
        return run.status()


@contextmanager
def _added(path: Path, text: str) -> Iterator[None]:
    before = path.read_bytes()
    path.write_bytes(before + text.encode())
    try:
        yield
    finally:
        path.write_bytes(before)


def _judged_again(runs: ToyRuns, spoil: Spoil) -> Verdict:
    with runs.copy("good") as run:
        spoil(run, runs)
        return run.judge_again()
