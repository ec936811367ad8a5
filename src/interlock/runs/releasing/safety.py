"""The quality and safety officer's report: compliance, production, service levels, the way back, what people said.

Compares with production item by item, where both scored the same test items. A first release has nothing to compare
with and nothing to go back to: it needs a reference baseline that it beats, and a person's approval. The time that a
rollback takes is not measured yet, and said so.
"""

from datetime import UTC, datetime

from interlock.contracts.release import ExecutiveReport
from interlock.contracts.verdict import Cause, GateResult, Verdict, worst
from interlock.gates.sample import BlockedError
from interlock.gates.statistics import Bounds
from interlock.registry.approvals import needs, standing
from interlock.registry.layout import CARD
from interlock.registry.live import live_facts
from interlock.registry.waivers import standing_waiver
from interlock.runs.releasing.rows import blocked, checked, compared, span, unmeasured
from interlock.runs.releasing.shadow import SHADOW, level_rows
from interlock.runs.releasing.situation import Findings, Situation, is_latency, is_shipped, lane_rows, unbelieved
from interlock.runs.releasing.version import Version
from interlock.runs.review.comparing import paired_bounds

AGENT = "quality_safety_officer"
_DAY_S = 86_400


def safety_report(situation: Situation) -> ExecutiveReport:
    """What the officer answers for."""
    if (report := unbelieved(AGENT, situation, "compliance")) is not None:
        return report
    found = Findings(sources=situation.candidate.measured_sources)
    _compliance(situation, found)
    _lineage(situation, found)
    if situation.production is None:
        _first_release(situation, found)
    else:
        _against(situation, situation.production, found)
        _way_back(situation, situation.production, found)
    _people(situation, found)
    _service_levels(situation, found)
    return found.report(AGENT, situation)


def _compliance(situation: Situation, found: Findings) -> None:
    judgement = situation.candidate.judgement
    if judgement is None:
        why = "the run was never judged, or its judgement is not the one that was recorded"
        found.rows.append(blocked("compliance", why, on_failure=f"interlock judge {situation.candidate.run_id}"))
        return
    found.facts |= {
        "compliance.judgement_id": judgement.judgement_id,
        "compliance.verdict": str(judgement.verdict),
        "compliance.gates": len(judgement.rows),
        "compliance.gates_passed": sum(row.verdict is Verdict.PASS for row in judgement.rows),
    }
    found.rows += [row for row in judgement.rows if not is_latency(row) and not is_shipped(row)]
    current = judgement.gates_sha256 == situation.gates_sha256
    told = "judged by the present gates of the lane" if current else "judged by other gates than the lane has now"
    found.rows.append(
        checked(
            "compliance.gates", current, told, evidence=_file(situation), otherwise=Verdict.INCONCLUSIVE,
            on_failure=f"Judge it by the present ones: interlock judge {judgement.run_id}",
        )
    )  # fmt: skip


def _lineage(situation: Situation, found: Findings) -> None:
    card = situation.candidate.card
    assert card is not None
    unpassed = card.observations.unpassed_inputs
    verdict = worst(Verdict(said) if said in set(Verdict) else Verdict.BLOCKED for said in unpassed.values())
    told = "; ".join(f"input {name}: {said}" for name, said in sorted(unpassed.items()))
    found.rows.append(
        checked(
            "lineage.inputs", not unpassed, told or "every run that it was made from has passed",
            evidence=f"runs/{card.run_id}/models/{CARD}#/observations/unpassed_inputs",
            otherwise=Verdict.FAIL if verdict is Verdict.FAIL else Verdict.INCONCLUSIVE,
        )
    )  # fmt: skip
    waiver = standing_waiver(situation.home, card.run_id, now=situation.now)
    told = f"{waiver.by} waived its verdict: {waiver.reason}" if waiver else "nobody waived its verdict"
    found.rows.append(
        checked(
            "lineage.waiver", waiver is None, told, evidence="registry/events.jsonl", otherwise=Verdict.INCONCLUSIVE
        )
    )


def _first_release(situation: Situation, found: Findings) -> None:
    """No version of the lane answers now."""
    beaten = [
        row.gate
        for row in lane_rows(situation)
        if row.baseline_sha256 is not None and row.severity != "advise" and row.verdict is Verdict.PASS
    ]
    told = (
        f"it beats its reference: {', '.join(beaten)}" if beaten else "no deciding gate shows that it beats a reference"
    )
    found.facts["production.model"] = "none"
    found.rows.append(
        checked(
            "production.reference", bool(beaten), told, evidence=_file(situation), otherwise=Verdict.INCONCLUSIVE,
            on_failure="Add a gate of kind baseline to the lane in conf/gate/ and judge again.",
        )
    )  # fmt: skip


def _against(situation: Situation, production: Version, found: Findings) -> None:
    """The compared metric, item by item, with a two-sided interval."""
    found.facts["production.model"] = production.name
    found.sources |= production.measured_sources
    name = "production.difference"
    if production.broken or production.measured is None:
        found.rows.append(blocked(name, f"production {production.name}: {production.broken}", cause=Cause.NO_VALUE))
        return
    metric = compared_metric(situation, production)
    if not metric:
        why = "no metric of a blocking gate, and none of release.compared, has scores of items in both versions"
        found.rows.append(unmeasured(name, why))
        return
    found.facts["production.metric"] = metric
    try:
        bounds = difference(situation, production, metric)
    except BlockedError as error:
        found.rows.append(blocked(name, error.reason, cause=error.cause))
        return
    found.rows.append(_difference_row(situation, production, metric, bounds))


