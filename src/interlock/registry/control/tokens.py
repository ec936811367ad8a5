"""Who may ask: two bearer tokens, one for agents and workers, one for people.

An agent that held a person's token could approve its own work, so the two are different secrets and never the same
text. Where the environment gives none, `interlock serve` makes them once and keeps them readable by their owner alone.
"""

import hmac
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from interlock.errors import UsageError

Scope = Literal["agent", "person"]

VARIABLES: dict[Scope, str] = {"agent": "INTERLOCK_CONTROL_TOKEN", "person": "INTERLOCK_APPROVER_TOKEN"}
FILES: dict[Scope, str] = {"agent": "control.token", "person": "approver.token"}
LENGTH_MIN = 24
"""Shorter tokens can be guessed."""


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """The two secrets; not shown when printed."""

    agent: str = field(repr=False)
    person: str = field(repr=False)

    def scope_of(self, given: str) -> Scope | None:
        """Whose token it is; None for neither. Takes the same time wherever the texts differ."""
        is_person = _equal(given, self.person)
        is_agent = _equal(given, self.agent)
        return "person" if is_person else "agent" if is_agent else None


def tokens(home: Path, environment: Mapping[str, str] = os.environ) -> Tokens:
    """The tokens of this home, made where there are none. Raises UsageError for a short one, or two that are equal."""
    found: dict[Scope, str] = {scope: _token(home, scope, environment, make=True) for scope in VARIABLES}
    if _equal(found["agent"], found["person"]):
        raise UsageError(
            "the tokens of agents and of people are the same: whoever works could approve its own work",
            key=VARIABLES["person"],
            hint=f"give {VARIABLES['person']} another value than {VARIABLES['agent']}",
        )
    return Tokens(**found)


def agent_token(home: Path, environment: Mapping[str, str] = os.environ) -> str:
    """The token of a worker on this machine; empty where there is none. Raises UsageError for a short one."""
    return _token(home, "agent", environment, make=False)


def token_path(home: Path, scope: Scope) -> Path:
    """Where a token is kept that no variable gives."""
    return home / "state" / FILES[scope]


def _token(home: Path, scope: Scope, environment: Mapping[str, str], *, make: bool) -> str:
    variable, path = VARIABLES[scope], token_path(home, scope)
    token = environment.get(variable, "").strip()
    source = variable
    if not token:
        if make:
            _make(path)
        token, source = path.read_text().strip() if path.is_file() else "", str(path)
    if token and (len(token) < LENGTH_MIN or not token.isascii() or not token.isprintable() or " " in token):
        raise UsageError(
            f"a token is at least {LENGTH_MIN} printable ASCII characters without blanks",
            key=source,
            hint="take the output of: python -c 'import secrets; print(secrets.token_urlsafe(32))'",
        )
    return token


def _make(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
    except FileExistsError:
        pass


def _equal(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode("utf-8", "surrogateescape"))
