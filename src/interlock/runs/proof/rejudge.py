"""Judge an archived run again from what it measured, and compare: values from scores, verdicts from gates.

Each judgement is checked against the measurements and gates that it was made of. Digests are taken over the archived
text, so that a contract that has grown a field since does not make an old judgement look changed.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from interlock.contracts.gate import Gate
from interlock.contracts.measurement import Measurement, Measurements
from interlock.contracts.verdict import Cause, GateResult, Judgement
from interlock.contracts.verification import Link
from interlock.errors import InterlockError, ProvenanceError
from interlock.gates.sample import BlockedError, checked_sample
from interlock.lanes.measuring import MEASUREMENTS_FILE, read_scores
from interlock.provenance.canonical import sha256_json
from interlock.provenance.digest import sha256_file
from interlock.provenance.dotted import lookup
from interlock.registry.derive import JUDGEMENT, JUDGEMENTS
from interlock.registry.layout import CARD, run_folder
from interlock.registry.verification.findings import Findings, shown
from interlock.stages.baselines import BASELINES_FILE, as_baselines
from interlock.stages.verdicts import Measured, pinned_gates, read_archived, read_gates

GATES = "gates.json"
"""Gates of a judgement made by hand, beside it; the pipeline's stand in its record."""
_TOLERANCE = 1e-9
"""Between two computations of one number on machines that add in another order."""
_POINTER = re.compile(r"^(?P<stage>[a-z]+)/(?P<file>[^#]+)#/(?P<name>.+)@sha256:(?P<sha256>[0-9a-f]{64})$")
_ALLOWED = {Cause.NO_VALUE, Cause.TOO_FEW, Cause.MISSING}
"""A measurement may say that it has no value."""


@dataclass(frozen=True)
class _Read:
    """Measurements as their file says them, and as contracts."""

    raw: dict[str, Any]
    items: dict[str, Measurement]
    baselines: dict[str, Measurement] = field(default_factory=dict)
    """Measurements of other runs, by the names that the judge saw; `raw` holds them too."""


def check_measurements(home: Path, run_id: str) -> list[Link]:
    """The card's measurements: each follows from its scores, and stands in the metrics file that it points to."""
    findings = Findings(section="measurements", home=home)
    models = run_folder(home, run_id) / "models"
    for path in (models / MEASUREMENTS_FILE, models / "export" / MEASUREMENTS_FILE):
        if path.is_file():
            name = path.relative_to(models.parent).as_posix()
            read = _read(path, run_id, name, findings)
            if read is not None:
                _check_values(home, run_id, read, name, findings)
                _check_pointers(home, run_id, read, name, findings)
    return findings.links


def check_judgements(home: Path, run_id: str) -> list[Link]:
    """Every judgement, made again."""
    findings = Findings(section="judgements", home=home)
    for path in sorted((run_folder(home, run_id) / JUDGEMENTS).glob(f"*/{JUDGEMENT}")):
        try:
            judgement = Judgement.model_validate_json(path.read_bytes())
        except (OSError, ValidationError):
            continue  # told by verify_run
        _check_judgement(home, judgement, path.parent, findings)
    return findings.links


def _check_judgement(home: Path, judgement: Judgement, folder: Path, findings: Findings) -> None:
    name = f"judgements/{shown(folder.name)}"
    read = _judged_measurements(home, judgement.run_id, folder, name, findings)
    raw_gates = _raw_gates(folder, name, findings)
    if read is None or raw_gates is None:
        return
    path = folder / JUDGEMENT
    findings.agree(
        f"{name} -> measurements", judgement.measurements_sha256, sha256_json(read.raw), says="the judgement", path=path
    )
    try:
        gates = read_gates(raw_gates)
    except ValidationError as error:
        findings.broken(f"{name} -> gates", f"they are not valid: {error.errors()[0]['msg']}", path=folder)
        return
    if judgement.gates_sha256 not in (sha256_json(raw_gates), sha256_json(dict(gates))):
        detail = f"sha256 is {shown(sha256_json(raw_gates))}, the judgement says {shown(judgement.gates_sha256)}"
        findings.broken(f"{name} -> gates", detail, path=path)
        return
    identity = {
        "run_id": judgement.run_id,
        "gates": judgement.gates_sha256,
        "measurements": judgement.measurements_sha256,
    }
    findings.agree(f"{name} -> its id", judgement.judgement_id, sha256_json(identity), says="the judgement", path=path)
    measured = _measured(home, judgement.run_id, read, name, findings)
    if measured is not None and read.baselines:
        measured = _beside_baselines(home, measured, read.baselines, gates=gates, says=(name, findings))
    if measured is not None:
        _compare_rows(judgement, measured.rows(gates), name, path, findings)


