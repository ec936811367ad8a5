"""From values to percent of a drawing, and round numbers for the ticks of an axis."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

_MAX_DECIMALS = 6


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Values between `low` and `high`, as 0 .. 100 percent; `log` takes equal factors as equal steps."""

    low: float
    high: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Percent of the way; values outside stay at the edge."""
        low, high, value = (math.log(item) if self.log else item for item in (self.low, self.high, value))
        share = 100 * (value - low) / (high - low) if high > low else 50.0
        return min(100.0, max(0.0, share))

    def upwards(self, value: float) -> float:
        """The same for a vertical axis, whose 0 is on top."""
        return 100 - self(value)


def around(values: Iterable[float | None], *, padding: float = 0.12, log: bool = False) -> Scale:
    """A scale that holds all finite values with some room on both sides. Raises ValueError without a finite value."""
    found = [value for value in values if value is not None and math.isfinite(value) and not (log and value <= 0)]
    low, high = min(found), max(found)
    if log:
        factor = (high / low) ** padding if high > low else 2.0
        return Scale(low=low / factor, high=high * factor, log=True)
    room = (high - low) * padding or abs(high) * padding or 1.0
    return Scale(low=low - room, high=high + room)


def ticks(scale: Scale, *, count: int = 5) -> list[float]:
    """About `count` round values inside the scale: steps of 1, 2 or 5, or powers of ten."""
    if scale.log:
        first, last = math.ceil(math.log10(scale.low)), math.floor(math.log10(scale.high))
        powers = [10.0**power for power in range(first, last + 1)]
        return powers if len(powers) > 1 else [scale.low, scale.high]
    raw = (scale.high - scale.low) / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= raw * 0.999)
    first = math.ceil(scale.low / step - 1e-9)
    last = math.floor(scale.high / step + 1e-9)
    return [index * step for index in range(first, last + 1)]


def tick_text(value: float, all_ticks: list[float]) -> str:
    """A tick's number with as many decimals as the distance between ticks needs; powers of ten as they are."""
    steps = [abs(b - a) for a, b in pairwise(all_ticks)] or [abs(value) or 1.0]
    if max(steps) > 2 * min(steps):  # logarithmic
        return f"{value:g}"
    digits = max(0, -math.floor(math.log10(min(steps)) + 1e-9))
    return f"{value + 0.0:,.{digits}f}" if digits <= _MAX_DECIMALS else f"{value:.3g}"
