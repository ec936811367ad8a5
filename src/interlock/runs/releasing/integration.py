"""The ops commander's report: does the candidate fit where it goes, and what is the risk of putting it there.

Verifies the model's files, looks for pickles, compares the signature of the ONNX file, the locks and the answers with
production's, and adds the parts up to the composite risk (`interlock.runs.releasing.risk`).
"""

import zipfile
from pathlib import Path

import numpy as np

from interlock.contracts.release import ExecutiveReport
from interlock.contracts.verdict import Cause, GateResult, Verdict
from interlock.errors import DataError
from interlock.gates.sample import BlockedError
from interlock.gates.statistics import Bounds
from interlock.provenance.environment import environment_digest
from interlock.runs.releasing.infrastructure import VERSIONS
from interlock.runs.releasing.risk import Part, composite, dependency_score, latency_score, level
from interlock.runs.releasing.rows import blocked, checked, compared, span, unmeasured
from interlock.runs.releasing.safety import compared_metric, difference, is_smaller_better
from interlock.runs.releasing.signature import Change, Signature, changes, drift, signature
from interlock.runs.releasing.situation import Findings, Situation, is_latency, is_shipped, lane_rows, unbelieved
from interlock.runs.releasing.version import Version
from interlock.runs.review.comparing import item_differences

