"""Watching a training from outside: its curves, its steps, and whether it costs more than it may.

`Watch` is a `Progress` that passes everything on, and the answer to `Frame.halt`. Nothing that it does changes a bit of
the training: it reads copies of numbers, and a halt only ends a training that has just saved its state.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from interlock.contracts.recovery import RecoverySettings, SpendEvidence
from interlock.contracts.stage import StageName
from interlock.errors import BudgetError
from interlock.lanes.spec import Progress

Item = TypeVar("Item")

MAIN_LOOP = "training"
"""What `loop.fit` calls its loop over optimiser steps; other loops say nothing about how long a training takes."""
_STEPS_MIN, _SECONDS_MIN = 20, 5.0
"""Steps and seconds after which a rate is believed."""


@dataclass(kw_only=True)
class Watch:
    """One training under watch."""

    inner: Progress
    settings: RecoverySettings
    spent_hours: float
    """What earlier attempts of the lineage have cost since its last success."""
    hours_max: float
    """Ceiling over all of them."""
    estimate_s: float | None = None
    """What this attempt should take; from earlier runs at first, from the measured rate as soon as there is one."""
    clock: Callable[[], float] = time.monotonic
    training: list[float] = field(default_factory=list)
    """Training loss of the epochs of this attempt."""
    validation: list[float] = field(default_factory=list)
    _began_s: float = field(init=False)
    _is_measured: bool = False

    def __post_init__(self) -> None:
        self._began_s = self.clock()

    def track(self, items: Iterable[Item], description: str, total: int | None = None) -> Iterable[Item]:
        """Pass the items through; those of the main loop are timed."""
        passed = self.inner.track(items, description, total)
        return self._timed(passed, total) if description == MAIN_LOOP and total else passed

    def message(self, text: str) -> None:
        """Pass it on."""
        self.inner.message(text)

    def stage_begins(self, stage: StageName, run_id: str | None) -> None:
        """Pass it on."""
        self.inner.stage_begins(stage, run_id)

    def curve(self, step: int, values: Mapping[str, float]) -> None:
        """Keep the losses of an epoch, then pass the point on."""
        if "train/epoch_loss" in values and "validation/loss" in values:
            self.training.append(values["train/epoch_loss"])
            self.validation.append(values["validation/loss"])
        self.inner.curve(step, values)

    def spend(self) -> SpendEvidence:
        """Hours so far, and the bounds they are held against."""
        attempt_hours = (self.clock() - self._began_s) / 3600
        return SpendEvidence(
            hours=self.spent_hours + attempt_hours,
            hours_max=self.hours_max if self.hours_max < float("inf") else None,
            attempt_hours=attempt_hours,
            estimate_hours=None if self.estimate_s is None else self.estimate_s / 3600,
            estimate_factor=self.settings.estimate_factor,
        )

    def halt(self) -> BaseException | None:
        """What ends the training once its state is saved, or None."""
        elapsed_s = self.clock() - self._began_s
        hours = self.spent_hours + elapsed_s / 3600
        if hours > self.hours_max:
            return over_ceiling(hours, self.hours_max)
        if self.estimate_s is None or elapsed_s < self.settings.estimate_floor_s:
            return None
        if elapsed_s <= self.settings.estimate_factor * self.estimate_s:
            return None
        return BudgetError(
            f"training took {elapsed_s:.0f} s, over {self.settings.estimate_factor:g} times its estimate of "
            f"{self.estimate_s:.0f} s; a resumable state is saved",
            key="recovery.estimate_factor",
            value=self.settings.estimate_factor,
            hint="see what slows it down, then start again: the run resumes, and is estimated anew",
        )

    def _timed(self, items: Iterable[Item], total: int) -> Iterator[Item]:
        began_s = self.clock()
        for done, item in enumerate(items):
            passed_s = self.clock() - began_s
            if not self._is_measured and done >= _STEPS_MIN and passed_s >= _SECONDS_MIN:
                self._is_measured = True
                self.estimate_s = (began_s - self._began_s) + passed_s * total / done
            yield item


def over_ceiling(hours: float, hours_max: float) -> BudgetError:
    """The one way in which a lineage over its ceiling is told."""
    return BudgetError(
        f"training used {hours:.3g} hours over all attempts, over its ceiling; a resumable state is saved",
        key="budget.compute_hours_max",
        value=hours_max,
        hint="raise budget.compute_hours_max (it is not part of the run id) and start again: the run resumes",
    )