def _compare_rows(judgement: Judgement, rows: Iterable[GateResult], name: str, path: Path, findings: Findings) -> None:
    stated, made = {row.gate: row for row in judgement.rows}, {row.gate: row for row in rows}
    for gate in sorted({*stated, *made}):
        difference = _difference(stated.get(gate), made.get(gate))
        if difference:
            findings.broken(f"{name} -> judged again: {gate}", difference, path=path)
            return
    methods = [gate for gate in stated if stated[gate].method != made[gate].method]
    if methods:
        then, now = stated[methods[0]].method, made[methods[0]].method
        detail = f"the bounds of {methods[0]} came from {then} then and {now} now; the verdict is the same"
        findings.unchecked(f"{name} -> judged again", detail, path=path)
    else:
        findings.holds(f"{name} -> judged again", f"{judgement.verdict}, {len(stated)} gates", path=path)


def _difference(stated: GateResult | None, made: GateResult | None) -> str:
    """What differs in a row. Sentences may be worded otherwise by a later version; numbers and verdicts may not."""
    if stated is None or made is None:
        return "the gates do not ask for it" if made is None else "the judgement does not answer it"
    for name in ("verdict", "metric", "severity", "comparison", "unit", "n", "cause", "target", "observed"):
        if not _same(getattr(stated, name), getattr(made, name)):
            return f"{name} comes out as {getattr(made, name)}, the judgement says {getattr(stated, name)}"
    if stated.method == made.method:
        for name in ("bound", "other_bound"):
            if not _same(getattr(stated, name), getattr(made, name)):
                return f"{name} comes out as {getattr(made, name)}, the judgement says {getattr(stated, name)}"
    return ""


