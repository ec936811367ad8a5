"""The curves of a run that was trained elsewhere, and what is drawn of a run: losses, and metrics beside baselines."""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from interlock.contracts.tracking import Chart
from interlock.errors import ProvenanceError
from interlock.provenance.chain import read_chain
from interlock.stages.verdicts import Measured

_AT_K = re.compile(r"^(?:(?P<system>\w+)\.)?(?P<family>\w+)_at_(?P<k>\d+)$")
_EPOCH = "epoch"
_LOG, _LOSSES = "train_log.jsonl", "loss.csv"
_POINTS_MIN = 2
"""A line needs two points."""


def charts(measured: Measured, points: Iterable[tuple[int, Mapping[str, float]]]) -> Iterator[Chart]:
    """Losses by epoch, and every metric at rank k beside its baselines."""
    epochs: dict[str, list[tuple[float, float]]] = {}
    for _, values in points:
        for name in values.keys() - {_EPOCH} if _EPOCH in values else ():
            if name.endswith("loss"):
                epochs.setdefault(name, []).append((values[_EPOCH], values[name]))
    epochs.pop("train/loss", None)  # of one batch; the epoch's own mean stands beside it
    if any(len(line) >= _POINTS_MIN for line in epochs.values()):
        yield _chart("loss_by_epoch", "Loss by epoch", x_name="epoch", lines=epochs)
    families: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name, item in measured.measurements.items():
        found = _AT_K.match(name)
        if found and item.value is not None:
            line = families.setdefault(found["family"], {}).setdefault(found["system"] or "model", [])
            line.append((float(found["k"]), item.value))
    for family, lines in sorted(families.items()):
        if max(len(line) for line in lines.values()) >= _POINTS_MIN:
            yield _chart(f"{family}_at_k", f"{family} at rank k, beside the baselines", x_name="k", lines=lines)


def logged_curves(models: Path) -> Iterator[tuple[int, dict[str, float]]]:
    """The curves of a run that was trained elsewhere, from its archived log; the same names as while training."""
    try:
        logged = [line.payload for line in read_chain(models / _LOG)]
        points = {int(row["step"]): {"train/loss": float(row["loss"]), "train/lr": float(row["lr"])} for row in logged}
    except (ProvenanceError, KeyError, TypeError, ValueError):  # of a lane that logs in its own way
        points = {}
    for row in _rows(models / _LOSSES):
        if {"step", _EPOCH, "train_loss", "validation_loss"} <= row.keys():
            point = points.setdefault(int(row["step"]), {})
            point |= {_EPOCH: row[_EPOCH], "train/epoch_loss": row["train_loss"]}
            point |= {"validation/loss": row["validation_loss"]}
    yield from sorted(points.items())


def _chart(name: str, title: str, *, x_name: str, lines: Mapping[str, list[tuple[float, float]]]) -> Chart:
    return Chart(
        name=name, title=title, x_name=x_name, series={line: tuple(sorted(lines[line])) for line in sorted(lines)}
    )


def _rows(path: Path) -> Iterator[dict[str, float]]:
    if not path.is_file():
        return
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            try:
                yield {name: float(value) for name, value in row.items()}
            except (TypeError, ValueError):
                return
