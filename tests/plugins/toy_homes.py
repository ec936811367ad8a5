"""Homes with real archived runs of the toy lane, for tests of what is done with archives."""

import os
import shutil
from pathlib import Path

from toy_text import toy_text

from interlock.registry.events import events_path, logs, others_folder, read_log
from interlock.registry.taken import Taken, taken_path, write_taken
from interlock.runs.runner import run_lane
from interlock.runs.sync import keep_judgement, sync_lane
from interlock.stages.place import Place
from interlock.stages.progress import Silent
from interlock.stages.verdicts import read_archived, read_gates

ROOT = Path(__file__).resolve().parents[2]


def toy_run(home: Path, work: Path, *overrides: str) -> str:
    """Run the toy lane in the folder `work`, archive it in `home`, and return the run's id."""
    before = os.environ.get("INTERLOCK_HOME")
    os.environ["INTERLOCK_HOME"] = str(home)
    try:
        composed = toy_text(*overrides)
        work.mkdir(parents=True)
        (work / "params.yaml").write_text(composed)
        place = Place(workspace=ROOT, folder=work, params=work / "params.yaml", lane="toy")
        run_lane(place, progress=Silent())
        run_id = sync_lane(work, workspace=ROOT, home=home).run_id
    finally:
        os.environ.pop("INTERLOCK_HOME")
        if before is not None:
            os.environ["INTERLOCK_HOME"] = before
    assert run_id
    return run_id


def hand_over(source: Path, target: Path) -> None:
    """Let `target` know and believe the log of `source`, without any files."""
    for path in logs(source):
        lines = read_log(path)
        if path != events_path(source) or not lines:
            continue
        copy = others_folder(target) / f"{lines[0].writer}.jsonl"
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
        write_taken(copy, Taken(runs={line.event.run_id: line.seq for line in lines}))
        assert taken_path(copy).is_file()


def judge_by_hand(home: Path, run_id: str, *, target: float, words: str = "") -> None:
    """Judge an archived run by its accuracy alone, and keep the judgement; `words` become its reason."""
    gate = {"kind": "threshold", "metric": "accuracy", "direction": "at_least", "target": target, "n_min": 50}
    measured = read_archived(home / "runs" / run_id / "models", run_id=run_id)
    judgement = measured.judgement("toy", read_gates({"accuracy": gate}))
    if words:
        row = judgement.rows[0].model_copy(update={"reason": words})
        judgement = judgement.model_copy(update={"rows": (row,)})
    keep_judgement(home, judgement, made_at=f"2026-01-01T00:00:{len(words):02}+00:00", files={})
