"""Holm's procedure over the gates of one family: any wrong pass among them in at most 1 - confidence of all samples.

Holm 1979, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6. Of m gates a
first one must pass at 1 - alpha / m; what passes leaves, and the k that wait are asked again at 1 - alpha / k, until
none passes. This is Holm's step-down without p-values: a gate passes at 1 - a exactly when its one-sided p-value is at
most a. No independence is assumed.

Only passes are shared out. A fail is judged on the other bound at the gate's own confidence, as if it stood alone:
being in a family takes a pass away or leaves it, and never hides a miss. Blocked gates count in m: they wait and never
pass, so that losing a measurement makes nobody else's test easier.

A release that needs every gate to pass needs no family: all of m gates pass wrongly at most as often as one of them
does. A family is for gates that are read one by one ("better on A, and on C"), where any of m could pass by luck.

Does not cover fails of a family being wrong jointly: m healthy gates fail wrongly up to m times as often as one.
"""

from collections.abc import Callable, Iterable


def step_down(names: Iterable[str], passes: Callable[[str, float], bool], *, confidence: float) -> dict[str, float]:
    """The confidence at which each gate is asked last: those that pass there are passed by Holm, all others are not.

    Args:
        names: All gates of the family.
        passes: Whether a gate passes on its one-sided bound of this confidence; more confidence never helps it.
        confidence: Of the family as a whole.
    """
    waiting: set[str] = set(names)
    levels: dict[str, float] = {}
    while waiting:
        level = confidence if len(waiting) == 1 else 1 - (1 - confidence) / len(waiting)
        levels |= dict.fromkeys(waiting, level)
        passed = {name for name in waiting if passes(name, level)}
        if not passed:
            break
        waiting -= passed
    return levels
