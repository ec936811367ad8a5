"""Two-sided intervals of everything that a run measured, computed on all processors at hand.

    intervals = side_by_side(measured)      # the same numbers as measured.intervals()

Each measurement has random numbers of its own, so that neither the order nor the number of threads moves a digit; the
bootstrap spends its time in NumPy outside the interpreter's lock. A comparison of two runs needs none of these
intervals: it has its own, of the paired differences.
"""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from interlock.gates.intervals import two_sided
from interlock.gates.judge import seed_of
from interlock.stages.verdicts import Measured

T = TypeVar("T")
MAX_THREADS = 4
"""More of them wait for each other's memory."""


def side_by_side(measured: Measured, *, threads: int | None = None) -> dict[str, tuple[float, float]]:
    """95 % intervals by measurement name, in the order of the measurements; only where there are fit per-item scores.

    Args:
        measured: A run.
        threads: How many measurements are resampled at a time, at least 1; by default as many as this process has
            processors, up to MAX_THREADS.
    """
    seed = seed_of(measured.run_id)

    def one(name: str) -> dict[str, tuple[float, float]]:
        alone = {name: measured.measurements[name]}
        return two_sided(alone, scores=measured.scores, items=measured.items, seed=seed)

    found = for_each(one, measured.measurements, threads=threads)
    return {name: interval for each in found for name, interval in each.items()}


def for_each(work: Callable[[str], T], names: Iterable[str], *, threads: int | None = None) -> list[T]:
    """`work` of every name, in their order. Raises what `work` raises."""
    with ThreadPoolExecutor(threads or _threads()) as pool:
        return list(pool.map(work, names))


def _threads() -> int:
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(MAX_THREADS, cores)
