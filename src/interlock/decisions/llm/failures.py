"""What follows from a failure of a language model, as tables, and how a failure is told.

    outcome                                       what follows
    malformed schema guard                        its faults go back to the model, `corrections_max` times
    timeout rate_limited server_error unreachable the same is sent again after a pause, `retries_max` times
    everything else                               the end of the question

Does not look at bodies: `readings` says how a response ended.
"""

import unicodedata
from collections.abc import Iterable, Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from types import MappingProxyType

from interlock.contracts.answer import Message, Outcome
from interlock.provenance.environment import REDACTED, redact_text

CORRECTED = frozenset({Outcome.MALFORMED, Outcome.SCHEMA, Outcome.GUARD})
"""The model is told what was wrong and may answer again."""
RETRIED = frozenset({Outcome.TIMEOUT, Outcome.RATE_LIMITED, Outcome.SERVER_ERROR, Outcome.UNREACHABLE})
"""Trouble on the way: the same request may work a moment later."""
_UNBILLED = frozenset({Outcome.RATE_LIMITED, Outcome.SERVER_ERROR, Outcome.REJECTED})
"""With a status that says so, no model worked."""

_STATUS: Mapping[int, Outcome] = MappingProxyType({408: Outcome.TIMEOUT, 429: Outcome.RATE_LIMITED})

PAUSE_FIRST_S, PAUSE_MAX_S = 0.5, 8.0
"""Waits before a retry double from the first to the longest, each shortened by up to half at random."""
RETRY_AFTER_MAX_S = 60.0
"""A provider that asks for a longer wait is not asked again: the next model is."""

TOLD_CHARACTERS = 300
FAULTS_MAX = 20
WORDS_MAX = 8000
"""Characters of a refused answer that are shown to the model again."""
KEY_CHARACTERS_MIN = 8
"""Shorter keys (`x`, `none` of local servers) are no secrets and would be found everywhere."""


def status_outcome(status: int) -> Outcome | None:
    """What an HTTP status means; None for success."""
    if 200 <= status < 300:
        return None
    if status in _STATUS:
        return _STATUS[status]
    return Outcome.SERVER_ERROR if status >= 500 else Outcome.REJECTED


def is_billed(outcome: Outcome, status: int | None) -> bool:
    """Whether a model may have worked on a request: where nobody knows, e.g. after a time-out, it has."""
    if outcome is Outcome.UNREACHABLE:
        return False
    return outcome not in _UNBILLED or status is None or status_outcome(status) is None


def pause_s(retry: int, *, asked_s: float | None, jitter: float) -> float | None:
    """Wait before retry number `retry` (from 0); `jitter` 0..1. None: the provider wants a longer one than we give."""
    if asked_s is not None:
        return asked_s if asked_s <= RETRY_AFTER_MAX_S else None
    return float(min(PAUSE_MAX_S, PAUSE_FIRST_S * 2**retry) * (1 - jitter / 2))


def retry_after_s(header: str, now: datetime) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or a date; None without one that makes sense."""
    text = header.strip()
    if text.replace(".", "", 1).isascii() and text.replace(".", "", 1).isdigit():
        return float(text[:12])
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, OverflowError):
        return None
    return max(0.0, (moment - now).total_seconds()) if moment.tzinfo else None


def one_line(text: str, *, key: str = "", characters: int = TOLD_CHARACTERS) -> str:
    """The text for a record: one line, no control or invisible characters, no credentials, not too long."""
    text = text[: 50 * characters]  # nobody reads on, and the patterns below need time
    clean = "".join(" " if unicodedata.category(sign).startswith(("C", "Z")) else sign for sign in text)
    clean = redact_text(without_key(" ".join(clean.split()), key))
    return clean if len(clean) <= characters else clean[: characters - 3] + "..."


def without_key(text: str, key: str) -> str:
    """The text with the key blacked out, wherever a provider repeated it."""
    return text.replace(key, REDACTED) if len(key) >= KEY_CHARACTERS_MIN else text


def correction(words: str, faults: Iterable[str]) -> tuple[Message, Message]:
    """The refused answer and what was wrong with it, as the next two messages."""
    named = list(faults)
    lines = [f"- {one_line(fault)}" for fault in named[:FAULTS_MAX]]
    if len(named) > FAULTS_MAX:
        lines.append(f"- and {len(named) - FAULTS_MAX} more")
    told = "\n".join(("That answer was not accepted:", *lines, "Answer again, in full and in the form asked for."))
    said = words[:WORDS_MAX].encode("utf-8", errors="replace").decode()  # a lone surrogate cannot be sent
    said = said if said.strip() else "(no readable answer)"  # vendors refuse empty messages
    return Message(role="assistant", content=said), Message(role="user", content=told)
