"""What a card starts from, as settings of the configuration: a dataset becomes a data choice, a baseline an input.

Rules for `dataset`, the first that fits:

    a name of conf/data, or data://NAME with such a name       that choice
    a path that ends in .npz                                   data=npz (vectors and ids)
    a folder that holds corpus.jsonl                           data=beir

A `first_stage` may be another job card: its work is a lane that comes first, composed as that card says, and done once
however many cards need it.

Whether the files are right is found out by the stage that reads them. What is missing is a fault, unless the card says
by a prerequisite that another director makes it.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from interlock.errors import ConfigError, DataError, Fault, InterlockError
from interlock.lanes.retrieval.datasets.locations import DATA_SCHEME, resolve_location
from interlock.provenance.files import inside
from interlock.runs.jobs.card_yaml import CardText, Place
from interlock.runs.jobs.reading import fault_at
from interlock.runs.jobs.settings import Need, Setting

MODELS: Mapping[str, tuple[str, ...]] = {
    "baseline_model": ("baseline", "baseline_model"),
    "first_stage": ("first_stage",),
}
"""A card's key -> names of a lane's input that it may stand for."""
CARD_SUFFIXES = (".yaml", ".yml")
_REFERENCES = ("run:", "registry:", "lane:")
_PARTNERS: Mapping[tuple[str, str], Mapping[str, str]] = {("query_tower", "npz"): {"model": "vector_tower"}}
"""Choices that a kind of data needs beside it, by lane and data."""


def dataset_settings(
    text: CardText, *, lane: str, choices: Sequence[str], workspace: Path, awaited: Collection[str]
) -> tuple[list[Setting], list[Fault]]:
    """The data choice of the card. `awaited` are paths that another director still has to make."""
    found = [(place, value) for place, key, value in _given(text) if key == "dataset"]
    faults = [fault_at(text, place, "is a second dataset; a job has one") for place, _ in found[1:]]
    faults += [
        fault_at(text, place, "cannot be given: this lane splits its dataset itself, by text and near-copies")
        for place, key, _ in _given(text)
        if key == "val_dataset"
    ]
    if not found:
        return [], faults
    place, location = found[0]
    kind = _kind(location, choices, workspace)
    if kind is None:
        problem = "is neither a data choice, nor an .npz file, nor a folder with corpus.jsonl"
        faults.append(fault_at(text, place, problem, allowed=tuple(choices)))
        return [], faults
    settings = [Setting(key="data", value=kind, place=place)]
    if kind != _choice(location, choices):
        name = PurePosixPath(location.removeprefix(DATA_SCHEME)).stem
        settings += [
            Setting(key="lane.data.path", value=location, place=place),
            Setting(key="lane.data.name", value=name, place=place),
        ]
        if location not in awaited and (missing := missing_data(location, workspace)):
            faults.append(fault_at(text, place, missing))
    partners = _PARTNERS.get((lane, kind), {})
    return [*settings, *(Setting(key=key, value=value, place=place) for key, value in partners.items())], faults


def missing_data(location: str, workspace: Path) -> str:
    """Why data at this location cannot be read yet; empty when something is there."""
    try:
        path = resolve_location(location, root=workspace)
        if not location.startswith(DATA_SCHEME):
            inside(workspace, location)
        return "" if path.exists() else "is not there"
    except DataError as error:
        return f"is not ready: {error.message}; {error.hint}"
    except InterlockError as error:
        return f"is not a safe path: {error.message}; {error.hint}"


def model_settings(
    text: CardText, *, inputs: Sequence[str], lane: str, need_of: Callable[[str], Need]
) -> tuple[list[Setting], list[Fault], dict[str, Need]]:
    """The lane's inputs that the card's models fill, and the work of other cards among them, by the input's name.

    `inputs` are the names that the lane has. `need_of` plans another card by its path; it raises ConfigError.
    """
    settings, faults, needs = [], [], {}
    for place, key, value in _given(text):
        if key not in MODELS:
            continue
        name = next((name for name in MODELS[key] if name in inputs), None)
        reference = _reference(value)
        if name is None:
            faults.append(fault_at(text, place, _takes_none(key, lane)))
            continue
        if reference is None and key == "first_stage" and value.endswith(CARD_SUFFIXES):
            try:
                needs[name] = need_of(value)
            except InterlockError as error:
                faults.append(fault_at(text, place, _bad_card(value, error)))
                continue
            reference = f"lane:{needs[name].lane}"
        if reference is None:
            problem = (
                "is no archived model, so that nobody could check where it comes from; name run:<id>, "
                "registry:<name>@<stage>, lane:<name> or artifacts/runs/<id>/models/model.safetensors"
            )
            faults.append(fault_at(text, place, problem))
        else:
            settings.append(Setting(key=f"lane.inputs.{name}", value=reference, place=place))
    return settings, faults, needs


def _takes_none(key: str, lane: str) -> str:
    if key == "first_stage":
        return f"cannot be used: {lane} orders no candidates of another model; leave it out"
    return f"cannot be used: {lane} is trained from the start and takes no model to begin from; leave it out"


def _bad_card(path: str, error: InterlockError) -> str:
    if not isinstance(error, ConfigError):
        return f"cannot be used: {error.message}"
    first = error.faults[0]
    return (
        f"is a card that is not in order: {first.key} {first.problem}; interlock job submit {path} --dry-run says all"
    )


def _given(text: CardText) -> list[tuple[Place, str, str]]:
    """`(place, key, value)` of every well-formed input."""
    listed = text.values.get("inputs")
    return [
        (("inputs", index, key), key, value)
        for index, item in enumerate(listed if isinstance(listed, list) else [])
        if isinstance(item, dict)
        for key, value in item.items()
        if isinstance(value, str) and value and not _is_unsafe(value)
    ]


def _is_unsafe(value: str) -> bool:
    """Whether the contract refuses it; nothing is looked up there."""
    return value.startswith(("/", "~")) or ".." in value.split("/") or "{" in value or "\0" in value or "\\" in value


def _kind(location: str, choices: Sequence[str], workspace: Path) -> str | None:
    if (choice := _choice(location, choices)) is not None:
        return choice
    if location.lower().endswith(".npz"):
        return "npz" if "npz" in choices else None
    try:
        path = resolve_location(location, root=workspace)
    except DataError:
        return "beir" if "beir" in choices and "/" in location else None  # told as missing
    return "beir" if (path / "corpus.jsonl").is_file() and "beir" in choices else None


def _choice(location: str, choices: Sequence[str]) -> str | None:
    """The data choice of that name."""
    name = location.removeprefix(DATA_SCHEME).strip("/")
    return name if name in choices and name not in ("npz", "beir") else None


def _reference(value: str) -> str | None:
    if value.startswith(_REFERENCES):
        return value
    match PurePosixPath(value).parts:
        case ("artifacts", "runs", run_id, "models", *_):
            return f"run:{run_id}"
    return None


def awaited_paths(values: Mapping[str, Any]) -> dict[str, str]:
    """Directors by the path that they still have to make, of the card's well-formed prerequisites."""
    listed = values.get("prerequisites")
    found = {}
    for item in listed if isinstance(listed, list) else []:
        for director, path in item.items() if isinstance(item, dict) else ():
            if isinstance(path, str):
                found[path] = str(director)
    return found
