"""Who says something and until when: a person's name, words that are kept, and a time that is near enough.

Nobody is asked to prove that the name is theirs; a signing key does that (`interlock.registry.signed_words`).
"""

import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from interlock.errors import UsageError
from interlock.provenance.environment import redact_text

TEXT_MAX_CHARS = 500
_DURATION = re.compile(r"(?P<number>\d+(\.\d+)?)(?P<unit>[mhd])")
_SECONDS = {"m": 60.0, "h": 3600.0, "d": 86400.0}
_AGENT = re.compile(
    r"(architect|conductor|monitor|healer|operations|planning|ops_commander|infrastructure_monitor|time_validator"
    r"|quality_safety_officer|ml_implementer|(dir|mgr|worker|director|manager|agent|bot)_\w+|interlock|agent|bot"
    r"|rules|llm|claude(_sonnet\w*|_opus\w*|_haiku\w*|_\d\w*)?|gemini(_pro\w*|_flash\w*|_\d\w*)?|gpt(_?\d\w*)?"
    r"|deepseek\w*)"
)
"""Names of roles that are filled by rules or language models, and of such models."""


@dataclass(frozen=True, kw_only=True)
class Told:
    """What a person types with an answer."""

    by: str
    reason: str
    expires: str = "24h"
    """`90m`, `24h`, `7d`, or a time (ISO 8601 with its zone)."""
    agents: Collection[str] = ()
    """Configured agents: none of them is a person."""


def person(key: str, text: str, agents: Collection[str]) -> str:
    """Who speaks. Raises UsageError for nobody and for an agent."""
    name = words(key, text)
    plain_name = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
    if plain_name in {re.sub(r"[^a-z0-9]+", "_", agent.lower()) for agent in agents} or _AGENT.fullmatch(plain_name):
        raise UsageError(
            "this is an agent, and only a person may say yes or no", key=key, value=text, hint="a person's own name"
        )
    return name


def words(key: str, text: str) -> str:
    """What is kept of a person's words. Raises UsageError for none or too many.

    What cannot be seen is left out: it would make an empty name, hide an agent's, or speak to the reader's terminal.
    """
    seen = "".join(sign for sign in " ".join(text.split()) if sign.isprintable())
    kept = redact_text(seen.strip())
    if not kept or len(kept) > TEXT_MAX_CHARS:
        raise UsageError(f"needs 1 to {TEXT_MAX_CHARS} characters", key=key, value=text, hint="who and why is kept")
    return kept


def expiry(text: str, *, now: datetime, days_max: float) -> str:
    """When it ends (UTC, ISO 8601). Raises UsageError for a time that is past, too far, or none."""
    match = _DURATION.fullmatch(text.strip())
    hint = f"write a duration as 90m, 24h or 7d, or a time as 2026-01-31T18:00+00:00; at most {days_max:g} days ahead"
    if match:
        seconds = float(match["number"]) * _SECONDS[match["unit"]]
        end = now + timedelta(seconds=min(seconds, (days_max + 1.0) * 86400.0))
    else:
        try:
            end = datetime.fromisoformat(text.strip())
        except ValueError:
            raise UsageError("is neither a duration nor a time", key="--expires", value=text, hint=hint) from None
        if end.tzinfo is None:
            raise UsageError("the time has no zone", key="--expires", value=text, hint=hint)
    if end <= now:
        raise UsageError("is in the past", key="--expires", value=text, hint=hint)
    if end > now + timedelta(days=days_max):
        raise UsageError(f"is more than {days_max:g} days ahead", key="--expires", value=text, hint=hint)
    return end.astimezone(UTC).isoformat(timespec="seconds")
