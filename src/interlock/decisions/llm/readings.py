"""What a provider's response says besides the form that was asked for: how it ended, in which words, at what price.

Read from the plain JSON of the body, so that it holds whatever an SDK makes of it. Pure. Does not read the proposal:
that is instructor's and the form's part.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from interlock.contracts.answer import Outcome

TOKENS_MAX = 10**9
"""Counts above are nonsense."""

_OPENAI_ENDS: Mapping[str, Outcome] = MappingProxyType({"length": Outcome.TRUNCATED, "content_filter": Outcome.REFUSED})
_ANTHROPIC_ENDS: Mapping[str, Outcome] = MappingProxyType(
    {
        "max_tokens": Outcome.TRUNCATED,
        "model_context_window_exceeded": Outcome.TRUNCATED,
        "refusal": Outcome.REFUSED,
    }
)
_GOOGLE_ENDS: Mapping[str, Outcome] = MappingProxyType(
    {
        "MAX_TOKENS": Outcome.TRUNCATED,
        "MALFORMED_FUNCTION_CALL": Outcome.MALFORMED,
        "UNEXPECTED_TOOL_CALL": Outcome.MALFORMED,
        **dict.fromkeys(
            ("SAFETY", "RECITATION", "LANGUAGE", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "IMAGE_SAFETY"),
            Outcome.REFUSED,
        ),
    }
)


@dataclass(frozen=True, kw_only=True)
class Reading:
    """A response, read."""

    outcome: Outcome | None = None
    """`refused`, `truncated`, `empty`, `malformed`, or `server_error` for a body that is no JSON object; None where
    there is something to parse."""
    told: str = ""
    words: str = ""
    """What the model said: arguments of its tool call as JSON, or its text."""
    tokens: tuple[int, int] | None = None
    """In and out; None where the provider reports none, or nonsense."""


def read(provider: str, body: bytes) -> Reading:
    """Read a successful response. Never raises for what a body holds."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):  # no JSON, no UTF-8, numbers of thousands of digits, endless nesting
        return Reading(outcome=Outcome.SERVER_ERROR, told="the response is no JSON")
    if not isinstance(data, dict):
        return Reading(outcome=Outcome.SERVER_ERROR, told="the response is no JSON object")
    return _READERS[provider](data)


def provider_message(body: bytes) -> str:
    """The vendor's own words about an error; '' where it has none."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return ""
    if isinstance(data, list):  # Google wraps some errors into a list
        data = data[0] if data else None
    found = _at(data, "error", "message") or _at(data, "error") or _at(data, "message")
    return found if isinstance(found, str) else ""


def _openai(data: dict[str, Any]) -> Reading:
    choice = _at(data, "choices", 0)
    message = _at(choice, "message")
    tokens = _tokens(_at(data, "usage", "prompt_tokens"), _at(data, "usage", "completion_tokens"))
    arguments = _at(message, "tool_calls", 0, "function", "arguments")
    words = _text(arguments) or _text(_at(message, "content"))
    refusal = _text(_at(message, "refusal"))
    if refusal:
        return Reading(outcome=Outcome.REFUSED, told=f"the model declined: {refusal}", words=refusal, tokens=tokens)
    return _ended(_OPENAI_ENDS, _at(choice, "finish_reason"), words, tokens)


def _anthropic(data: dict[str, Any]) -> Reading:
    usage = _at(data, "usage")
    cached = [_at(usage, name) or 0 for name in ("cache_creation_input_tokens", "cache_read_input_tokens")]
    tokens = _tokens(_sum(_at(usage, "input_tokens"), *cached), _at(usage, "output_tokens"))
    blocks = _at(data, "content")
    blocks = [block for block in blocks if isinstance(block, dict)] if isinstance(blocks, list) else []
    calls = [block.get("input") for block in blocks if block.get("type") == "tool_use"]
    texts = [_text(block.get("text")) for block in blocks if block.get("type") == "text"]
    words = _json(calls[0]) if calls else "\n".join(texts)
    return _ended(_ANTHROPIC_ENDS, data.get("stop_reason"), words, tokens)


def _google(data: dict[str, Any]) -> Reading:
    usage, candidate = _at(data, "usageMetadata"), _at(data, "candidates", 0)
    answered = [_at(usage, name) for name in ("candidatesTokenCount", "thoughtsTokenCount")]
    parts = _at(candidate, "content", "parts")
    parts = [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []
    calls = [part["functionCall"].get("args") for part in parts if isinstance(part.get("functionCall"), dict)]
    words = _json(calls[0]) if calls else "".join(_text(part.get("text")) for part in parts if not part.get("thought"))
    # Gemini leaves counts of zero out, so that a blocked prompt has none for its answer.
    out = None if words and answered == [None, None] else _sum(*(count or 0 for count in answered))
    tokens = _tokens(_at(usage, "promptTokenCount"), out)
    blocked = _text(_at(data, "promptFeedback", "blockReason"))
    if blocked:
        return Reading(outcome=Outcome.REFUSED, told=f"the provider blocked the prompt: {blocked}", tokens=tokens)
    return _ended(_GOOGLE_ENDS, _at(candidate, "finishReason"), words, tokens)


_READERS: Mapping[str, Callable[[dict[str, Any]], Reading]] = MappingProxyType(
    {"openai_compatible": _openai, "anthropic": _anthropic, "google": _google}
)

_TOLD: Mapping[Outcome, str] = MappingProxyType(
    {
        Outcome.TRUNCATED: "the answer ended at the limit of its length",
        Outcome.REFUSED: "the model or its provider declined to answer",
        Outcome.MALFORMED: "the model called the form in a way that its provider could not read",
    }
)


def _ended(ends: Mapping[str, Outcome], reason: object, words: str, tokens: tuple[int, int] | None) -> Reading:
    outcome = ends.get(reason) if isinstance(reason, str) else None
    if outcome is not None:
        return Reading(outcome=outcome, told=f"{_TOLD[outcome]} ({reason})", words=words, tokens=tokens)
    if not words.strip():
        return Reading(outcome=Outcome.EMPTY, told="the response has no content", tokens=tokens)
    return Reading(words=words, tokens=tokens)


def _at(data: object, *path: str | int) -> Any:
    """The value at a path, or None where the data has another form."""
    for step in path:
        if isinstance(step, str):
            data = data.get(step) if isinstance(data, dict) else None
        else:
            data = data[step] if isinstance(data, list) and len(data) > step else None
    return data


def _tokens(tokens_in: object, tokens_out: object) -> tuple[int, int] | None:
    if type(tokens_in) is not int or type(tokens_out) is not int:  # True is an int, too
        return None
    return (tokens_in, tokens_out) if 0 < tokens_in <= TOKENS_MAX and 0 <= tokens_out <= TOKENS_MAX else None


def _sum(*counts: object) -> int | None:
    numbers = [count for count in counts if type(count) is int and count >= 0]
    return sum(numbers) if len(numbers) == len(counts) else None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
