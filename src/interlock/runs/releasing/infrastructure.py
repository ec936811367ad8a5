"""The infrastructure monitor's report: environment, latency, resources.

Compares the environment in which the candidate was made and measured with the one at hand, and the latency of its
exported file with the target and with production's. Utilisation of live machines is not measured yet, and said so.
"""

from typing import Any

from interlock.contracts.card import RunCard
from interlock.contracts.release import ExecutiveReport
from interlock.contracts.verdict import Verdict
from interlock.gates.comparison import compare
from interlock.gates.sample import BlockedError, Sample, checked_sample
from interlock.gates.statistics import Bounds, quantile_bounds
from interlock.provenance.environment import environment, environment_digest, lock_drift
from interlock.registry.layout import CARD
from interlock.runs.releasing.rows import blocked, checked, compared, span, unmeasured
from interlock.runs.releasing.situation import Findings, Situation, is_latency, lane_rows, unbelieved
from interlock.runs.releasing.version import Version

AGENT = "infrastructure_monitor"
VERSIONS = ("python_version", "pytorch_version", "onnxruntime_version", "faiss_version", "numpy_version")
QUANTILES = {"latency_p50": 0.5, "latency_p95": 0.95, "latency_p99": 0.99}
RESOURCE_FAULTS = ("out of memory", "out_of_memory", "disk", "quota", "no space")
"""Words of recovery that tell of a resource that ran out."""
_SHOWN = 5


def infrastructure_report(situation: Situation) -> ExecutiveReport:
    """What the monitor answers for."""
    if (report := unbelieved(AGENT, situation, "environment")) is not None:
        return report
    found = Findings(sources=situation.candidate.sources("export/measurements.json"))
    _environment(situation, found)
    _latency(situation, found)
    _resources(situation, found)
    return found.report(AGENT, situation)


def _environment(situation: Situation, found: Findings) -> None:
    card = situation.candidate.card
    assert card is not None
    evidence = f"runs/{card.run_id}/models/{CARD}"
    drift = lock_drift(situation.workspace)
    present = environment_digest(situation.workspace, drift)
    found.facts |= {
        "environment.run_lock_sha256": card.lock_sha256,
        "environment.present_lock_sha256": present,
        "environment.drifted_packages": len(drift),
    }
    found.details["lock_drift"] = list(drift)
    same = card.lock_sha256 == present
    told = "made with the present lock and packages" if same else "made with another lock or other packages"
    found.rows.append(
        checked(
            "environment.lock", same, f"{told}, {present[:12]} now",
            evidence=f"{evidence}#/lock_sha256", otherwise=Verdict.INCONCLUSIVE,
            on_failure="Make and measure the run again with the present lock.",
        )
    )  # fmt: skip
    listed = "; ".join(drift[:_SHOWN]) + (f"; and {len(drift) - _SHOWN} more" if len(drift) > _SHOWN else "")
    found.rows.append(
        checked(
            "environment.drift", not drift, listed or "every installed package is the locked one",
            evidence="requirements.lock", otherwise=Verdict.INCONCLUSIVE, on_failure="Install the lock.",
        )
    )  # fmt: skip
    _machine(card, found)


def _machine(card: RunCard, found: Findings) -> None:
    """Versions and machine class of the run against those at hand."""
    evidence, here = f"runs/{card.run_id}/models/{CARD}", environment()
    differing = [name for name in VERSIONS if card.env.get(name, "") != here[name]]
    other = [f"{name} {card.env.get(name) or 'unknown'} then, {here[name] or 'none'} now" for name in differing]
    found.facts |= {f"environment.{name}": card.env[name] for name in VERSIONS if card.env.get(name)}
    found.rows.append(
        checked(
            "environment.versions", not other, "; ".join(other) or "the versions of the run are the present ones",
            evidence=f"{evidence}#/env", otherwise=Verdict.INCONCLUSIVE,
        )
    )  # fmt: skip
    made_on, is_here = card.observations.machine_class, here["machine_class"]
    found.facts["environment.machine_class"] = made_on or "unknown"
    same_class = made_on.rpartition("/")[0] == is_here.rpartition("/")[0] != ""
    told = f"made on {made_on or 'an unknown machine'}" + ("" if same_class else f", this machine is {is_here}")
    found.rows.append(
        checked(
            "environment.machine", same_class, told, evidence=f"{evidence}#/observations/machine_class",
            otherwise=Verdict.INCONCLUSIVE, on_failure="Measure the exported file on the machine that will answer.",
        )
    )  # fmt: skip


