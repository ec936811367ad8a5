"""A reranker small enough for tests, on top of the tiny query tower. Run as a program it is killed.

    python tiny_reranker.py ROOT SHARE...

In ROOT/whole one training is left alone. In ROOT/killed there is one for each number, killed with SIGKILL after that
share of the time the first one took, and then one that is left alone.
"""

import json
import sys
from pathlib import Path

from tiny_stages import RUN, changed, facts_of, killed_by_share, load_beside, run_stage, stage_job

from interlock.lanes.reranker.config import Reranker
from interlock.lanes.spec import LaneInput, StageJob


def load_tiny_tower():
    """The module `tiny_tower.py` of the query tower's tests."""
    return load_beside(str(Path(__file__).parents[1] / "query_tower" / "tiny_tower.py"), "tiny_tower")


TOWER_DATA = {"group_field": "page"}


def write_beir(folder: Path, *, topics=60) -> None:
    """The tiny tower's folder, every topic a page of its own: the four documents of a topic are related."""
    load_tiny_tower().write_beir(folder, topics=topics)
    lines = [json.loads(line) for line in (folder / "corpus.jsonl").read_text().splitlines()]
    records = [{**line, "page": line["_id"].partition("_")[0]} for line in lines]
    (folder / "corpus.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


def body_values() -> dict:
    tower = load_tiny_tower().body_values()
    return {
        "kind": "reranker",
        "data": {**tower["data"], **TOWER_DATA, "candidates": {"size": 12, "false_negative_similarity": 0.6}},
        "model": {"kind": "interaction", "heads": 2, "hidden": 4},
        "optimizer": {"kind": "adamw", "lr": 0.01},
        "trainer": {
            "epochs": 4, "batch_size": 16, "log_every_steps": 1, "resume_every_s": 0.0, "early_stop_patience": 3,
        },
        "inputs": {"first_stage": "lane:query_tower"},
    }  # fmt: skip


def body(**changes) -> Reranker:
    return changed(Reranker, body_values(), changes)


def run_tower(root: Path, **changes) -> LaneInput:
    """Train the first stage in `root`/tower, on the folder `root`/beir."""
    tiny = load_tiny_tower()
    lane = tiny.body(data__group_field="page", **changes)
    for stage in ("prepare", "train"):
        run_stage(stage, root / "tower", lane, workspace=root)
    return given(root, lane, "query_tower", "tower")


def given(root: Path, lane, reference: str, folder: str) -> LaneInput:
    """A finished folder as the framework would hand it over."""
    return LaneInput(
        reference=f"lane:{reference}", run_id="f" * 16, lane=lane, verdict="pass", trained=root / folder / "train",
        facts=facts_of(root / folder, "prepare", "train"), sha256="0" * 64,
    )  # fmt: skip


def job(stage: str, root: Path, lane: Reranker, inputs, **changes) -> StageJob:
    return stage_job(stage, root, lane, **(_given(stage, inputs) | changes))


def run(stage: str, root: Path, lane: Reranker, inputs, **changes):
    """Run a stage as the framework would, leaving its record beside the folder."""
    return run_stage(stage, root, lane, **(_given(stage, inputs) | changes))


def _given(stage: str, inputs) -> dict:
    """As the framework: prepare has no run yet, export is handed no input."""
    return {"run_id": None if stage == "prepare" else RUN, "lane_inputs": {} if stage == "export" else inputs}


def attempts(root: Path, shares: list[float]) -> int:
    lane = body(trainer__epochs=25, trainer__early_stop_patience=20)
    inputs = {}
    for name in ("whole", "killed"):
        write_beir(root / name / "beir")
        inputs[name] = {"first_stage": run_tower(root / name)}
        run("prepare", root / name, lane, inputs[name])
    return killed_by_share(lambda name: run("train", root / name, lane, inputs[name]), shares)


if __name__ == "__main__":
    sys.exit(attempts(Path(sys.argv[1]), [float(number) for number in sys.argv[2:]]))
