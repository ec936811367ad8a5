"""Compare a stage that ran again with its archived record: which files differ, where first, and is that tolerable.

Prepare must be equal. In train, whatever differs must be numbers within the tolerances. The same holds in evaluate and
export, but for pages, pictures and graphs (`eval_report.md`, `model.onnx`): they render weights and measurements that
are compared by themselves, so their own bytes may follow. Files that the lane declares volatile are not compared.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlock.contracts.card import RunCard
from interlock.contracts.reproduction import (
    FirstDifference,
    MetricDifference,
    StageComparison,
    Tolerances,
    WeightsDifference,
)
from interlock.contracts.stage import Artifact, StageName, StageRecord
from interlock.lanes.measuring import MEASUREMENTS_FILE
from interlock.provenance.digest import sha256_file
from interlock.runs.reproduction.code_roots import CodeRoot
from interlock.runs.reproduction.differences import FileDifference, compare_files, compare_values
from interlock.stages.evaluate import EXAMPLES
from interlock.stages.place import RECORD, load_record
from interlock.stages.verdicts import Measured, read_archived, read_measured

MEASURED_BY: StageName = "evaluate"
"""The stage whose measurements every execution of a run gives."""
_EARLIEST = (".csv", "metrics.json", ".safetensors", ".parquet")
"""Ends of names, in the order in which they show where a stage went another way: logs by step come first."""
_RENDERED = (".md", ".html", ".svg", ".png", ".pdf", ".txt", ".onnx")
"""Ends of names of files that show numbers which stand elsewhere."""


@dataclass(frozen=True, kw_only=True)
class ArchivedStage:
    """One stage as the archive has it."""

    record: StageRecord
    models: Path
    """The run's `models/`."""
    card: RunCard
    git_commit: str
    """Commit of the workspace it ran in; empty without git."""
    git_dirty: bool
    """Tracked files differed from that commit."""

    def original(self, name: str) -> Path | None:
        """The archived bytes of a file of this stage; None where the archive does not keep them."""
        artifact = self.record.artifacts.get(name)
        for target in (f"{self.record.stage}/{name}", name):
            kept = self.card.artifacts.get(target)
            if artifact is not None and kept == artifact and (self.models / target).is_file():
                return self.models / target
        return None


@dataclass(frozen=True, kw_only=True)
class Found:
    """Details of a stage that differs."""

    first: FirstDifference | None = None
    weights: tuple[WeightsDifference, ...] = ()


def compare_stage(
    item: ArchivedStage, lane_folder: Path, root: CodeRoot, tolerances: Tolerances
) -> tuple[StageComparison, Found]:
    """Compare what the stage left in `lane_folder` with the archive."""
    stage, folder = item.record.stage, lane_folder / item.record.stage
    record = load_record(folder, verify=True)
    volatile = {*item.record.volatile, *record.volatile}
    names = sorted({*item.record.artifacts, *record.artifacts} - volatile, key=_rank)
    differing = [name for name in names if item.record.artifacts.get(name) != record.artifacts.get(name)]
    details = {name: _details(item, record, name, folder, tolerances) for name in differing}
    facts = compare_values(_words(item.record), _words(record), tolerances)
    if facts:
        details[RECORD] = facts
    first = next(iter(details), None)
    comparison = StageComparison(
        stage=stage,
        files=len(set(item.record.artifacts) - volatile),
        differing=tuple(details),
        tolerated=all(_is_tolerated(stage, name, found) for name, found in details.items()),
        code=root.name,
        code_sha256=record.code_sha256,
    )
    weights = tuple(
        WeightsDifference(
            stage=stage, file=name, largest_absolute=found.largest_absolute, largest_relative=found.largest_relative
        )
        for name, found in details.items()
        if name.endswith(".safetensors") and found.is_numeric
    )
    place = FirstDifference(stage=stage, file=first, where=details[first].where) if first else None
    return comparison, Found(first=place, weights=weights)


def _rank(name: str) -> tuple[int, str]:
    return next((rank for rank, end in enumerate(_EARLIEST) if name.endswith(end)), len(_EARLIEST)), name


