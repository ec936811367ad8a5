"""Ask a person, and write down what the person says: requests, approvals, denials.

    ask(home, need, subject=run_id, lane="query_tower", run=run_id)
    approve(home, "3f2a", purpose="cluster_time", told=Told(by="Ada", reason="...", expires="24h"), now=now)

A grant is written only for what needs one and is there: the model with its present bytes, or a run that somebody asked
about. Who types a name is believed; a signing key (`INTERLOCK_SIGNING_KEY`) adds a proof. Agents have no say.
"""

import difflib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from interlock.contracts.approval import RULES, Approval, Denied, Facts, Granted, Need, Purpose, Requested
from interlock.errors import ApprovalError, ProvenanceError, RegistryError, UsageError
from interlock.provenance.canonical import plain
from interlock.registry import index
from interlock.registry.approvals import needs, read_cases, standing, weigh
from interlock.registry.events import Proposal, append_new
from interlock.registry.live import live_facts, refuse_broken
from interlock.registry.persons import Told, expiry, person, words
from interlock.registry.queries import ModelRow, list_models, list_runs
from interlock.registry.signed_words import signed

_SHOWN = 6


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What an approval is about."""

    name: str
    """As a person types it."""
    run: str
    lane: str
    model: ModelRow | None
    """None before the run gave one."""


@dataclass(frozen=True, kw_only=True)
class Configured:
    """What the configuration adds to the facts."""

    services: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Ports of production services by name, by lane."""


def ask(home: Path, need: Need, *, subject: str, lane: str, run: str, model: str = "") -> None:
    """Write down that a person is asked, unless the very same question stands."""
    body = Requested(purpose=need.purpose, scope=need.scope, because=need.because, lane=lane, run=run, model=model)
    for case in read_cases(home):
        if (case.subject, case.purpose) == (subject, need.purpose) and case.said:
            last = case.said[-1]
            if last.kind == "approval_requested" and dict(last.body["scope"]) == plain(need.scope):
                return
    _write(home, "approval_requested", subject, body)


def approve(
    home: Path,
    name: str,
    *,
    purpose: Purpose,
    told: Told,
    now: datetime,
    digest: str = "",
    max_attempts: int | None = None,
    configured: Configured = Configured(),
) -> Approval:
    """Grant it, bound to what is there now.

    Raises UsageError for an unknown subject, an agent, empty words or a wrong time, RegistryError for what needs no
    approval or cannot have one, ProvenanceError when the model is not the one with this digest.
    """
    by, reason = person("--by", told.by, told.agents), words("--reason", told.reason)
    expires_at = expiry(told.expires, now=now, days_max=RULES[purpose].valid_days_max)
    subject = find_subject(home, name)
    bound_to = _bound_to(home, subject, purpose, digest=digest)
    scope = _scope(home, subject, purpose, max_attempts=max_attempts, configured=configured)
    body = Granted(
        by=by, reason=reason, purpose=purpose, scope=scope, expires_at=expires_at,
        lane=subject.lane, run=subject.run, model=_model_name(subject, purpose),
    )  # fmt: skip
    _write(home, "approval_granted", bound_to, signed(body, subject=bound_to))
    found = standing(home, subject=bound_to, purpose=purpose, now=now, asked=scope)
    if found is None:
        raise ApprovalError(
            "it was written down, but a denial that this home has not read yet takes precedence", key=subject.name
        )
    return found


def deny(home: Path, name: str, *, purpose: Purpose, told: Told, now: datetime) -> Approval:
    """Refuse a request, or take an approval back; the newest word counts. Raises as `approve` does."""
    by, reason = person("--by", told.by, told.agents), words("--reason", told.reason)
    subject = find_subject(home, name)
    bound_to = _bound_to(home, subject, purpose, digest="", is_denial=True)
    case = next((item for item in read_cases(home) if (item.subject, item.purpose) == (bound_to, purpose)), None)
    before = weigh(case, now=now) if case else None
    if before is None or before.state in ("denied", "used", "void"):
        state = "nobody asked for it" if before is None else f"it is {before.state} already"
        raise RegistryError(
            f"there is nothing to deny: {state}", key=f"{name} --for {purpose}", hint="interlock approvals list"
        )
    body = Denied(by=by, reason=reason, purpose=purpose, run=subject.run, model=_model_name(subject, purpose))
    _write(home, "approval_denied", bound_to, signed(body, subject=bound_to))
    (case,) = (item for item in read_cases(home) if (item.subject, item.purpose) == (bound_to, purpose))
    found = weigh(case, now=now)
    assert found is not None
    return found


