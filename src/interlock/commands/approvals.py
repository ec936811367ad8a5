"""Commands in which a person says something: approve, deny, waive, and the list of what was asked and said."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from interlock.commands.control import agents, services
from interlock.commands.screen import print_json, say
from interlock.contracts.approval import Approval, Purpose, Waiver
from interlock.errors import InterlockError, UsageError
from interlock.provenance.workspace import interlock_home
from interlock.registry.approvals import minute
from interlock.registry.persons import Told

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_STYLES = {"requested": "yellow", "granted": "green", "denied": "red", "void": "red", "standing": "bold red"}


def approve(
    workspace: Path,
    subject: str,
    *,
    purpose: str,
    by: str,
    reason: str,
    expires: str,
    digest: str = "",
    attempts: int | None = None,
    as_json: bool,
) -> None:
    """Grant an approval."""
    from interlock.registry.approving import Configured
    from interlock.registry.approving import approve as granted

    found = granted(
        interlock_home(workspace),
        subject,
        purpose=_purpose(purpose),
        told=Told(by=by, reason=reason, expires=expires, agents=agents(workspace)),
        now=_now(),
        digest=digest,
        max_attempts=attempts,
        configured=Configured(services=services(workspace)),
    )
    _told(found, as_json=as_json)


def deny(workspace: Path, subject: str, *, purpose: str, by: str, reason: str, as_json: bool) -> None:
    """Refuse a request, or take an approval back."""
    from interlock.registry.approving import deny as denied

    told = Told(by=by, reason=reason, agents=agents(workspace))
    found = denied(interlock_home(workspace), subject, purpose=_purpose(purpose), told=told, now=_now())
    _told(found, as_json=as_json)


def waive(workspace: Path, run: str, *, by: str, reason: str, expires: str, as_json: bool) -> None:
    """Go on after an inconclusive verdict."""
    from interlock.registry.waivers import shown_waiver
    from interlock.registry.waiving import waive as waived
    from interlock.runs.tracked.results import track_again

    home = interlock_home(workspace)
    told = Told(by=by, reason=reason, expires=expires, agents=agents(workspace))
    found = waived(home, run, told=told, now=_now())
    params = workspace / "params" / f"{found.lane}.yaml"
    if said := track_again(home, found.run_id, params=params, workspace=workspace):
        say(said)
    if as_json:
        print_json(found)
        return
    _print(f"run {found.run_id}", f"[bold red]{_plain(shown_waiver(found))}[/]")
    say("The verdict stays inconclusive. Its model, if it has one, may go into shadow and no further.")


def list_approvals(workspace: Path, *, key: Path | None, as_json: bool) -> None:
    """What waits for a person, what was said, and every waiver."""
    from interlock.registry.approvals import approvals
    from interlock.registry.waivers import waivers

    home, now = interlock_home(workspace), _now()
    found: tuple[Approval, ...] = approvals(home, now=now)
    waived: tuple[Waiver, ...] = waivers(home, now=now)
    signatures = _signatures(home, key)
    if as_json:
        signed = {"approvals": [_json(item, signatures) for item in found]}
        print_json(signed | {"waivers": [_json(item, signatures) for item in waived]})
        return
    if not found and not waived:
        say("nobody was asked for anything yet, and nothing was waived")
        return
    for item in sorted(found, key=lambda item: item.state != "requested"):
        _print(*_approval_lines(item, signatures.get(item.id)))
    for waiver in waived:
        _print(*_waiver_lines(waiver, signatures.get(waiver.id)))


def _json(item: Approval | Waiver, signatures: dict[str, str]) -> dict[str, Any]:
    return item.model_dump(mode="json") | {"signature": signatures.get(item.id)}


def _approval_lines(item: Approval, signature: str | None) -> list[str]:
    subject = item.model or item.run
    head = f"[{_STYLES.get(item.state, 'dim')}]{item.state:<9}[/] [bold]{item.purpose}[/] of {subject}"
    lines = [head + (f"  until {minute(item.expires_at)}" if item.expires_at else "")]
    if item.by:
        lines.append(f"          {_plain(item.by)} on {item.host}, {minute(item.at)}: {_plain(item.reason)}")
    if item.because:
        lines.append(f"          because {_plain(item.because)}")
    if item.state == "requested":
        attempts = f" --attempts {item.scope['max_attempts']}" if item.purpose == "more_attempts" else ""
        lines.append(f'          interlock approve {subject} --for {item.purpose}{attempts} --by NAME --reason "..."')
    if item.note:
        lines.append(f"          {_plain(item.note)}")
    bound = f"digest {item.subject[:16]}..." if item.model else f"run {item.subject}"
    lines.append(f"          [dim]{item.id[:12]}, bound to {bound}{_scope(item)}{_signed(item.keyid, signature)}[/]")
    return lines


def _waiver_lines(item: Waiver, signature: str | None) -> list[str]:
    style = _STYLES.get(item.state, "dim")
    return [
        f"[{style}]{item.state:<9}[/] [bold]waiver[/] of {item.run_id}  until {minute(item.expires_at)}",
        f"          {_plain(item.by)}, {minute(item.at)}: {_plain(item.reason)}",
        f"          [dim]{item.id[:12]}, bound to judgement {item.judgement_id[:16]}..."
        f"{_signed(item.keyid, signature)}[/]",
    ]


def _scope(item: Approval) -> str:
    told = [
        " and ".join(f"{service} (port {port})" for service, port in value.items())
        if isinstance(value, dict)
        else f"{name.replace('_', ' ')} {value}"
        for name, value in item.scope.items()
        if value not in ({}, None)
    ]
    return f", for {', '.join(told)}" if told else ""


def _signed(keyid: str, signature: str | None) -> str:
    if signature:
        return f", {signature}"
    return f", signed with key {keyid[:12]} (not checked)" if keyid else ", not signed"


def _signatures(home: Path, key: Path | None) -> dict[str, str]:
    """By id, what a public key says of the words; nothing without a key."""
    if key is None:
        return {}
    from interlock.provenance.signing import load_public
    from interlock.registry.events import union

    public = load_public(key)
    kinds = ("approval_granted", "approval_denied", "waived")
    events = [line.event for line in union(home) if line.event.kind in kinds]
    return {event.key: _checked(event.body, event.subject, public) for event in events}


def _checked(body: dict[str, Any], subject: str, key: "Ed25519PublicKey") -> str:
    from interlock.registry.signed_words import check

    try:
        check(body, subject=subject, key=key)
    except InterlockError as error:
        return f"NOT PROVEN: {error.message}"
    return "signature holds"


def _told(found: Approval, *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    _print(*_approval_lines(found, None))
    say("others see it after interlock push")


def _purpose(text: str) -> Purpose:
    if text not in get_args(Purpose):
        raise UsageError("no such purpose", key="--for", value=text, hint=" or ".join(get_args(Purpose)))
    return text  # type: ignore[return-value]


def _now() -> datetime:
    return datetime.now(UTC)


def _plain(words: str) -> str:
    from rich.markup import escape

    return escape(words)


def _print(*lines: str) -> None:
    from rich.console import Console

    console = Console(highlight=False)
    for line in lines:
        console.print(line, soft_wrap=True)
