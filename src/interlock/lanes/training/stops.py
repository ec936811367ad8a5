"""Why a training ends before its time: Ctrl-C, SIGTERM, or the ceiling on its hours.

Nothing stops in the middle of a step. A first signal only leaves a note that is read at the next step boundary, where
a state is saved; a second one interrupts at once and the last saved state counts. One that comes after the last
boundary interrupts when the training ends: nobody's Ctrl-C is lost.
"""

import signal
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

from interlock.errors import BudgetError

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Halt(Exception):  # noqa: N818 - control flow between a callback and the loop, not a fault
    """Raised at a step boundary after a state was saved; `outcome` is what the loop raises instead."""

    def __init__(self, outcome: BaseException) -> None:
        super().__init__(str(outcome))
        self.outcome = outcome


class StopRequests:
    """Collects reasons to stop. As a context manager it takes over SIGINT and SIGTERM in the main thread."""

    def __init__(
        self,
        *,
        hours_max: float,
        clock: Callable[[], float],
        halt: Callable[[], BaseException | None] = lambda: None,
    ) -> None:
        """`clock` gives seconds and never goes back; the ceiling counts from here. `halt` may know further reasons."""
        self._hours_max, self._clock, self._started_s, self._halt = hours_max, clock, clock(), halt
        self._signal: int | None = None
        self._previous: dict[int, Any] = {}

    def pending(self) -> BaseException | None:
        """What should be raised once a state is saved; None to go on."""
        if self._signal is not None:
            return KeyboardInterrupt(f"training was interrupted by {signal.Signals(self._signal).name}; it resumes")
        hours = (self._clock() - self._started_s) / 3600
        if hours <= self._hours_max:
            return self._halt()
        return BudgetError(
            f"training used {hours:.3g} hours, over its ceiling; a resumable state is saved",
            key="budget.compute_hours_max",
            value=self._hours_max,
            hint="raise budget.compute_hours_max (it is not part of the run id) and start again: the run resumes",
        )

    def __enter__(self) -> "StopRequests":
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in _SIGNALS}
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        if kind is None and self._signal is not None:
            raise KeyboardInterrupt("training was interrupted after its last step; it resumes")

    def _note(self, number: int, _: FrameType | None) -> None:
        if self._signal is not None:
            raise KeyboardInterrupt
        self._signal = number
