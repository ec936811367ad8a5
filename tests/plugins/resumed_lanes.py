"""Every built-in lane, small enough to be trained and killed dozens of times: its data and its configuration.

`prepared(name, root)` writes what the lane's prepare stage reads and returns the values of `lane.*`. Each lane's
`trainer` has `epochs` and `batch_size` here; tests add what they vary.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tiny_stages
from tiny_stages import facts_of

from interlock.contracts.hardware import Hardware
from interlock.contracts.lane import LaneBody
from interlock.lanes.catalog import find_lane
from interlock.lanes.spec import LaneInput, StageOutcome

OPTIMIZER = {"kind": "adamw", "lr": 0.01}
TRAINER = {"epochs": 3, "batch_size": 8, "log_every_steps": 1, "early_stop_patience": 2, "checkpoint_every_epochs": 2}


def _query_tower(root: Path) -> dict[str, Any]:
    """60 topics of invented words, two documents and queries each; the part that is trained has dropout."""
    dice, words = random.Random(0), [f"{a}{b}ax" for a in "bdfgklmnprst" for b in "aeiouyhw"]
    corpus, queries, answers = [], [], ["query-id\tcorpus-id\tscore"]
    for topic in range(60):
        own = dice.sample(words, 6)
        for part in range(2):
            name = f"{topic}_{part}"
            corpus.append(
                {"_id": f"d{name}", "page": f"{topic}", "title": name, "text": " ".join(dice.choices(own, k=9))}
            )
            queries.append({"_id": f"q{name}", "text": " ".join(dice.choices(own, k=3) + dice.choices(words, k=1))})
            answers.append(f"q{name}\td{name}\t1")
    (root / "beir" / "qrels").mkdir(parents=True, exist_ok=True)
    for file, rows in (("corpus", corpus), ("queries", queries)):
        (root / "beir" / f"{file}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (root / "beir" / "qrels" / "train.tsv").write_text("\n".join(answers) + "\n")
    encoder = {
        "kind": "hashed", "buckets": 1024, "max_features": 64, "char_ngrams": None,
        "lexical": {"dimensions": 64}, "semantic": {"dimensions": 8, "dropout": 0.2},
    }  # fmt: skip
    return {
        "kind": "query_tower",
        "data": {
            "kind": "beir", "path": "beir", "name": "tiny", "group_field": None,
            "splits": {"train": "train", "validation": None, "test": None},
            "validation_fraction": 0.2, "test_fraction": 0.2,
        },
        "model": {"kind": "tower", "encoder": encoder, "echo": {"reference_dimensions": 4}},
        "optimizer": OPTIMIZER,
        "trainer": TRAINER | {"hard_negatives": 2, "hard_negative_pool": 5},
    }  # fmt: skip


def _write_stories(root: Path) -> None:
    """Stories that walk round a ring of topics, a passage for each: the order can be learned."""
    dice, words = random.Random(0), [f"{a}{b}ax" for a in "bdfgklmnprst" for b in "aeiouyhw"]
    topics = [words[start : start + 16] for start in range(0, len(words), 16)]
    (root / "stories").mkdir(parents=True, exist_ok=True)
    for split, count in (("train", 36), ("val", 8), ("test", 8)):
        lines = ["document_id,text"]
        for story in range(count):
            start = dice.randrange(len(topics))
            for place in range(dice.randint(5, 9)):
                passage = " ".join(dice.choices(topics[(start + place) % len(topics)], k=10))
                lines.append(f"{split}-{story:02d},{passage}.")
        (root / "stories" / f"{split}.csv").write_text("\n".join(lines) + "\n")


def _lvm(root: Path, **model: Any) -> dict[str, Any]:
    """A predictor with dropout; its pieces have different numbers of targets."""
    _write_stories(root)
    return {
        "kind": "lvm",
        "data": {"kind": "stories", "path": "stories", "name": "tiny"},
        "model": {"encoder": {"kind": "lsa", "dimensions": 8}, "width": 16, "dropout": 0.2} | model,
        "optimizer": OPTIMIZER,
        "trainer": TRAINER | {"window": 6},
    }


def _directional_adapter(root: Path) -> dict[str, Any]:
    """Pairs of a story's neighbouring passages, with both kinds of dropout."""
    _write_stories(root)
    return {
        "kind": "directional_adapter",
        "data": {"kind": "stories", "path": "stories", "name": "tiny"},
        "model": {"kind": "adapter", "encoder": {"kind": "hashed", "buckets": 512}, "dimensions": 4, "hidden": 8},
        "optimizer": OPTIMIZER,
        "trainer": TRAINER | {"batch_size": 24},
    }


def _reranker(root: Path) -> dict[str, Any]:
    """Reorders what the query tower finds; each topic is a page of its own."""
    data = _of_pages(_query_tower(root))["data"]
    return {
        "kind": "reranker",
        "data": data | {"candidates": {"size": 12, "false_negative_similarity": 0.6}},
        "model": {"kind": "interaction", "heads": 2, "hidden": 4, "dropout": 0.2},
        "optimizer": OPTIMIZER,
        "trainer": TRAINER | {"early_stop_patience": None},
        "inputs": {"first_stage": "lane:query_tower"},
    }


def _of_pages(tower: dict[str, Any]) -> dict[str, Any]:
    return tower | {"data": tower["data"] | {"group_field": "page"}}


def _first_stage(root: Path, hardware: Hardware) -> LaneInput:
    """A query tower over the same data, trained where it is missing, as the framework would hand it over."""
    values, folder = _of_pages(_query_tower(root)), root / "tower"
    if not (folder / "train.record.json").is_file():
        folder.mkdir()
        for stage in ("prepare", "train"):
            run_stage(stage, folder, values, workspace=root, hardware=hardware)
    return LaneInput(
        reference="lane:query_tower", run_id="f" * 16, lane=_body(values), verdict="pass", trained=folder / "train",
        facts=facts_of(folder, "prepare", "train"), sha256="0" * 64,
    )  # fmt: skip


def _body(values: dict[str, Any]) -> LaneBody:
    return find_lane(values["kind"]).body_model().model_validate_json(json.dumps(values))


LANES: dict[str, Callable[[Path], dict[str, Any]]] = {
    "query_tower": _query_tower,
    "reranker": _reranker,
    "directional_adapter": _directional_adapter,
    "lvm": lambda root: _lvm(root, kind="recurrent"),
    "lvm/causal_transformer": lambda root: _lvm(root, kind="causal_transformer", heads=2),
}
"""By kind of lane, with a variant behind a slash where a kind has several models."""


def prepared(name: str, root: Path) -> dict[str, Any]:
    """Write the data of one of LANES under `root` and return its configuration, as JSON values."""
    root.mkdir(parents=True, exist_ok=True)
    return LANES[name](root)


def run_stage(
    stage: str, root: Path, values: dict[str, Any], *, hardware: Hardware, workspace: Path | None = None
) -> StageOutcome:
    """Run a stage as the framework would, with its folder, state and record under `root`; returns its outcome."""
    inputs = {"first_stage": _first_stage(root, hardware)} if values.get("inputs") else {}
    return tiny_stages.run_stage(
        stage, root, _body(values), hardware=hardware, workspace=workspace or root, lane_inputs=inputs
    )
