"""Two-sided intervals for reports. Verdicts never use them: the judge compares one-sided bounds."""

from collections.abc import Mapping
from typing import Any

from interlock.contracts.measurement import Measurement
from interlock.gates.judge import bounds_of
from interlock.gates.sample import BlockedError, ItemIds


def two_sided(
    measurements: Mapping[str, Measurement],
    *,
    scores: Mapping[str, Any],
    items: Mapping[str, ItemIds],
    seed: int,
    confidence: float = 0.95,
) -> dict[str, tuple[float, float]]:
    """The interval of every measurement that has per-item scores fit to be judged, by name."""
    found = {}
    for name in measurements:
        try:
            bounds = bounds_of(
                name, measurements, scores=scores, items=items, seed=seed, confidence=1 - (1 - confidence) / 2
            )
        except BlockedError:
            continue
        found[name] = (bounds.lower, bounds.upper)
    return found
