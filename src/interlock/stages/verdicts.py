"""Read what stages measured, verify it, and let the pure judge speak. Used by export, judge and `interlock judge`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from interlock.contracts.gate import Gate
from interlock.contracts.measurement import Measurement, Measurements
from interlock.contracts.verdict import GateResult, Judgement
from interlock.errors import StageError
from interlock.gates.intervals import two_sided
from interlock.gates.judge import judge, seed_of
from interlock.gates.judgement import make_judgement
from interlock.lanes.retrieval.scores import MEASUREMENTS_FILE, read_scores

_GATES = TypeAdapter(dict[str, Gate])


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All measurements of a run with their per-item scores, each verified against its digest."""

    run_id: str
    measurements: Mapping[str, Measurement]
    scores: Mapping[str, Any]
    items: Mapping[str, Sequence[str]]

    def rows(self, gates: Mapping[str, Gate]) -> tuple[GateResult, ...]:
        """One row per gate."""
        return judge(gates, self.measurements, scores=self.scores, items=self.items, seed=seed_of(self.run_id))

    def intervals(self) -> dict[str, tuple[float, float]]:
        """Two-sided 95 % intervals by measurement name, for reports."""
        return two_sided(self.measurements, scores=self.scores, items=self.items, seed=seed_of(self.run_id))

    def judgement(self, lane: str, gates: Mapping[str, Gate]) -> Judgement:
        """The verdict under these gates."""
        return make_judgement(
            run_id=self.run_id, lane=lane, gates=gates, measurements=self.measurements, rows=self.rows(gates)
        )


def read_gates(raw: Mapping[str, Any]) -> dict[str, Gate]:
    """Gates from a composed configuration."""
    return _GATES.validate_python(dict(raw))


def read_measured(folders: Sequence[Path], *, run_id: str) -> Measured:
    """Read `measurements.json` of each stage folder that has one; names must not repeat.

    Raises StageError when a file belongs to another run or is not valid, ProvenanceError when scores were changed.
    """
    return _measured([(folder / MEASUREMENTS_FILE, folder) for folder in folders], run_id=run_id)


def read_archived(models: Path, *, run_id: str) -> Measured:
    """The same from an archived run, where export's measurements stand in a folder of their own beside the rest."""
    files = [models / MEASUREMENTS_FILE, models / "export" / MEASUREMENTS_FILE]
    return _measured([(file, models) for file in files], run_id=run_id)


def _measured(sources: Sequence[tuple[Path, Path]], *, run_id: str) -> Measured:
    measurements: dict[str, Measurement] = {}
    scores: dict[str, Any] = {}
    items: dict[str, Sequence[str]] = {}
    for file, folder in sources:
        for measurement in _read(file, run_id):
            if measurement.name in measurements:
                raise StageError("is measured twice", path=file, key=measurement.name)
            measurements[measurement.name] = measurement
            if measurement.scores is not None:
                items[measurement.name], scores[measurement.name] = read_scores(measurement, folder)
    return Measured(run_id=run_id, measurements=measurements, scores=scores, items=items)


def _read(path: Path, run_id: str) -> tuple[Measurement, ...]:
    if not path.is_file():
        return ()
    try:
        found = Measurements.model_validate_json(path.read_text())
    except ValidationError as error:
        raise StageError(
            f"the measurements are not valid: {error.errors()[0]['msg']}",
            path=path,
            hint="run the stage again: dvc repro",
        ) from error
    if found.run_id != run_id:
        raise StageError(
            f"the measurements are of another run than {run_id}",
            path=path,
            value=found.run_id,
            hint="run the stage again: dvc repro",
        )
    return found.items