AGENT = "ops_commander"
PICKLE_SUFFIXES = (".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".dill")
_PICKLE_PROTOCOLS = tuple(bytes([0x80, protocol]) for protocol in range(2, 6))


def integration_report(situation: Situation) -> ExecutiveReport:
    """What the commander answers for."""
    if (report := unbelieved(AGENT, situation, "integration.files")) is not None:
        return report
    candidate = situation.candidate
    card = candidate.card
    assert card is not None
    found = Findings(sources=candidate.sources("export/measurements.json", *card.model_files))
    found.rows += [row for row in lane_rows(situation) if is_shipped(row) and not is_latency(row)]
    if candidate.model is None:
        why = "the run was not exported, so there is nothing to release"
        found.rows.append(blocked("integration.files", why, cause=Cause.NOT_EXPORTED))
        return found.report(AGENT, situation)
    told = f"{len(card.artifacts)} files agree with the run card and the event log"
    evidence = f"runs/{card.run_id}/models/run_card.json"
    found.facts |= {"integration.model": candidate.model.id, "integration.sha256": candidate.model.sha256}
    found.rows.append(checked("integration.files", True, told, evidence=evidence))
    _serialisation(candidate, found)
    parts = [_schema(situation, found), _dependencies(situation, found), _latency(situation), _output(situation)]
    _regressions(situation, found)
    _risk(situation, parts, found)
    return found.report(AGENT, situation)


def _serialisation(candidate: Version, found: Findings) -> None:
    card = candidate.card
    assert card is not None
    names = [name for name in card.artifacts if is_pickle(candidate.models / name)]
    told = f"pickled: {', '.join(names)}" if names else "no file of the model is a pickle"
    found.rows.append(
        checked(
            "integration.serialisation", not names, told,
            evidence=f"runs/{card.run_id}/models/run_card.json#/artifacts",
            on_failure="Write weights as safetensors: loading a pickle runs whatever it holds.",
        )
    )  # fmt: skip


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle by its name or its content, also inside of a zip as torch.save writes it."""
    if path.suffix.lower() in PICKLE_SUFFIXES:
        return True
    with path.open("rb") as file:
        head = file.read(2)
    if head in _PICKLE_PROTOCOLS:
        return True
    if head != b"PK" or not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith(".pkl") for name in archive.namelist())


def _schema(situation: Situation, found: Findings) -> Part:
    """The signature of every exported graph against production's; the row says whether callers survive."""
    name, candidate, production = "integration.schema", situation.candidate, situation.production
    evidence = f"runs/{candidate.run_id}/models/{candidate.graphs[0]}" if candidate.graphs else ""
    try:
        own = _signatures(candidate)
        other = _signatures(production) if production is not None and not production.broken else {}
    except DataError as error:
        found.rows.append(blocked(name, f"{error.message}: {error.hint}", cause=Cause.NO_VALUE))
        return Part(name="schema_drift", score=None, why=error.message)
    found.details["api_schema"] = {graph: item.as_json() for graph, item in own.items()}
    if not own:
        found.rows.append(unmeasured(name, "the model has no ONNX file whose inputs and outputs could be read"))
        return Part(name="schema_drift", score=None, why="no ONNX file")
    if production is None:
        told = f"{_told(own)}; nothing answers yet, so no caller depends on another form"
        found.rows.append(checked(name, True, told, evidence=evidence))
        return Part(name="schema_drift", score=0.0, why="first release")
    found.sources |= production.sources(*production.graphs)
    if not other:
        why = production.broken or "it has no ONNX file"
        found.rows.append(blocked(name, f"production {production.name}: {why}", cause=Cause.NO_VALUE))
        return Part(name="schema_drift", score=None, why=why)
    differing = _changes(other, own)
    found.details["api_schema_diff"] = [{"what": item.what, "breaks": item.breaks} for item in differing]
    breaking = [item.what for item in differing if item.breaks]
    listed = "; ".join(item.what for item in differing)
    told = f"{_told(own)}, as in production" if not differing else f"against production: {listed}"
    found.facts |= {"integration.schema_changes": len(differing), "integration.schema_breaking": len(breaking)}
    found.rows.append(
        checked(
            name, not breaking, told, evidence=evidence,
            on_failure="Keep names, types and shapes, or release it as another service.",
        )
    )  # fmt: skip
    return Part(name="schema_drift", score=drift(differing), why=listed or "the same signature")


def _signatures(version: Version) -> dict[str, Signature]:
    return {name: signature(version.models / name) for name in version.graphs}


def _changes(before: dict[str, Signature], after: dict[str, Signature]) -> list[Change]:
    found = [Change(what=f"{name} is gone", breaks=True) for name in sorted(set(before) - set(after))]
    found += [Change(what=f"{name} is new", breaks=False) for name in sorted(set(after) - set(before))]
    return found + [item for name in sorted(set(before) & set(after)) for item in changes(before[name], after[name])]


def _told(own: dict[str, Signature]) -> str:
    main = next(iter(own.values()))
    return f"takes {', '.join(main.inputs)} and gives {', '.join(main.outputs)}"


def _dependencies(situation: Situation, found: Findings) -> Part:
    """The candidate's lock against production's; of a first release against the present workspace's."""
    card, production = situation.candidate.card, situation.production
    assert card is not None
    if production is None:
        same = card.lock_sha256 == environment_digest(situation.workspace)
        score = dependency_score(same_lock=same, versions={"lock": ("run", "run" if same else "workspace")})
        why = "the lock of the workspace" if same else "another lock than the workspace's"
    elif production.card is None:
        return Part(name="dependencies", score=None, why=f"production {production.name}: {production.broken}")
    else:
        versions = {name: (production.card.env.get(name, ""), card.env.get(name, "")) for name in VERSIONS}
        same = production.card.lock_sha256 == card.lock_sha256
        score = dependency_score(same_lock=same, versions=versions)
        other = [f"{name} {one} -> {two}" for name, (one, two) in versions.items() if one != two]
        why = (
            "production's lock"
            if same
            else f"another lock than production's; {'; '.join(other) or 'named versions agree'}"
        )
    found.facts["integration.lock_matches"] = same
    return Part(name="dependencies", score=score, why=why)


def _latency(situation: Situation) -> Part:
    production = situation.production
    own = situation.candidate.measurement("latency_p95")
    if own is None or own.value is None:
        return Part(name="latency", score=None, why="not measured")
    if production is None:
        return Part(name="latency", score=0.0, why="first release")
    other = production.measurement("latency_p95")
    if other is None or other.value is None:
        return Part(name="latency", score=None, why="production's was not measured")
    slower = own.value - other.value
    score = latency_score(slower, drift_ms_max=situation.settings.latency_drift_ms_max)
    return Part(name="latency", score=score, why=f"P95 {slower:+.3g} ms")


def _output(situation: Situation) -> Part:
    """How differently the two versions answer the same test items."""
    production = situation.production
    if production is None:
        return Part(name="output", score=0.0, why="first release")
    metric = "" if production.measured is None else compared_metric(situation, production)
    if not metric:
        return Part(name="output", score=None, why="no items that both have answered")
    assert production.measured is not None
    assert situation.candidate.measured is not None
    try:
        apart = item_differences(production.measured, situation.candidate.measured, metric)
    except BlockedError as error:
        return Part(name="output", score=None, why=error.reason)
    score = min(1.0, float(np.abs(apart).mean()))
    return Part(name="output", score=score, why=f"{metric} of the same items differs by {score:.3g} on average")


def _regressions(situation: Situation, found: Findings) -> None:
    """Metrics of blocking gates besides the compared one may not lose more than is acceptable."""
    production, limit = situation.production, situation.settings.regression_max
    if production is None or production.measured is None:
        return
    chosen = compared_metric(situation, production)
    metrics = {row.metric: row for row in lane_rows(situation) if row.severity != "advise" and row.unit == "ratio"}
    for metric in sorted(set(metrics) - {chosen}):
        try:
            bounds = difference(situation, production, metric)
        except BlockedError:
            continue  # a value without items of its own, which the lane's gate has judged
        found.rows.append(_regression(situation, metric, bounds, limit))


def _regression(situation: Situation, metric: str, bounds: Bounds, limit: float) -> GateResult:
    sign = -1.0 if is_smaller_better(situation, metric) else 1.0
    gained, best = sign * bounds.estimate, max(sign * bounds.lower, sign * bounds.upper)
    verdict = Verdict.PASS if gained >= -limit else Verdict.FAIL if best < -limit else Verdict.INCONCLUSIVE
    value, lower, upper = span(bounds)
    measured = situation.candidate.measurement(metric)
    return compared(
        f"integration.regression.{metric}", bounds, verdict, target=-sign * limit,
        comparison=">=" if sign > 0 else "<=", unit="ratio",
        reason=f"{metric} {value} ({lower} .. {upper}) against production, a loss of {limit:g} is acceptable",
        evidence=measured.evidence if measured else "",
    )  # fmt: skip


def _risk(situation: Situation, parts: list[Part], found: Findings) -> None:
    settings = situation.settings
    risk = composite(parts, settings.risk_weights)
    measured = composite(parts, settings.risk_weights, unknown=0.0)
    limits = {"medium_from": settings.risk_medium_from, "high_from": settings.risk_high_from}
    called, verdict = level(risk, measured=measured, **limits)
    weights = settings.risk_weights.model_dump()
    found.details["risk"] = [
        {"part": part.name, "weight": weights[part.name], "score": part.score, "why": part.why} for part in parts
    ]
    found.facts |= {"integration.risk": risk, "integration.risk_level": called}
    found.facts |= {f"integration.risk_{part.name}": part.score for part in parts if part.score is not None}
    unknown = [part.name for part in parts if part.score is None]
    told = f"; not measured and so counted in full: {', '.join(unknown)}" if unknown else ""
    found.rows.append(
        GateResult(
            gate="integration.risk", metric="integration.risk", severity="block", verdict=verdict, observed=risk,
            bound=None, target=settings.risk_medium_from, comparison="<=", unit="ratio", n=None, method="plain",
            reason=f"{called} ({risk:.3g}); Medium from {settings.risk_medium_from:g} is shadow only{told}",
            evidence=f"{AGENT}.json#/details/risk",
        )
    )  # fmt: skip
