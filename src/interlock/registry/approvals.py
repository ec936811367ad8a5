"""Approvals: what needs a person's yes, what was asked and said, and what of it stands now.

    for need in needs(facts):                                     # pure, by `interlock.contracts.approval.RULES`
        require(home, need, subject=run_id, now=now)              # ApprovalError with the command that is missing
    standing(home, subject=digest, purpose="deployment", now=now) # the approval, or None

What stands is a fold over events and the time; nobody writes down that something expired. An approval counts while
every denial was known to the home that gave it: a denial that crossed it on the way wins. Writing events is done in
`interlock.registry.approving`; whether a signature is right in `interlock.registry.signed_words`.
"""

import json
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from interlock.contracts.approval import RULES, Approval, Facts, Need, Purpose, Rule, State
from interlock.errors import ApprovalError
from interlock.registry import index


@dataclass(frozen=True, kw_only=True)
class Words:
    """An event of those that approvals follow from."""

    kind: str
    subject: str
    key: str
    at: str
    host: str
    writer: str
    seq: int
    seen: Mapping[str, int]
    body: Mapping[str, Any]

    def knows(self, other: "Words") -> bool:
        """Whether the writer of this had read the other."""
        return other.seq <= (self.seq if other.writer == self.writer else self.seen.get(other.writer, 0))


@dataclass(frozen=True, kw_only=True)
class Case:
    """Everything that was said of one purpose of one subject, in the common order of events."""

    subject: str
    purpose: Purpose
    said: tuple[Words, ...] = ()
    """Requests, grants and denials."""
    uses: Mapping[str, str] = field(default_factory=dict)
    """Models in production by the key of the grant that allowed it."""
    is_there: bool = True
    """Whether a model with this digest is registered; a run may come after its approval."""

    def of_kind(self, kind: str) -> tuple[Words, ...]:
        """What was said of one kind: `requested`, `granted` or `denied`."""
        return tuple(words for words in self.said if words.kind == f"approval_{kind}")


def needs(facts: Facts) -> tuple[Need, ...]:
    """The approvals that these facts call for. A rule's fact that is None is not known, and counts as too large."""
    return tuple(
        Need(
            purpose=purpose,
            scope={name: facts.get(name) for name in rule.scope},
            because=rule.because.format_map({name: _shown(value) for name, value in facts.items()}),
        )
        for purpose, rule in RULES.items()
        if _applies(rule, facts)
    )


def _applies(rule: Rule, facts: Facts) -> bool:
    if not set(rule.when) | set(rule.above) <= set(facts):
        return False
    limits = ((facts[name], limit) for name, limit in rule.above.items())
    return all(facts[name] == value for name, value in rule.when.items()) and all(
        not isinstance(value, int | float) or not value <= limit for value, limit in limits
    )


def covers(approved: Facts, asked: Facts) -> bool:
    """Whether what was approved holds what is asked: no larger number, nothing else different."""
    return all(name in approved and _fits(approved[name], value) for name, value in asked.items())


def _fits(approved: Any, asked: Any) -> bool:
    numbers = (int, float)
    if isinstance(approved, numbers) and isinstance(asked, numbers) and not isinstance(approved, bool):
        return asked <= approved
    return bool(approved == asked)


def weigh(case: Case, *, asked: Facts | None = None, now: datetime) -> Approval | None:
    """Where a case stands at a time; None when nothing was ever said.

    With `asked`, a grant that does not cover it is void. The grant that stands longest counts, of equals the last one;
    without any, the last thing that was said.
    """
    wanted = asked if asked is not None else _last_asked(case)
    granted = [grant for grant in case.of_kind("granted") if _grant_state(case, grant, wanted, now) == "granted"]
    if granted:
        return _approval(case, max(reversed(granted), key=lambda grant: grant.body["expires_at"]), "granted")
    if not case.said:
        return None
    last = case.said[-1]
    if last.kind == "approval_requested":
        return _approval(case, last, "requested" if case.is_there else "void")
    if last.kind == "approval_denied":
        return _approval(case, last, "denied")
    return _approval(case, last, _grant_state(case, last, wanted, now))


def _last_asked(case: Case) -> Facts:
    """What is asked for now: by a request that the newest grant did not know."""
    grants = case.of_kind("granted")
    open_requests = [item for item in case.of_kind("requested") if not any(grant.knows(item) for grant in grants)]
    return dict(open_requests[-1].body["scope"]) if open_requests else {}


def _grant_state(case: Case, grant: Words, asked: Facts, now: datetime) -> State:
    if any(not grant.knows(denial) for denial in case.of_kind("denied")):
        return "denied"
    if grant.key in case.uses:
        return "used"
    if not case.is_there or not covers(dict(grant.body["scope"]), asked):
        return "void"
    return "expired" if datetime.fromisoformat(grant.body["expires_at"]) <= now else "granted"


