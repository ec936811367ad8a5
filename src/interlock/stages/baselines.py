"""Measurements of other runs that gates are pinned to, read from the archive beside a run's own.

    measured = beside_baselines(read_measured(...), gates, home)     # then measured.judgement(lane, gates)

The judge sees one more measurement, named `run:<id>/<metric>`. What it was is kept with the judgement
(`baselines.json`), so that the judgement can be made again where the other run is not at hand.

Does not choose the run: a gate names it, and composing has resolved names of the registry by then.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from pydantic import ValidationError

from interlock.contracts.card import RunCard
from interlock.contracts.gate import Gate, reference_name
from interlock.contracts.measurement import Measurement, Measurements
from interlock.errors import ProvenanceError
from interlock.provenance.canonical import pretty_json
from interlock.provenance.digest import verify_files
from interlock.stages.pinned import CARD
from interlock.stages.verdicts import ARCHIVED_FILES, Measured, pinned_gates, read_archived

BASELINES_FILE = "baselines.json"
"""Beside a judgement: the measurements of other runs that it compared with, under the names that it saw."""


def beside_baselines(measured: Measured, gates: Mapping[str, Gate], home: Path) -> Measured:
    """The same with the measurements of other runs that these gates are pinned to.

    A run that is not in the archive, or did not measure it, is told in `missing` and blocks its gates. Raises
    ProvenanceError for a run whose bytes are not those that its card lists.
    """
    wanted: dict[str, set[str]] = {}
    for gate in pinned_gates(gates):
        if gate.baseline_run is not None and gate.baseline_run != measured.run_id:
            wanted.setdefault(gate.baseline_run, set()).add(gate.baseline)
    for run_id, metrics in sorted(wanted.items()):
        measured = _beside_run(measured, home / "runs" / run_id / "models", run_id, metrics)
    return measured


def baseline_texts(measured: Measured) -> dict[str, str]:
    """What to keep beside a judgement, text by file name; nothing when no other run was compared with."""
    if not measured.baselines:
        return {}
    items = tuple(measured.baselines[name] for name in sorted(measured.baselines))
    return {BASELINES_FILE: pretty_json(Measurements(run_id=measured.run_id, items=items))}


def as_baselines(run: Measured) -> Iterator[tuple[str, Measurement]]:
    """Measurements of a run under the names that another run's judge sees; evidence and scores name the run as well."""
    for name, measurement in run.measurements.items():
        prefix, scores = f"run:{run.run_id}/", measurement.scores
        renamed: dict[str, object] = {
            "name": reference_name(run.run_id, name),
            "evidence": prefix + measurement.evidence,
            # Another run with the very same scores is compared with; only a run's own scores are refused as the same.
            "scores": None if scores is None else scores.model_copy(update={"file": prefix + scores.file}),
        }
        yield name, measurement.model_copy(update=renamed)


def _beside_run(measured: Measured, models: Path, run_id: str, metrics: set[str]) -> Measured:
    if not (models / CARD).is_file():
        reason = (
            f"run {run_id} is not in the archive; interlock pull brings it, or interlock sync where it was made, "
            "then interlock compose and judge again"
        )
        return replace(measured, missing={**measured.missing, **{reference_name(run_id, m): reason for m in metrics}})
    found = _verified(models, run_id, metrics)
    scores, items, baselines = dict(measured.scores), dict(measured.items), dict(measured.baselines)
    for name, baseline in as_baselines(found):
        baselines[baseline.name] = baseline
        if name in found.scores:
            scores[baseline.name], items[baseline.name] = found.scores[name], found.items[name]
    reason = f"run {run_id} did not measure that; name one of its measurements as `baseline`"
    lacking = {reference_name(run_id, metric): reason for metric in metrics - set(found.measurements)}
    return replace(measured, scores=scores, items=items, baselines=baselines, missing={**measured.missing, **lacking})


def _verified(models: Path, run_id: str, metrics: set[str]) -> Measured:
    """The run's measurements, after the files that they stand in were compared with its card."""
    try:
        card = RunCard.model_validate_json((models / CARD).read_bytes())
        if card.run_id != run_id:
            raise ProvenanceError("the card belongs to another run", path=models / CARD, value=card.run_id)
        listed = {**card.artifacts, **card.observations.artifacts}
        unlisted = [name for name in ARCHIVED_FILES if name not in listed and (models / name).is_file()]
        if unlisted:
            raise ProvenanceError("the card does not list this file", path=models / unlisted[0])
        verify_files(models, {name: listed[name] for name in ARCHIVED_FILES if name in listed})
        return read_archived(models, run_id=run_id, only=metrics)
    except ValidationError as error:
        raise _changed(run_id, f"the run card is not valid: {error.errors()[0]['msg']}", models / CARD) from error
    except ProvenanceError as error:
        raise _changed(run_id, error.message, error.path, key=error.key, value=error.value) from error


def _changed(
    run_id: str, problem: str, path: Path | str | None, *, key: str | None = None, value: object = None
) -> ProvenanceError:
    return ProvenanceError(
        f"a gate is pinned to run {run_id}, which was changed: {problem}",
        path=path,
        key=key,
        value=value,
        hint=f"interlock verify {run_id} says what differs; restore that run, or pin the gate to another one",
    )
