"""`interlock init NAME --data PATH`: a new experiment from a BEIR folder or an npz file, in at most ten lines of YAML.

The data is read once by the reader that `prepare` will use, so that every fault is named before a file is written.
Other lanes and other kinds of data are written by hand: `conf/experiment/` shows how.
"""

import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import yaml

from interlock.commands.screen import print_json, say
from interlock.errors import DataError, UsageError
from interlock.provenance.files import write_atomic

if TYPE_CHECKING:
    from interlock.lanes.retrieval.datasets.card import DatasetCard
    from interlock.lanes.retrieval.datasets.config import RetrievalData

_LANE = "query_tower"
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_TRAIN, _VALIDATION, _TEST = ("train", "training"), ("validation", "valid", "val", "dev"), ("test", "testing")
_FORMS = "a BEIR folder (corpus.jsonl, queries.jsonl, qrels/*.tsv) or one .npz file with vectors"


@dataclass(frozen=True, kw_only=True)
class Found:
    """Data as it was recognised."""

    kind: Literal["beir", "npz"]
    location: str
    """How the configuration names it."""
    splits: dict[str, str | None] = field(default_factory=dict)
    """Which file of a BEIR folder serves as which split; empty where the usual names fit."""


def init(workspace: Path, name: str, *, data: str, as_json: bool) -> None:
    """Check the data, write `conf/experiment/NAME.yaml`, say what comes next.

    Raises UsageError for a name that cannot be used, DataError for data that the lane would refuse.
    """
    path = _new_file(workspace, name)
    found = recognise(workspace, data)
    card = _checked(workspace, name, found)
    text = experiment_yaml(name, found)
    write_atomic(path, text)
    try:
        _validate(workspace, name)
    except BaseException:
        path.unlink()
        raise
    next_command = f"interlock run experiment={name}"
    queries = {split: count.queries for split, count in card.splits.items()}
    if as_json:
        file = path.relative_to(workspace).as_posix()
        print_json({"file": file, "documents": card.documents, "queries": queries, "next": next_command})
        return
    counts = ", ".join(f"{count:,} {split}" for split, count in queries.items())
    say(f"{found.kind}: {card.documents:,} documents; queries: {counts}")
    say(f"{path.relative_to(workspace)}:\n\n{_indented(text)}")
    say(f"next: {next_command}\n  a quick look first: {next_command} trainer=smoke")
    say(f"  with DVC: set experiment: {name} in params.yaml, then dvc repro")


def recognise(workspace: Path, data: str) -> Found:
    """Tell the kind of the data by what is there. Raises DataError, also when nothing is."""
    from interlock.lanes.retrieval.datasets.locations import DATA_SCHEME, resolve_location

    given = data if data.startswith(DATA_SCHEME) else str(Path(data).expanduser().absolute())
    path = resolve_location(given, root=workspace)
    location = data if data.startswith(DATA_SCHEME) else _from_workspace(workspace, path)
    if path.is_file() and path.suffix == ".npz":
        return Found(kind="npz", location=location)
    if path.is_dir() and any((path / f"corpus.jsonl{end}").is_file() for end in ("", ".gz")):
        return Found(kind="beir", location=location, splits=_splits(path))
    there = ", ".join(sorted(item.name for item in path.iterdir())[:8]) if path.is_dir() else "a file"
    raise DataError("not a form of data that is known", path=path, value=there or "an empty folder", hint=_FORMS)


def experiment_yaml(name: str, found: Found) -> str:
    """The experiment's file: what differs from the lane's defaults, nothing else."""
    model = ["  - override /model: vector_tower"] if found.kind == "npz" else []
    lines = [
        "# @package _global_",
        "defaults:",
        f"  - override /lane: {_LANE}",
        f"  - override /data: {found.kind}",
        *model,
        f"experiment: {{name: {name}, hypothesis: Say what you expect and why.}}",
        "lane:",
        "  data:",
        f"    path: {_scalar(found.location)}",
        f"    name: {name}",
        *([f"    splits: {_scalar(found.splits)}"] if found.splits else []),
    ]
    return "\n".join(lines) + "\n"


def _new_file(workspace: Path, name: str) -> Path:
    if not _NAME.fullmatch(name):
        hint = "small letters, digits and _, beginning with a letter, at most 60"
        raise UsageError("not usable as a name", key="NAME", value=name, hint=hint)
    path = workspace / "conf" / "experiment" / f"{name}.yaml"
    if path.exists():
        hint = "choose another name, or delete the file; what it describes may have runs already"
        raise UsageError("there is such an experiment already", key=str(path), value=name, hint=hint)
    return path


def _from_workspace(workspace: Path, path: Path) -> str:
    """Relative where the data lies in the project, so that other clones find it."""
    inside = path.resolve()
    root = workspace.resolve()
    return inside.relative_to(root).as_posix() if inside.is_relative_to(root) else str(inside)


def _splits(folder: Path) -> dict[str, str | None]:
    """Which judgements serve for what; empty for the usual `train` and `test` without a third file."""
    names = [path.name.removesuffix(".tsv") for path in sorted((folder / "qrels").glob("*.tsv"))]
    train, validation, test = (
        next((name for name in known if name in names), None) for known in (_TRAIN, _VALIDATION, _TEST)
    )
    if train is None and test is None and len(names) != 1:
        listed = ", ".join(names) or "none"
        hint = "name them train.tsv, dev.tsv and test.tsv; one file alone is divided into all three splits"
        raise DataError("which judgements are for training?", path=folder / "qrels", value=listed, hint=hint)
    if train is None:
        return {"train": test or names[0], "validation": None, "test": None}
    found = {"train": train, "validation": validation, "test": test}
    return {} if found == {"train": "train", "validation": None, "test": "test"} else found


def _checked(workspace: Path, name: str, found: Found) -> "DatasetCard":
    """Read the data as `prepare` will, into a folder that goes again."""
    from interlock.lanes.retrieval.datasets.preparation import prepare_dataset
    from interlock.stages.progress import terminal_progress

    with tempfile.TemporaryDirectory(prefix="interlock-init-") as folder:
        return prepare_dataset(_config(name, found), Path(folder), root=workspace, progress=terminal_progress())


def _config(name: str, found: Found) -> "RetrievalData":
    from interlock.lanes.retrieval.datasets.config import BeirData, BeirSplits, NpzData

    if found.kind == "npz":
        return NpzData(kind="npz", path=found.location, name=name)
    splits: Any = found.splits
    return BeirData(kind="beir", path=found.location, name=name, splits=BeirSplits(**splits))


def _validate(workspace: Path, name: str) -> None:
    from interlock.config.compose import compose_lane
    from interlock.config.validate import validate

    validate(compose_lane(workspace / "conf", [f"experiment={name}"]), subject=f"experiment {name}")


def _scalar(value: Any) -> str:
    """One line of YAML, quoted where that is needed."""
    text: str = yaml.safe_dump(value, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...")


def _indented(text: str) -> str:
    return "".join(f"    {line}\n" for line in text.splitlines())
