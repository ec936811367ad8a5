"""Read what stages measured, verify it, and let the pure judge speak. Used by export, judge and `interlock judge`.

Gates that are pinned to other runs need `interlock.stages.baselines.beside_baselines` before they are judged; without
it they are blocked.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from interlock.contracts.gate import BaselineGate, Gate
from interlock.contracts.measurement import Measurement, Measurements
from interlock.contracts.verdict import Cause, GateResult, Judgement
from interlock.errors import StageError
from interlock.gates.intervals import two_sided
from interlock.gates.judge import judge, seed_of
from interlock.gates.judgement import make_judgement
from interlock.gates.sample import BlockedError
from interlock.lanes.measuring import MEASUREMENTS_FILE, read_scores

ARCHIVED_FILES = (MEASUREMENTS_FILE, f"export/{MEASUREMENTS_FILE}")
"""Where an archived run keeps its measurements, in `models/`."""
_GATES = TypeAdapter(dict[str, Gate])


@dataclass(frozen=True, kw_only=True)
class Measured:
    """All measurements of a run with their per-item scores, each verified against its digest."""

    run_id: str
    measurements: Mapping[str, Measurement]
    scores: Mapping[str, Any]
    items: Mapping[str, Sequence[str]]
    baselines: Mapping[str, Measurement] = field(default_factory=dict)
    """Measurements of other runs that gates are pinned to, by `BaselineGate.reference`."""
    missing: Mapping[str, str] = field(default_factory=dict)
    """Why the archive does not give such a measurement, by the same name."""

    def rows(self, gates: Mapping[str, Gate]) -> tuple[GateResult, ...]:
        """One row per gate."""
        return judge(
            gates,
            {**self.measurements, **self.baselines},
            scores=self.scores,
            items=self.items,
            seed=seed_of(self.run_id),
            unavailable=self._unavailable(gates),
        )

    def intervals(self) -> dict[str, tuple[float, float]]:
        """Two-sided 95 % intervals by measurement name, for reports."""
        return two_sided(self.measurements, scores=self.scores, items=self.items, seed=seed_of(self.run_id))

    def judgement(self, lane: str, gates: Mapping[str, Gate]) -> Judgement:
        """The verdict under these gates."""
        return make_judgement(
            run_id=self.run_id,
            lane=lane,
            gates=gates,
            measurements={**self.measurements, **self.baselines},
            rows=self.rows(gates),
        )

    def _unavailable(self, gates: Mapping[str, Gate]) -> dict[str, BlockedError]:
        """Other runs' measurements that the archive does not give; one of the run's own never stands in for them."""
        found = {}
        for gate in pinned_gates(gates):
            name = gate.reference
            if gate.baseline_run == self.run_id:
                reason = f"{gate.metric} - {name}: the gate is pinned to the very run that is judged"
                found[name] = BlockedError(Cause.NOT_COMPARABLE, reason)
            elif name not in self.baselines:
                reason = self.missing.get(name, "it was not read from the archive")
                found[name] = BlockedError(Cause.MISSING, f"{gate.metric} - {name}: {reason}")
        return found


def pinned_gates(gates: Mapping[str, Gate]) -> list[BaselineGate]:
    """The gates that compare with another run."""
    return [gate for gate in gates.values() if isinstance(gate, BaselineGate) and gate.baseline_run is not None]


def read_gates(raw: Mapping[str, Any]) -> dict[str, Gate]:
    """Gates from a composed configuration."""
    return _GATES.validate_python(dict(raw))


def read_measured(folders: Sequence[Path], *, run_id: str) -> Measured:
    """Read `measurements.json` of each stage folder that has one; names must not repeat.

    Raises StageError when a file belongs to another run or is not valid, ProvenanceError when scores were changed.
    """
    return _measured([(folder / MEASUREMENTS_FILE, folder) for folder in folders], run_id=run_id)


def read_archived(models: Path, *, run_id: str, only: Collection[str] | None = None) -> Measured:
    """The same from an archived run, where export's measurements stand in a folder of their own beside the rest.

    `only`: names of the measurements that are wanted; None for all.
    """
    return _measured([(models / name, models) for name in ARCHIVED_FILES], run_id=run_id, only=only)


def _measured(sources: Sequence[tuple[Path, Path]], *, run_id: str, only: Collection[str] | None = None) -> Measured:
    measurements: dict[str, Measurement] = {}
    scores: dict[str, Any] = {}
    items: dict[str, Sequence[str]] = {}
    for file, folder in sources:
        for measurement in _read(file, run_id):
            if only is not None and measurement.name not in only:
                continue
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