def _words(record: StageRecord) -> dict[str, Any]:
    return {"status": record.status, "reason": record.reason, "facts": dict(record.facts)}


def _details(
    item: ArchivedStage, record: StageRecord, name: str, folder: Path, tolerances: Tolerances
) -> FileDifference:
    before, after = item.record.artifacts.get(name), record.artifacts.get(name)
    if before is None or after is None:
        where = "the archived run does not have this file" if before is None else "was not written this time"
        return FileDifference(where=where, is_numeric=False)
    original = item.original(name)
    if original is None or sha256_file(original) != before.sha256:
        return FileDifference(where=_digests(before, after), is_numeric=False)
    return compare_files(original, folder / name, tolerances)


def _digests(before: Artifact, after: Artifact) -> str:
    sizes = f"{before.size_bytes:,} bytes became {after.size_bytes:,}"
    return f"sha256 {before.sha256[:12]} became {after.sha256[:12]} ({sizes}); the archive does not keep its bytes"


def _is_tolerated(stage: StageName, name: str, found: FileDifference) -> bool:
    if found.is_numeric:
        return found.within and stage != "prepare"
    return stage in ("evaluate", "export") and (name == EXAMPLES or name.endswith(_RENDERED))


def compare_metrics(
    archived: Mapping[StageName, ArchivedStage], lane_folder: Path, *, run_id: str, stages: Collection[StageName]
) -> tuple[MetricDifference, ...]:
    """Every measurement that both executions must give, paired by item where there are scores."""
    measured_by = [
        stage
        for stage in ("evaluate", "export")
        if stage in stages and MEASUREMENTS_FILE not in load_record(lane_folder / stage).volatile
    ]
    now = read_measured([lane_folder / stage for stage in measured_by], run_id=run_id)
    item = archived[MEASURED_BY]
    before = read_archived(item.models, run_id=item.card.run_id)
    skipped = _volatile_names(item) if "export" in measured_by else _exported_names(item)
    names = sorted({*now.measurements, *(set(before.measurements) - skipped)})
    return tuple(_metric(name, before, now) for name in names)


def _volatile_names(item: ArchivedStage) -> set[str]:
    files = [name for name in item.card.observations.artifacts if name.endswith(MEASUREMENTS_FILE)]
    return {name for file in files for name in _names(item.models / file)}


def _exported_names(item: ArchivedStage) -> set[str]:
    return _names(item.models / "export" / MEASUREMENTS_FILE)


def _names(file: Path) -> set[str]:
    return {entry["name"] for entry in json.loads(file.read_text())["items"]} if file.is_file() else set()


def _metric(name: str, before: Measured, now: Measured) -> MetricDifference:
    a, b = (run.measurements[name].value if name in run.measurements else None for run in (before, now))
    gap = abs(b - a) if a is not None and b is not None else None
    items, changed, largest = _items(name, before, now)
    return MetricDifference(
        name=name,
        archived=a,
        reproduced=b,
        absolute=gap,
        relative=gap / abs(a) if gap is not None and a else None,
        items=items,
        items_changed=changed,
        largest_item=largest,
    )


def _items(name: str, before: Measured, now: Measured) -> tuple[int, int, float | None]:
    """Paired items, how many of them score differently, and the largest difference of one."""
    if name not in before.scores or name not in now.scores:
        return 0, 0, None
    left = {key: _row(value) for key, value in zip(before.items[name], before.scores[name], strict=True)}
    right = {key: _row(value) for key, value in zip(now.items[name], now.scores[name], strict=True)}
    gaps = [max(abs(x - y) for x, y in zip(left[key], right[key], strict=True)) for key in left.keys() & right.keys()]
    return len(gaps), sum(gap > 0 for gap in gaps), max(gaps, default=None)


def _row(value: Any) -> tuple[float, ...]:
    """An item's score, or the two columns of a ratio or a calibration."""
    try:
        return tuple(float(part) for part in value)
    except TypeError:
        return (float(value),)
