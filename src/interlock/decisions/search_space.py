"""The bounds inside which a decision may change a configuration, and the moves that stay inside them.

Keys are full configuration keys (`lane.optimizer.lr`). Only numbers can be searched. What lies outside is refused by
name; a move that leads outside is cut at the bound.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase

from interlock.contracts.decision import Number
from interlock.contracts.lane import Range
from interlock.errors import DecisionError, Fault


@dataclass(frozen=True, kw_only=True)
class Move:
    """A change of every searched key whose last part matches: new = old * factor + add."""

    key: str
    """Pattern of the key's last part, e.g. `lr` or `*negatives`."""
    factor: float = 1.0
    add: float = 0.0
    """For values that may be zero, which no factor moves; in the key's own unit."""
    if_low: bool = False
    """Only values in the lower half of their bounds, on the scale of the bounds."""


def propose(
    moves: Iterable[Move], search_space: Mapping[str, Range], current: Mapping[str, Number]
) -> dict[str, Number]:
    """New values for the keys that the moves change; empty when nothing matches or all stand at their bounds."""
    proposed: dict[str, Number] = {}
    for move in moves:
        for key in sorted(search_space.keys() & current.keys()):
            if key in proposed or not fnmatchcase(key.rpartition(".")[2], move.key):
                continue
            bounds = search_space[key]
            value = _moved(current[key], move, bounds)
            if value != current[key] and (not move.if_low or current[key] < _middle(bounds)):
                proposed[key] = value
    return proposed


def check_overrides(
    overrides: Mapping[str, Number], search_space: Mapping[str, Range], current: Mapping[str, Number]
) -> None:
    """Raise DecisionError naming every override that is outside the search space or changes nothing."""
    faults = list(override_faults(overrides, search_space, current))
    if faults:
        raise DecisionError(
            faults,
            subject="proposed overrides",
            hint="stay inside lane.search_space, or widen it in conf/, where everybody sees it",
        )


def override_faults(
    overrides: Mapping[str, Number], search_space: Mapping[str, Range], current: Mapping[str, Number]
) -> Iterator[Fault]:
    """One fault for each override that may not be made."""
    for key, value in sorted(overrides.items()):
        if key not in search_space:
            nearest = get_close_matches(key, search_space, n=1)
            yield Fault(
                key=key,
                problem="is not in the search space",
                value=value,
                allowed=tuple(sorted(search_space)),
                nearest=nearest[0] if nearest else "",
            )
            continue
        problem = _problem(value, search_space[key])
        if not problem and value == current.get(key):
            problem = "is the present value, so nothing would change"
        if problem:
            yield Fault(key=key, problem=problem, value=value)


def _problem(value: object, bounds: Range) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return "is not a finite number"
    if bounds.integer and not isinstance(value, int):
        return "is not a whole number"
    if not bounds.low <= value <= bounds.high:
        return f"lies outside {bounds.low:g} .. {bounds.high:g}"
    return ""


def _moved(value: Number, move: Move, bounds: Range) -> Number:
    """The value after the move, inside the bounds, with six significant digits so that it reads well in a file."""
    moved = float(f"{value * move.factor + move.add:.6g}")
    if bounds.integer or isinstance(value, int):
        rounded = math.ceil(moved) if moved > value else math.floor(moved)
        return min(max(rounded, math.ceil(bounds.low)), math.floor(bounds.high))
    return min(max(moved, bounds.low), bounds.high)


def _middle(bounds: Range) -> float:
    return math.sqrt(bounds.low * bounds.high) if bounds.scale == "log" else (bounds.low + bounds.high) / 2