def find_subject(home: Path, text: str) -> Subject:
    """The model or run that a person means: a name, a run id, the beginning of one, or a digest of 64 digits.

    Raises UsageError naming the nearest, ProvenanceError for a digest that no model has now.
    """
    models = {model.id: model for model in list_models(home)}
    asked = {case.said[-1].body["run"]: str(case.said[-1].body.get("lane", "")) for case in read_cases(home)}
    runs = asked | {row.run_id: row.lane for row in list_runs(home)}
    bare = text.removeprefix("sha256:")
    if re.fullmatch(r"[0-9a-f]{64}", bare):
        return _by_digest(bare, models.values(), runs)
    known = [*models, *runs]
    found = [text] if text in known else [name for name in known if text and name.startswith(text)]
    if len(found) != 1:
        raise _unknown(text, found or known, is_short=bool(found))
    model = models.get(found[0]) or next((item for item in models.values() if item.run_id == found[0]), None)
    run = model.run_id if model else found[0]
    return Subject(name=found[0], run=run, lane=runs.get(run, ""), model=model)


def _by_digest(digest: str, models: Collection[ModelRow], runs: Mapping[str, str]) -> Subject:
    for model in models:
        if model.sha256 == digest:
            return Subject(name=model.id, run=model.run_id, lane=runs.get(model.run_id, ""), model=model)
    raise ProvenanceError(
        "no registered model has this digest", key="SUBJECT", value=digest,
        hint="an approval is bound to the exact bytes; interlock registry list shows what is there now",
    )  # fmt: skip


def _unknown(text: str, candidates: list[str], *, is_short: bool) -> UsageError:
    near = difflib.get_close_matches(text, candidates, n=1, cutoff=0.5)
    listed = ", ".join(candidates[:_SHOWN]) or "there is none yet"
    if len(candidates) > _SHOWN:
        listed += f" and {len(candidates) - _SHOWN} more"
    hint = f"give more of it: {listed}" if is_short else f"did you mean {near[0]}?" if near else f"known: {listed}"
    problem = "begins the name of more than one run or model" if is_short else "no such run or model"
    return UsageError(problem, key="SUBJECT", value=text, hint=hint)


def _bound_to(home: Path, subject: Subject, purpose: Purpose, *, digest: str, is_denial: bool = False) -> str:
    """The run id, or the digest of the model as it is on disk now. Raises for a model that is missing or changed."""
    if RULES[purpose].binds == "run":
        if digest:
            raise UsageError(f"{purpose} is bound to the run, not to a digest", key="--digest", value=digest)
        return subject.run
    if subject.model is None:
        raise RegistryError(
            f"{purpose} is bound to a model, and this run has none", key=subject.name, hint="its gates must pass first"
        )
    wanted = digest.removeprefix("sha256:")
    if wanted and (len(wanted) < 8 or not subject.model.sha256.startswith(wanted)):
        raise ProvenanceError(
            f"{subject.model.id} has another digest now: {subject.model.sha256}", key="--digest", value=digest,
            hint="look at what changed before you approve it",
        )  # fmt: skip
    if not is_denial:
        refuse_broken(home, subject.model)
    return subject.model.sha256


def _scope(
    home: Path, subject: Subject, purpose: Purpose, *, max_attempts: int | None, configured: Configured
) -> Facts:
    """The facts that are approved. Raises RegistryError where no approval is needed or would help."""
    if (purpose == "more_attempts") != (max_attempts is not None):
        problem = "is needed with more_attempts" if max_attempts is None else "belongs to more_attempts alone"
        raise UsageError(problem, key="--attempts", value=max_attempts, hint="--for more_attempts --attempts 5")
    if max_attempts is not None:
        return {"max_attempts": max_attempts}
    if subject.model is not None and RULES[purpose].binds == "artifact":
        return _live_scope(home, subject.model, subject.lane, purpose, configured)
    for case in read_cases(home):
        if (case.subject, case.purpose) == (subject.run, purpose) and case.of_kind("requested"):
            return dict(case.of_kind("requested")[-1].body["scope"])
    raise RegistryError(
        f"nothing asks for an approval for {purpose} of this run", key=subject.name,
        hint="interlock approvals list shows what waits for a person; work that needs one asks for it when it starts",
    )  # fmt: skip


def _live_scope(home: Path, model: ModelRow, lane: str, purpose: Purpose, configured: Configured) -> Facts:
    if model.stage == "production":
        raise RegistryError("it is in production already and needs no approval", key=model.id)
    if model.verdict != "pass":
        raise RegistryError(
            f"only a pass goes live, and its verdict is {model.verdict or 'missing'}: no approval changes that",
            key=model.id,
            hint=f"interlock runs show {model.run_id} gives the reasons",
        )
    facts = live_facts(home, lane, to="production", services=configured.services.get(lane, {}))
    needed = {need.purpose: need for need in needs(facts)}
    if purpose not in needed:
        raise RegistryError(
            f"it needs no approval for {purpose}", key=model.id, hint=f"it needs one for: {', '.join(needed)}"
        )
    return needed[purpose].scope


def _model_name(subject: Subject, purpose: Purpose) -> str:
    return subject.model.id if subject.model is not None and RULES[purpose].binds == "artifact" else ""


def _write(home: Path, kind: Any, subject: str, body: Any) -> None:
    append_new(home, [Proposal(kind=kind, subject=subject, body=plain(body))])
    index.refresh(home)