def _latency(situation: Situation, found: Findings) -> None:
    candidate, production, settings = situation.candidate, situation.production, situation.settings
    found.rows += [row for row in lane_rows(situation) if is_latency(row)]
    own = _p95(candidate)
    if own is None:
        why = "latency_p95 of the exported file was not measured"
        found.rows.append(blocked("latency.target", why, on_failure="Let the lane's export measure it."))
        return
    found.facts |= _milliseconds(candidate, "latency.candidate")
    bounds = quantile_bounds(own.scores, 0.95, confidence=settings.confidence) if own.scores is not None else None
    if bounds is None:
        found.rows.append(blocked("latency.target", "latency_p95 has no timed requests, so that it has no bound"))
        return
    limit = settings.latency_p95_ms_max
    value, _, upper = span(bounds)
    found.rows.append(
        compared(
            "latency.target", bounds, compare(bounds, direction="at_most", target=limit), target=limit,
            comparison="<=", unit="ms", reason=f"P95 {value} ms (bound {upper}) against {limit:g} ms, n={bounds.n}",
            evidence=own.measurement.evidence,
        )
    )  # fmt: skip
    if production is None:
        return
    found.sources |= production.sources("export/measurements.json")
    found.facts |= _milliseconds(production, "latency.production")
    _drift(situation, own, production, found)


def _drift(situation: Situation, own: Sample, production: Version, found: Findings) -> None:
    """P95 against production's.

    The bound of the difference is that of one side less that of the other, each with half of the error: safe and wide.
    """
    limit, confidence = situation.settings.latency_drift_ms_max, situation.settings.confidence
    name, other = "latency.drift", None if production.broken else _p95(production)
    if other is None or own.scores is None or other.scores is None:
        why = production.broken or "its latency was not measured"
        found.rows.append(blocked(name, f"production {production.name}: {why}"))
        return
    each = 1.0 - (1.0 - confidence) / 2.0
    mine, theirs = (quantile_bounds(item.scores, 0.95, confidence=each) for item in (own, other))  # type: ignore[arg-type]
    drift = Bounds(
        estimate=mine.estimate - theirs.estimate, lower=mine.lower - theirs.upper, upper=mine.upper - theirs.lower,
        confidence=confidence, method="order-statistic", n=min(mine.n, theirs.n),
    )  # fmt: skip
    verdict = compare(drift, direction="at_most", target=limit)
    value, _, upper = span(drift)
    reason = f"P95 {value} ms against production's (bound {upper}), {limit:g} ms more are allowed, n={drift.n}"
    if (machines := _timed_on(own, other)) and verdict is not Verdict.FAIL:
        verdict, reason = Verdict.INCONCLUSIVE, f"{reason}; timed on different machines: {machines}"
    found.facts["latency.drift_ms"] = round(drift.estimate, 6)
    found.rows.append(
        compared(
            name, drift, verdict, target=limit, comparison="<=", unit="ms", reason=reason,
            evidence=own.measurement.evidence, on_failure="Time both exported files on one machine.",
        )
    )  # fmt: skip


def _timed_on(own: Sample, other: Sample) -> str:
    """Both machines where they differ; the measurement's remark names what was timed, where and with what."""
    one, two = own.measurement.reason, other.measurement.reason
    return "" if one == two else f"{one or 'unknown'} / {two or 'unknown'}"


def _p95(version: Version) -> Sample | None:
    measured = version.measured
    if measured is None or version.measurement("latency_p95") is None:
        return None
    try:
        return checked_sample("latency_p95", measured.measurements, scores=measured.scores, items=measured.items)
    except BlockedError:
        return None


def _milliseconds(version: Version, prefix: str) -> dict[str, bool | int | float | str]:
    found: dict[str, bool | int | float | str] = {}
    for name in QUANTILES:
        measurement = version.measurement(name)
        if measurement is not None and measurement.value is not None:
            found[f"{prefix}_{name.rpartition('_')[2]}_ms"] = round(measurement.value, 6)
    return found


def _resources(situation: Situation, found: Findings) -> None:
    card = situation.candidate.card
    assert card is not None
    observed = card.observations
    spend: Any = observed.spend
    found.facts |= {
        "resources.duration_mins": observed.duration_mins,
        "resources.compute_hours": spend.compute_hours,
        "resources.faults_healed": len(observed.recovery),
    }
    ran_out = [told for told in observed.recovery if any(word in told.lower() for word in RESOURCE_FAULTS)]
    found.rows.append(
        checked(
            "resources.faults", not ran_out, "; ".join(ran_out) or "no memory, disk or quota ran out on the way to it",
            evidence=f"runs/{card.run_id}/models/{CARD}#/observations/recovery", otherwise=Verdict.INCONCLUSIVE,
            severity="advise",
        )
    )  # fmt: skip
    found.rows.append(
        unmeasured("resources.utilisation", "no machine that answers requests is watched yet", severity="advise")
    )
