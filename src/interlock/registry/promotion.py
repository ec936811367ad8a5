"""Move a model between stages: check that the move exists and is allowed, then write it down as an event.

    promote(home, "query_tower_docs", to="staging", by="Ada", reason="beats BM25")
    roll_back(home, "query_tower_docs", by="Ada", reason="errors")
    withdraw(home, "query_tower_docs", to="retired", by="Ada", reason="superseded")

Forward needs a pass under the present gates; a stage that answers live requests also needs a person's approval of
exactly these bytes, and the first release of a lane a pass against a reference baseline. Back never waits: a rollback
asks for intact files and for a model that was in production before.

The event is the source; who holds a stage follows from the events of everybody (`interlock.registry.stages`). What was
true when a model was promoted is not looked at again here: `interlock status` and `interlock verify` do that.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from interlock.contracts.verdict import Judgement, Verdict
from interlock.errors import RegistryError, UsageError
from interlock.provenance.attempts import run_lock
from interlock.provenance.canonical import plain
from interlock.registry import index
from interlock.registry.approvals import needs, require
from interlock.registry.archive import read_card
from interlock.registry.events import Proposal, append_new, union
from interlock.registry.holders import holders
from interlock.registry.judged import newest_judgement
from interlock.registry.live import live_facts, refuse_broken
from interlock.registry.persons import words
from interlock.registry.queries import ModelRow, show_model
from interlock.registry.stages import HELD, LIVE, TRANSITIONS, Promoted, Stage, Target, Way, Withdrawn
from interlock.registry.waivers import standing_waiver

LOCK_WAIT_S = 60.0
_AIMED = ("promote", "demote")
"""Commands that are told where to go."""


@dataclass(frozen=True, kw_only=True)
class Present:
    """What the configuration and the clock say now."""

    gates_sha256: str | None = None
    """Digest of the lane's gates: the newest judgement must have used them; None takes any."""
    services: Mapping[str, int] = field(default_factory=dict)
    """Ports of the lane's production services by name."""
    now: datetime | None = None
    """The time; None asks the clock."""


def promote(
    home: Path,
    model: str,
    *,
    to: Target,
    by: str,
    reason: str,
    share_percent: float | None = None,
    present: Present = Present(),
) -> tuple[str, Promoted]:
    """Promote a model, given by its name or a beginning of it; returns its name and what was written down.

    `share_percent` (0 to 100, both excluded) is of a canary. Raises UsageError for an unknown model, an illegal move or
    empty words, RegistryError when the newest judgement is no pass or of other gates, ApprovalError when a person has
    to say yes first, ProvenanceError when a byte of the run differs.
    """
    by, reason = words("--by", by), words("--reason", reason)
    _refuse_share(to, share_percent)
    with run_lock(home, "promotion", wait_s=LOCK_WAIT_S):
        row = show_model(home, model).model
        _refuse_illegal(row, to, way="promote", share_percent=share_percent)
        refuse_broken(home, row)
        lane = read_card(home, row.run_id).lane
        waiver = standing_waiver(home, row.run_id, now=_now(present)) if to == "shadow" else None
        judgement = _allowing(home, row, lane=lane, present=present, waived=waiver.judgement_id if waiver else None)
        approval = _approval(home, row, judgement, to=to, present=present)
        promoted = Promoted(
            lane=lane, before=row.stage, to=to, by=by, reason=reason, run_id=row.run_id, sha256=row.sha256,
            judgement_id=judgement.judgement_id, replaces=_in_the_way(home, row, lane=lane, to=to),
            share_percent=share_percent, approval=approval,
            waiver=waiver.id if waiver and judgement.verdict is not Verdict.PASS else None,
        )  # fmt: skip
        _write(home, Proposal(kind="promoted", subject=row.id, body=plain(promoted)))
    return row.id, promoted


