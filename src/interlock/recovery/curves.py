"""Reading loss curves for faults: stalled, overfitting, restless. Pure; `lanes.training.convergence` uses them too.

Losses are means of one epoch each, oldest first, in the loss's own unit. Does not judge whether a training converged.
"""

import math
from collections.abc import Sequence

STALLED_ABOVE = 0.9
"""A run is only stalled while its loss is above this share of the initial one."""
RESTLESS_SPREAD = 0.05
"""A stalled loss that moves by more than this share of its first value is restless, else flat."""


def is_stalled(losses: Sequence[float], *, window_epochs: int) -> bool:
    """True when a whole window after the first epoch brought no loss under the first one, all above 90 % of it."""
    if len(losses) <= window_epochs:
        return False
    first, recent = losses[0], losses[-window_epochs:]
    floor = first - (1 - STALLED_ABOVE) * abs(first)
    return min(recent) >= first and min(recent) > floor


def is_overfitting(training: Sequence[float], validation: Sequence[float], *, tolerance: float) -> bool:
    """True when validation has become worse since its best epoch, by more than the tolerance, while training improved.

    The tolerance is a share of the first validation loss.
    """
    if len(validation) < 2 or len(training) != len(validation):
        return False
    best = min(range(len(validation)), key=validation.__getitem__)
    worse = validation[-1] - validation[best]
    return worse > tolerance * scale(validation) and training[-1] < training[best]


def overfits_lastingly(
    training: Sequence[float], validation: Sequence[float], *, tolerance: float, window_epochs: int
) -> bool:
    """True when the last `window_epochs` epochs were all overfitting: time to stop and keep the best."""
    ends = range(len(validation) - window_epochs + 1, len(validation) + 1)
    return len(validation) > window_epochs and all(
        is_overfitting(training[:end], validation[:end], tolerance=tolerance) for end in ends
    )


def is_restless(losses: Sequence[float]) -> bool:
    """True when the loss moves about instead of standing still: the learning rate is rather too high than too low."""
    return bool(losses) and max(losses) - min(losses) > RESTLESS_SPREAD * scale(losses)


def scale(losses: Sequence[float]) -> float:
    """What changes are taken relative to: the first loss, never zero."""
    return max(abs(losses[0]), math.ulp(1.0))