def _same(one: object, other: object) -> bool:
    if isinstance(one, float) and isinstance(other, float):
        return math.isclose(one, other, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    return one == other


def _judged_measurements(home: Path, run_id: str, folder: Path, name: str, findings: Findings) -> _Read | None:
    """What a judgement was made of: beside it where the pipeline kept them, else the run's own."""
    own = [folder / MEASUREMENTS_FILE, folder / "export" / MEASUREMENTS_FILE]
    models = run_folder(home, run_id) / "models"
    shared = [models / MEASUREMENTS_FILE, models / "export" / MEASUREMENTS_FILE]
    files = [*(own if any(path.is_file() for path in own) else shared), folder / BASELINES_FILE]
    found = _Read({}, {})
    for path in files:
        if path.is_file():
            read = _read(path, run_id, f"{name} -> {path.name}", findings)
            if read is None:
                return None
            items, baselines = ({}, read.items) if path.name == BASELINES_FILE else (read.items, {})
            found = _Read(
                {**found.raw, **read.raw}, {**found.items, **items}, baselines={**found.baselines, **baselines}
            )
    return found


def _beside_baselines(
    home: Path,
    measured: Measured,
    kept: Mapping[str, Measurement],
    *,
    gates: Mapping[str, Gate],
    says: tuple[str, Findings],
) -> Measured | None:
    """The measurements of other runs that were judged with, as those runs have them; None where that cannot be told."""
    name, findings = says
    pinned = {gate.reference: gate for gate in pinned_gates(gates)}
    scores, items = dict(measured.scores), dict(measured.items)
    for reference, baseline in kept.items():
        link = f"{name} -> {shown(reference)}"
        if reference not in pinned:
            findings.broken(link, "no gate is pinned to it")
            return None
        run_id, metric = str(pinned[reference].baseline_run), pinned[reference].baseline
        models = run_folder(home, run_id) / "models"
        if not (models / CARD).is_file():
            findings.unchecked(link, f"run {run_id} is not in this archive", way_out="interlock pull")
            return None
        try:
            run = read_archived(models, run_id=run_id, only={metric})
        except InterlockError as error:
            findings.failed(link, error)
            return None
        if dict(as_baselines(run)).get(metric) != baseline:
            findings.broken(link, f"run {run_id} measured something else", path=models)
            return None
        if metric in run.scores:
            scores[reference], items[reference] = run.scores[metric], run.items[metric]
        findings.holds(link, "as that run measured it")
    return replace(measured, scores=scores, items=items, baselines=kept)


def _read(path: Path, run_id: str, name: str, findings: Findings) -> _Read | None:
    try:
        text = path.read_bytes()
        found = Measurements.model_validate_json(text)
        raw = {item["name"]: item for item in json.loads(text)["items"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        problem = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error
        findings.broken(name, f"the measurements are not valid: {problem}", path=path)
        return None
    if found.run_id != run_id:
        findings.broken(name, f"they are of run {found.run_id}", path=path)
        return None
    return _Read(raw, {item.name: item for item in found.items})


def _raw_gates(folder: Path, name: str, findings: Findings) -> Mapping[str, Any] | None:
    for path, key in ((folder / "record.json", "params.lane.gates"), (folder / GATES, "")):
        try:
            values = json.loads(path.read_bytes())
        except (OSError, ValueError, RecursionError):
            continue
        found = lookup(values, key) if key else values
        if isinstance(found, dict):
            return found
    findings.unchecked(f"{name} -> judged again", "its gates were not kept; it was made by an earlier version")
    return None


def _measured(home: Path, run_id: str, read: _Read, name: str, findings: Findings) -> Measured | None:
    """The measurements with their scores, found by digest wherever the archive keeps them."""
    scores: dict[str, Any] = {}
    items: dict[str, Any] = {}
    places: dict[str, Path | None] = {}
    for measurement in read.items.values():
        reference = measurement.scores
        if reference is None:
            continue
        if reference.sha256 not in places:
            places[reference.sha256] = _holder(home, run_id, reference.file, reference.sha256)
        folder = places[reference.sha256]
        link = f"{name} -> scores of {measurement.name}"
        if folder is None:
            findings.broken(link, f"the archive holds no {reference.file} with sha256 {shown(reference.sha256)}")
            return None
        try:
            items[measurement.name], scores[measurement.name] = read_scores(measurement, folder)
        except InterlockError as error:
            findings.failed(link, error)
            return None
    return Measured(run_id=run_id, measurements=read.items, scores=scores, items=items)


def _check_values(home: Path, run_id: str, read: _Read, name: str, findings: Findings) -> None:
    measured = _measured(home, run_id, read, name, findings)
    if measured is None:
        return
    for metric in sorted(measured.scores):
        try:
            checked_sample(metric, measured.measurements, scores=measured.scores, items=measured.items)
        except BlockedError as blocked:
            if blocked.cause not in _ALLOWED:
                findings.broken(f"{name} -> scores", blocked.reason)
                return
    if measured.scores:
        findings.holds(f"{name} -> scores", f"{len(measured.scores)} values computed again from their items")
    stated = sorted(set(measured.measurements) - set(measured.scores))
    if stated:
        findings.holds(f"{name} -> stated values", f"held by digest alone: {', '.join(stated)}")


def _check_pointers(home: Path, run_id: str, read: _Read, name: str, findings: Findings) -> None:
    """The evidence of every value is the metrics file with that digest and that number in it."""
    found: dict[str, Any] = {}
    for measurement in read.items.values():
        pointer = _POINTER.match(measurement.evidence)
        if pointer is None:
            continue
        sha256 = pointer["sha256"]
        if sha256 not in found:
            folder = _holder(home, run_id, pointer["file"], sha256)
            if folder is None:
                findings.broken(f"{name} -> {pointer['file']}", f"there is none with sha256 {shown(sha256)}")
                return
            found[sha256] = _json(folder / pointer["file"])
        key = pointer["name"].replace("~1", "/").replace("~0", "~")
        value = found[sha256].get(key) if isinstance(found[sha256], dict) else None
        if value != measurement.value:
            detail = f"the file says {value}, the measurement says {measurement.value}"
            findings.broken(f"{name} -> {pointer['file']}: {key}", detail)
            return
    if found:
        findings.holds(f"{name} -> metrics", f"{len(read.items)} values stand there")


def _holder(home: Path, run_id: str, file: str, sha256: str) -> Path | None:
    """The folder of the archive that holds `file` with this digest."""
    if Path(file).is_absolute() or ".." in Path(file).parts:
        raise ProvenanceError("a recorded file name leaves its folder", value=file, hint="restore the record")
    for folder in _folders(run_folder(home, run_id)):
        if (folder / file).is_file() and sha256_file(folder / file) == sha256:
            return folder
    return None


def _folders(run: Path) -> Iterator[Path]:
    yield from (run / "models", run / "models" / "evaluate", run / "models" / "export")
    yield from sorted(run.glob("revisions/*/*"))
    yield from sorted(run.glob("attempts/*/files"))


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