def roll_back(home: Path, model: str, *, to: str = "", by: str, reason: str) -> tuple[str, Promoted | Withdrawn]:
    """Take a model out of production or canary; in production the model before it, or `to`, takes its place again.

    Returns whom the event is about: the model that was put back, or the one that left where there is none to put back.
    Raises UsageError for a model that is in neither or was never in production, ProvenanceError when a byte of the run
    to put back differs.
    """
    told = {"by": words("--by", by), "reason": words("--reason", reason)}
    with run_lock(home, "promotion", wait_s=LOCK_WAIT_S):
        bad = show_model(home, model).model
        if bad.stage not in ("production", "canary"):
            hint = "interlock registry list shows who is; interlock registry retire takes a model out of any stage"
            raise UsageError(f"{bad.id} is in {bad.stage}, not in production or canary", key="MODEL", hint=hint)
        lane = read_card(home, bad.run_id).lane
        entries = _released(home, lane)
        good = show_model(home, to).model if to else _before(home, entries, bad)
        if good is None or bad.stage == "canary":
            return _withdrawn(home, bad, lane=lane, to="rolled_back", told=told)
        _refuse_unreleased(good, bad, entries)
        refuse_broken(home, good)
        promoted = Promoted(
            lane=lane, before=good.stage, to="production", by=told["by"], reason=told["reason"],
            run_id=good.run_id, sha256=good.sha256,
            judgement_id=entries[good.id], replaces=_in_the_way(home, good, lane=lane, to="production"),
            rolls_back=bad.id,
        )  # fmt: skip
        _write(home, Proposal(kind="promoted", subject=good.id, body=plain(promoted)))
    return good.id, promoted


def withdraw(home: Path, model: str, *, to: Stage, by: str, reason: str) -> tuple[str, Withdrawn]:
    """Move a model one step back, or retire it. Raises UsageError for an unknown model or a move that is not there."""
    told = {"by": words("--by", by), "reason": words("--reason", reason)}
    with run_lock(home, "promotion", wait_s=LOCK_WAIT_S):
        row = show_model(home, model).model
        _refuse_illegal(row, to, way="retire" if to == "retired" else "demote")
        name, event = _withdrawn(home, row, lane=read_card(home, row.run_id).lane, to=to, told=told)
    return name, event


def _withdrawn(home: Path, row: ModelRow, *, lane: str, to: Stage, told: Mapping[str, str]) -> tuple[str, Withdrawn]:
    replaces = _in_the_way(home, row, lane=lane, to=to)
    body = {"lane": lane, "before": row.stage, "to": to, **told, "run_id": row.run_id, "sha256": row.sha256}
    event = Withdrawn.model_validate({**body, "replaces": replaces})
    _write(home, Proposal(kind="withdrawn", subject=row.id, body=plain(event)))
    return row.id, event


def _write(home: Path, proposal: Proposal) -> None:
    append_new(home, [proposal])
    index.refresh(home)


def _now(present: Present) -> datetime:
    return present.now or datetime.now(UTC)


def _in_the_way(home: Path, row: ModelRow, *, lane: str, to: Stage) -> tuple[str, ...]:
    """Other models that hold the stage."""
    held = {name for item in holders(home) if (item.lane, item.stage) == (lane, to) for name in item.models}
    return tuple(sorted(held - {row.id}))


def _refuse_share(to: Target, share_percent: float | None) -> None:
    if (to == "canary") == (share_percent is not None) and (share_percent is None or 0.0 < share_percent < 100.0):
        return
    problem = "only a canary has a share" if to != "canary" else "a canary needs a share of more than 0 and under 100"
    raise UsageError(problem, key="--share", value=share_percent, hint="--to canary --share 5; all of it is production")


def _refuse_illegal(row: ModelRow, to: Stage, *, way: Way, share_percent: float | None = None) -> None:
    ways, stage = TRANSITIONS[row.stage], row.stage
    is_new = stage != to or (share_percent is not None and share_percent != row.share_percent)
    if (ways.get(to) == way and is_new) or (stage == to and row.contested_by and way == "promote"):
        return
    problem = "it is there already" if stage == to else f"from {stage} there is no way to it"
    raise UsageError(f"{row.id}: {problem}", key="--to", value=to, hint=_ways_out(row, to))


