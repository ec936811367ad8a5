"""One comparison of bounds with a target, in the four states, and the sentence that says it.

`at_least`: lower bound >= target passes, upper bound < target fails, anything between is inconclusive; `at_most` is
the mirror image. Without an interval both bounds are the value, so the comparison is the plain one.
"""

import math

from interlock.contracts.gate import Direction
from interlock.contracts.verdict import Verdict
from interlock.gates.planning import Plan
from interlock.gates.statistics import Bounds


def compare(bounds: Bounds, *, direction: Direction, target: float) -> Verdict:
    """The verdict of these bounds against this target."""
    if direction == "at_least":
        reached, missed = bounds.lower >= target, bounds.upper < target
    else:
        reached, missed = bounds.upper <= target, bounds.lower > target
    if reached:
        return Verdict.PASS
    return Verdict.FAIL if missed else Verdict.INCONCLUSIVE


def deciding_bounds(bounds: Bounds, direction: Direction) -> tuple[float | None, float | None]:
    """The bound a pass needs and the one a fail needs; None for plain values and where the sample gives none."""
    if bounds.confidence is None:
        return None, None
    lower, upper = _finite(bounds.lower), _finite(bounds.upper)
    return (lower, upper) if direction == "at_least" else (upper, lower)


def sentence(subject: str, bounds: Bounds, *, verdict: Verdict, direction: Direction, target: float, plan: Plan) -> str:
    """One line with the numbers, e.g. `r_at_5 0.642 (95 % bound 0.617) >= 0.500, n=1204`."""
    at_least = direction == "at_least"
    if verdict is Verdict.INCONCLUSIVE:
        value, lower, upper, goal = numerals(bounds.estimate, bounds.lower, bounds.upper, target)
        between = f"{subject} {value} between: lower {lower}, upper {upper} straddle {goal}, n={bounds.n}"
        return between + _outlook(bounds, plan)
    passes = verdict is Verdict.PASS
    sign = {(True, True): ">=", (True, False): "<", (False, True): "<=", (False, False): ">"}[at_least, passes]
    if bounds.confidence is None:
        value, goal = numerals(bounds.estimate, target)
        return f"{subject} {value} {sign} {goal} (plain comparison), n={bounds.n}"
    value, bound, goal = numerals(bounds.estimate, bounds.lower if at_least is passes else bounds.upper, target)
    return f"{subject} {value} ({100 * bounds.confidence:g} % bound {bound}) {sign} {goal}, n={bounds.n}"


def numerals(*numbers: float) -> list[str]:
    """The numbers with three decimals, or as many as it takes to tell different numbers apart."""
    texts: list[str] = []
    num_different = len({math.inf if math.isinf(number) else number for number in numbers})  # both are `unknown`
    for digits in range(3, 18):
        texts = [_numeral(number, digits) for number in numbers]
        if len(set(texts)) == num_different:
            break
    return texts


def _numeral(number: float, digits: int) -> str:
    if math.isinf(number):
        return "unknown"
    tiny, huge = 0 < abs(number) < 1e-3, abs(number) >= 1e9
    return f"{number:.{digits}g}" if tiny or huge else f"{number + 0.0:.{digits}f}"


def _outlook(bounds: Bounds, plan: Plan) -> str:
    if plan.detectable is None:
        told = f"no distance is known that n={bounds.n} can tell"
    else:
        told = f"this many can tell a distance of {plan.detectable:.2g}"
    decided = f"about n={plan.needed} would decide" if plan.needed else f"no n would decide: {plan.obstacle}"
    return f"; {told}, {decided}"


def _finite(number: float) -> float | None:
    return number if math.isfinite(number) else None