def _approval(case: Case, words: Words, state: State) -> Approval:
    body = words.body
    note = f"{case.uses[words.key]} went into production with it" if state == "used" else ""
    if state == "void":
        note = "more is asked for now" if case.is_there else "there is no model with this digest any more"
    return Approval(
        id=words.key, subject=case.subject, purpose=case.purpose, state=state, scope=dict(body.get("scope", {})),
        lane=str(body.get("lane", "")), run=str(body["run"]), model=str(body.get("model", "")),
        because=str(body.get("because", "")), by=str(body.get("by", "")), reason=str(body.get("reason", "")),
        at=words.at, expires_at=str(body.get("expires_at", "")), host=words.host, keyid=str(body.get("keyid", "")),
        note=note,
    )  # fmt: skip


def cases(said: Iterable[Words], *, artifacts: Iterable[str]) -> tuple[Case, ...]:
    """What was said, by subject and purpose in the order of first mention; `artifacts` are digests of known models."""
    words, known = list(said), set(artifacts)
    uses = {
        str(item.body["approval"]): item.subject
        for item in words
        if item.kind == "promoted" and item.body["to"] == "production"
    }
    parts: dict[tuple[str, Purpose], list[Words]] = {}
    for item in words:
        if item.kind.startswith("approval_"):
            parts.setdefault((item.subject, item.body["purpose"]), []).append(item)
    return tuple(
        Case(
            subject=subject,
            purpose=purpose,
            said=tuple(part),
            uses=uses,
            is_there=RULES[purpose].binds == "run" or subject in known,
        )
        for (subject, purpose), part in parts.items()
    )


def read_cases(home: Path) -> tuple[Case, ...]:
    """Every case of a home."""
    with index.reading(home) as database:
        found = [_words(row) for row in database.execute("SELECT * FROM said WHERE kind != 'waived' ORDER BY event")]
        artifacts = [str(digest) for (digest,) in database.execute("SELECT sha256 FROM models")]
    return cases(found, artifacts=artifacts)


def _words(row: sqlite3.Row) -> Words:
    values = dict(row)
    del values["event"]
    return Words(**values | {"seen": json.loads(values["seen"]), "body": json.loads(values["body"])})


def approvals(home: Path, *, now: datetime) -> tuple[Approval, ...]:
    """Where every case stands, in the order in which they were first spoken of."""
    found = (weigh(case, now=now) for case in read_cases(home))
    return tuple(approval for approval in found if approval is not None)


def standing(
    home: Path, *, subject: str, purpose: Purpose, now: datetime, asked: Facts | None = None
) -> Approval | None:
    """The approval that stands for this run id or digest and covers what is asked; None without one."""
    for case in read_cases(home):
        if (case.subject, case.purpose) == (subject, purpose):
            found = weigh(case, asked=asked, now=now)
            return found if found is not None and found.state == "granted" else None
    return None


def require(home: Path, need: Need, *, subject: str, name: str, now: datetime) -> Approval:
    """The approval that covers the need. Raises ApprovalError with why there is none and how to give it.

    `name` is what a person types for the subject: a run id, or a model's name.
    """
    case = next((item for item in read_cases(home) if (item.subject, item.purpose) == (subject, need.purpose)), None)
    found = weigh(case, asked=need.scope, now=now) if case else None
    if found is not None and found.state == "granted":
        return found
    raise ApprovalError(
        f"needs a person's approval for {need.purpose}, because {need.because}; {_lacking(found)}",
        key=name,
        hint=f'interlock approve {name} --for {need.purpose} --by NAME --reason "..."',
        need=need,
        subject=subject,
    )


def _lacking(found: Approval | None) -> str:
    """Why what was said is not enough."""
    if found is None:
        return "nobody was asked yet"
    if found.state == "requested":
        return f"it was asked for on {minute(found.at)} and nobody has answered"
    if found.state == "denied":
        return f"{found.by} denied it on {minute(found.at)}: {found.reason}"
    if found.state == "expired":
        return f"the approval by {found.by} expired on {minute(found.expires_at)}"
    return f"the approval by {found.by} is {found.state}: {found.note}"


def minute(at: str) -> str:
    """A time (UTC, ISO 8601) as sentences show it."""
    return datetime.fromisoformat(at).astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def _shown(value: Any) -> str:
    """A fact inside a sentence."""
    if value is None:
        return "an unknown number of"
    if isinstance(value, dict):
        told = " and ".join(f"{name} (port {port})" for name, port in sorted(value.items()))
        return told or "live requests"
    if isinstance(value, float):
        return f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