def _difference_row(situation: Situation, production: Version, metric: str, bounds: Bounds) -> GateResult:
    smaller = is_smaller_better(situation, metric)
    better, worse = (bounds.upper < 0, bounds.lower > 0) if smaller else (bounds.lower > 0, bounds.upper < 0)
    verdict = Verdict.PASS if better else Verdict.FAIL if worse else Verdict.INCONCLUSIVE
    meaning = {
        Verdict.PASS: "better than production",
        Verdict.FAIL: "worse than production",
        Verdict.INCONCLUSIVE: "the interval holds zero, so nobody knows which is better",
    }[verdict]
    value, lower, upper = span(bounds)
    measured = situation.candidate.measurement(metric)
    return compared(
        "production.difference", bounds, verdict, target=0.0, comparison="<=" if smaller else ">=",
        unit=measured.unit if measured else "",
        reason=f"{metric} {value} ({lower} .. {upper}) against {production.name}, n={bounds.n}: {meaning}",
        evidence=measured.evidence if measured else "",
        on_failure="" if verdict is Verdict.PASS else "Keep production, or measure both versions on more test items: "
        "more items tell smaller differences.",
    )  # fmt: skip


def compared_metric(situation: Situation, production: Version) -> str:
    """The metric by which two versions are compared; empty where there is none."""
    candidate, settings = situation.candidate, situation.settings
    gated = [row.metric for row in lane_rows(situation) if row.severity != "advise" and not is_latency(row)]
    for metric in (*settings.compared, *gated):
        found = [version.measurement(metric) for version in (candidate, production)]
        if all(item is not None and item.scores is not None for item in found):
            return metric
    return ""


def difference(situation: Situation, production: Version, metric: str) -> Bounds:
    """Candidate less production over the same items, two-sided. Raises BlockedError where they cannot be compared."""
    one, other = production.measured, situation.candidate.measured
    assert one is not None
    assert other is not None
    each = 1.0 - (1.0 - situation.settings.confidence) / 2.0
    return paired_bounds(one, other, metric, confidence=each)


def is_smaller_better(situation: Situation, metric: str) -> bool:
    """As the lane's gates declare it; larger is better where no gate speaks of the metric."""
    return any(row.metric == metric and row.comparison == "<=" for row in lane_rows(situation))


def _way_back(situation: Situation, production: Version, found: Findings) -> None:
    """The version that a rollback would put back: its bytes were verified just now."""
    ready = not production.broken and not situation.contested_by
    if production.broken:
        told = f"{production.name} could not be put back: {production.broken}"
    elif situation.contested_by:
        told = f"{production.name} and {', '.join(situation.contested_by)} both claim production"
    else:
        told = f"{production.name} can be put back: its files are in the archive and verify"
    row = checked("rollback.ready", ready, told, evidence="registry/events.jsonl", otherwise=Verdict.INCONCLUSIVE)
    found.rows.append(blocked("rollback.ready", told, cause=Cause.NO_VALUE) if production.broken else row)
    found.facts["rollback.model"] = production.name
    card, own = production.card, situation.candidate.card
    if card is not None and own is not None:
        made = card.observations.created_at
        found.facts["rollback.made_at"] = datetime.fromtimestamp(made, UTC).isoformat()
        found.facts["rollback.older_by_days"] = round((own.observations.created_at - made) / _DAY_S, 3)
    found.rows.append(unmeasured("rollback.time", "no drill has timed a rollback yet", severity="advise", unit="s"))


def _people(situation: Situation, found: Findings) -> None:
    """Approvals that going live needs. Of a first release it decides; of a later one the promotion asks for it."""
    model = situation.candidate.model
    if model is None:
        return
    for need in needs(live_facts(situation.home, situation.lane, to="production", services=situation.services)):
        given = standing(
            situation.home, subject=model.sha256, purpose=need.purpose, now=situation.now, asked=need.scope
        )
        told = f"{given.by} approved it: {given.reason}" if given else f"nobody approved it: {need.because}"
        found.rows.append(
            checked(
                f"approval.{need.purpose}", given is not None, told, evidence="registry/events.jsonl",
                otherwise=Verdict.INCONCLUSIVE, severity="block" if need.purpose == "first_release" else "advise",
                on_failure=f"interlock approve {model.id} --for {need.purpose} --by NAME --reason WHY",
            )
        )  # fmt: skip


def _service_levels(situation: Situation, found: Findings) -> None:
    shadow = situation.shadow
    if shadow is not None:
        found.sources[f"evidence:{SHADOW}"] = shadow.sha256
        found.facts |= {"shadow.requests": shadow.report.requests, "shadow.duration_s": shadow.report.duration_s}
    found.rows += level_rows(
        situation.settings.service_levels, shadow, kind=situation.kind, is_first=situation.production is None
    )


def _file(situation: Situation) -> str:
    path = situation.candidate.judgement_file
    return path.relative_to(situation.home).as_posix() if path else ""