def _ways_out(row: ModelRow, to: Stage) -> str:
    """The commands that move the model from where it is."""
    ways = TRANSITIONS[row.stage]
    by_command: dict[str, list[str]] = {}
    for name, command in ways.items():
        by_command.setdefault(command, []).append(name)
    told = [
        f"interlock registry {command} {row.id}" + (f" --to {' or '.join(names)}" if command in _AIMED else "")
        for command, names in by_command.items()
        if command != "rollback" or row.stage in LIVE
    ]
    if ways.get(to) == "rollback":
        told.append(f"interlock registry rollback of the model in production, --to {row.id}")
    return "; ".join(told)


def _released(home: Path, lane: str) -> dict[str, str]:
    """Models of the lane that were in production and the judgement each rested on then, the latest last."""
    found: dict[str, str] = {}
    for line in union(home):
        body = line.event.body
        if line.event.kind == "promoted" and (body["lane"], body["to"]) == (lane, "production"):
            found.pop(line.event.subject, None)
            found[line.event.subject] = str(body["judgement_id"])
    return found


def _before(home: Path, entries: Mapping[str, str], bad: ModelRow) -> ModelRow | None:
    """The model that stood in production last before this one and was not rolled back itself."""
    earlier = list(entries)[: list(entries).index(bad.id)] if bad.id in entries else list(entries)
    rows = (show_model(home, name).model for name in reversed(earlier))
    return next((row for row in rows if row.stage == "retired"), None)


def _refuse_unreleased(good: ModelRow, bad: ModelRow, entries: Mapping[str, str]) -> None:
    if good.id != bad.id and good.id in entries and good.stage not in HELD:
        return
    was = [name for name in entries if name != bad.id]
    raise UsageError(
        f"{good.id} is in {good.stage} and " + ("was in production" if good.id in entries else "never in production"),
        key="--to",
        hint=f"a rollback puts back one of: {', '.join(was) or 'nothing: no other model was in production'}",
    )


def _approval(home: Path, row: ModelRow, judgement: Judgement, *, to: Target, present: Present) -> str | None:
    """The approval that allows it, when it needs one. Raises ApprovalError, RegistryError."""
    facts = live_facts(home, judgement.lane, to=to, services=present.services)
    found = None
    for need in needs(facts):
        if need.purpose == "first_release" and not _beats_a_baseline(judgement):
            raise RegistryError(
                f"the first release of lane {judgement.lane} is judged against a reference baseline, and no deciding "
                "gate of its newest judgement compares with one",
                key=row.id,
                hint="add a gate of kind baseline to the lane in conf/gate/, then interlock judge " + row.run_id,
            )
        found = require(home, need, subject=row.sha256, name=row.id, now=_now(present)).id
    return found


def _beats_a_baseline(judgement: Judgement) -> bool:
    return any(row.baseline_sha256 is not None and row.severity != "advise" for row in judgement.rows)


def _allowing(home: Path, row: ModelRow, *, lane: str, present: Present, waived: str | None) -> Judgement:
    """The newest judgement of the run under its lane's gates; raises unless it is a pass, or the one `waived`."""
    way_out = f"interlock judge {row.run_id}"
    newest = newest_judgement(home, row.run_id, lane=lane)
    if newest is None:
        raise RegistryError("was never judged", key=row.id, hint=way_out)
    _, judgement = newest
    is_waived = judgement.verdict is Verdict.INCONCLUSIVE and judgement.judgement_id == waived
    if judgement.verdict is not Verdict.PASS and not is_waived:
        raise RegistryError(
            f"only a pass moves forward, and the newest verdict is {judgement.verdict}",
            key=row.id,
            hint=f"interlock runs show {row.run_id} gives the reasons; a changed gate needs a new judgement: {way_out}",
        )
    if present.gates_sha256 is not None and judgement.gates_sha256 != present.gates_sha256:
        raise RegistryError(
            f"its newest judgement used other gates than those of lane {lane} in conf/ and params.yaml",
            key=row.id,
            hint=f"judge it by the present ones: {way_out}",
        )
    return judgement
