"""Has a training converged, or is it stalled? Pure functions over the loss of each epoch; no torch, no files.

The loss is smoothed by a trailing mean over a third of the window. All changes are taken relative to the first
epoch's loss: a contrastive loss that falls from 5 to 0.05 has settled long before its *relative* change gets small.
Does not judge quality: a converged model may still fail every gate.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from interlock.lanes.training.config import ConvergenceRule
from interlock.recovery import curves

Trend = Literal["improving", "flat", "rising", "unknown"]


@dataclass(frozen=True, kw_only=True)
class Convergence:
    """The answer and one sentence with the numbers in it."""

    converged: bool
    reason: str
    trend: Trend
    """What the loss does at the end; `unknown` where there is too little of it."""


def judge_convergence(losses: Sequence[float], rule: ConvergenceRule, *, early_stopped: bool) -> Convergence:
    """Judge the mean training loss of each epoch, oldest first.

    Not finite, too short and rising block before anything else; then early stopping, the threshold and a flat window
    each suffice; what is left is still improving, which blocks with the advice to raise the epochs.
    """
    if not losses or not all(math.isfinite(loss) for loss in losses):
        return _no("no training loss was recorded" if not losses else "the training loss is not finite", "unknown")
    if len(losses) < 2:
        too_short = _no("one epoch shows no trend: raise epochs", "unknown")
        return _under_threshold(losses[-1], rule, "unknown") or too_short
    window, start, end = _window(losses, rule)
    limit = rule.tolerance * curves.scale(losses)
    trend: Trend = "rising" if end - start > limit else "improving" if start - end >= limit else "flat"
    span = f"over the last {window} epochs ({start:.4g} -> {end:.4g}, tolerance {limit:.3g})"
    if trend == "rising":
        return _no(f"training loss is rising {span}: lower the learning rate", trend)
    if early_stopped:
        return _yes(f"early stopping ended the run after {len(losses)} epochs", trend)
    if under := _under_threshold(end, rule, trend):
        return under
    if trend == "flat":
        return _yes(f"training loss is flat {span}", trend)
    return _no(f"training loss is still improving {span}: raise epochs", trend)


def is_overfitting(training: Sequence[float], validation: Sequence[float], rule: ConvergenceRule) -> bool:
    """True when validation has become worse since its best epoch, by more than the tolerance, while training improved.

    Both are the losses of each epoch, oldest first; the tolerance is the same share of the first validation loss.
    """
    return curves.is_overfitting(training, validation, tolerance=rule.tolerance)


def overfits_lastingly(training: Sequence[float], validation: Sequence[float], rule: ConvergenceRule) -> bool:
    """True when the last window of epochs was all overfitting: training stops, whatever the patience."""
    return curves.overfits_lastingly(training, validation, tolerance=rule.tolerance, window_epochs=rule.window_epochs)


def is_stalled(losses: Sequence[float], rule: ConvergenceRule) -> bool:
    """True when a whole window after the first epoch brought no loss under the first one, all above 90 % of it."""
    return curves.is_stalled(losses, window_epochs=rule.window_epochs)


def _window(losses: Sequence[float], rule: ConvergenceRule) -> tuple[int, float, float]:
    window = min(rule.window_epochs, len(losses) // 2)
    width = max(1, window // 3)
    before, last = losses[: len(losses) - window], losses[-width:]
    return window, _mean(before[-width:]), _mean(last)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _under_threshold(loss: float, rule: ConvergenceRule, trend: Trend) -> Convergence | None:
    if rule.loss_under is None or loss >= rule.loss_under:
        return None
    return _yes(f"training loss {loss:.4g} is under {rule.loss_under:g}", trend)


def _yes(reason: str, trend: Trend) -> Convergence:
    return Convergence(converged=True, reason=reason, trend=trend)


def _no(reason: str, trend: Trend) -> Convergence:
    return Convergence(converged=False, reason=reason, trend=trend)
