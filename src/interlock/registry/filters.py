"""A small language to pick runs by: `verdict=pass seed>=2 metrics.r_at_5>0.66 dataset~docs trained>2026-01-01`.

    wanted = parse_filter("verdict=pass metrics.r_at_5>0.66")
    wanted.matches({"verdict": "pass", "metrics.r_at_5": 0.67})        # True

Comparisons separated by spaces must all hold: `=` `!=` `<` `<=` `>` `>=`, and `~` for "contains, in any case". A value
with spaces stands in quotes. Nothing is evaluated: keys are looked up in a table, values are numbers, times or text. A
fact that a run does not have fulfils `=none` and `!=` only. There is no `or`: ask twice.
"""

import difflib
import operator
import re
import shlex
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from interlock.contracts.decision import Action
from interlock.contracts.verdict import Verdict
from interlock.errors import UsageError

Kind = Literal["text", "number", "time"]

METRICS = "metrics."
KEYS: Mapping[str, Kind] = {
    "run": "text",
    "lane": "text",
    "verdict": "text",
    "decision": "text",
    "state": "text",
    "dataset": "text",
    "model": "text",
    "commit": "text",
    "sweep": "text",
    "parent": "text",
    "seed": "number",
    "trained": "time",
}
"""What can be asked for besides `metrics.NAME`, and of which kind it is."""

_CLOSED: Mapping[str, tuple[str, ...]] = {
    "verdict": tuple(item.value for item in Verdict),
    "decision": tuple(item.value for item in Action),
}
_SHOWN_NAMES = 16
_TERM = re.compile(r"^(?P<key>[\w.]+?)\s*(?P<sign>>=|<=|!=|=|>|<|~)\s*(?P<value>.*)$", re.DOTALL)
_ORDER: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_BEGINNINGS = frozenset({"run", "commit", "sweep", "parent"})
"""Ids, which may be shortened to their beginning."""
_SIGNS: Mapping[Kind, tuple[str, ...]] = {"text": ("=", "!=", "~"), "number": tuple(_ORDER), "time": tuple(_ORDER)}


@dataclass(frozen=True, kw_only=True)
class Term:
    """One comparison."""

    key: str
    sign: str
    value: str | float | datetime | None
    """None for `none`."""
    whole_day: bool = False
    """The time was given as a date: equal is anything on that day."""

    def holds(self, fact: str | float | datetime | None) -> bool:
        """Whether it holds for this fact."""
        if self.value is None or fact is None:
            return (fact is self.value) == (self.sign == "=") if self.value is None else self.sign == "!="
        if self.sign == "~":
            return str(self.value).lower() in str(fact).lower()
        if self.key in _BEGINNINGS:
            return str(fact).startswith(str(self.value)) == (self.sign == "=")
        if self.whole_day and isinstance(fact, datetime) and self.sign in ("=", "!=", "<=", ">"):
            fact = fact.replace(hour=0, minute=0, second=0, microsecond=0)
        return _ORDER[self.sign](fact, self.value)


@dataclass(frozen=True, kw_only=True)
class Filter:
    """Comparisons that must all hold."""

    terms: tuple[Term, ...]

    @property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that are asked for, without `metrics.`."""
        return tuple(term.key.removeprefix(METRICS) for term in self.terms if term.key.startswith(METRICS))

    def matches(self, facts: Mapping[str, Any]) -> bool:
        """Whether a run with these facts, by key, is wanted."""
        return all(term.holds(facts.get(term.key)) for term in self.terms)


def parse_filter(text: str) -> Filter:
    """The filter that `text` says; no text wants every run. Raises UsageError naming what is wrong and what is near."""
    try:
        words = shlex.split(text)
    except ValueError as error:
        raise UsageError(f"a quote is not closed ({error})", key="--filter", value=text, hint=_EXAMPLE) from error
    return Filter(terms=tuple(_term(word) for word in words))


def kind_of(key: str) -> Kind:
    """Of which kind a key is. Raises UsageError with the nearest names for an unknown one."""
    if key.startswith(METRICS) and len(key) > len(METRICS):
        return "number"
    if key not in KEYS:
        raise UsageError("no such key", key=key, hint=_nearest(key, [*KEYS, METRICS + "NAME"]))
    return KEYS[key]


def refuse_unknown_metrics(wanted: Iterable[str], known: Iterable[str]) -> None:
    """Raise UsageError for a metric that no run has measured: a mistyped name would silently find nothing."""
    names = sorted(set(known))
    for name in wanted:
        if name not in names:
            raise UsageError("no run has measured it", key=METRICS + name, hint=_nearest(name, names, prefix=METRICS))


_EXAMPLE = "for example: verdict=pass seed>=2 metrics.r_at_5>0.66 dataset~docs trained>2026-01-01"


def _term(word: str) -> Term:
    match = _TERM.match(word)
    if match is None:
        raise UsageError("is no comparison", key="--filter", value=word, hint=f"KEY=VALUE, {_EXAMPLE}")
    key, sign, value = match["key"], match["sign"], match["value"].strip()
    kind = kind_of(key)
    if sign not in _SIGNS[kind]:
        raise UsageError(f"{key} is {_an(kind)}, which {sign} cannot compare", key="--filter", value=word,
                         hint=f"use {' '.join(_SIGNS[kind])}")  # fmt: skip
    if not value:
        raise UsageError("nothing stands behind the sign", key="--filter", value=word, hint=f"{key}{sign}VALUE")
    if value == "none":
        return _none(key, sign, word)
    if kind == "time":
        when, whole_day = _time(key, value)
        return Term(key=key, sign=sign, value=when, whole_day=whole_day)
    return Term(key=key, sign=sign, value=_number(key, value) if kind == "number" else _text(key, sign, value))


def _none(key: str, sign: str, word: str) -> Term:
    if sign not in ("=", "!="):
        raise UsageError("none has no order", key="--filter", value=word, hint=f"{key}=none or {key}!=none")
    return Term(key=key, sign=sign, value=None)


def _text(key: str, sign: str, value: str) -> str:
    allowed = _CLOSED.get(key)
    if allowed and sign != "~" and value not in allowed:
        raise UsageError(f"no such {key}", key=key, value=value, hint=_nearest(value, allowed))
    return value


def _number(key: str, value: str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise UsageError("needs a number", key=key, value=value, hint=f"{key}>=0.5") from error


def _time(key: str, value: str) -> tuple[datetime, bool]:
    try:
        when = datetime.fromisoformat(value)
    except ValueError as error:
        raise UsageError(
            "needs a date or a time", key=key, value=value, hint=f"{key}>2026-01-31 or {key}>2026-01-31T18:00 (UTC)"
        ) from error
    return (when if when.tzinfo else when.replace(tzinfo=UTC)), len(value) == len("2026-01-31")


def _nearest(name: str, names: Iterable[str], *, prefix: str = "") -> str:
    known = list(names)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    asked = f"did you mean {' or '.join(prefix + item for item in near)}?" if near else ""
    if near and len(known) > _SHOWN_NAMES:
        return asked
    listed = ", ".join(prefix + item for item in known[:_SHOWN_NAMES]) or "there is none yet"
    more = f" and {len(known) - _SHOWN_NAMES} more" if len(known) > _SHOWN_NAMES else ""
    return f"{asked} known: {listed}{more}".strip()


def _an(kind: Kind) -> str:
    return {"text": "text", "number": "a number", "time": "a time"}[kind]
