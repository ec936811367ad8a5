"""Progress that reads well everywhere: a bar in a terminal, a line every few seconds in a log or under `dvc repro`."""

import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import TypeVar

from interlock.contracts.stage import StageName
from interlock.lanes.spec import Progress, load_object
from interlock.stages.place import Place

Item = TypeVar("Item")

_LINE_EVERY_S = 5.0
_WRAPPERS = {
    "interlock.runs.tracked.progress:tracked": "the curves are not tracked",
    "interlock.runs.beats:beating": "no heartbeats are sent",
}
"""What watches a stage from outside, by name, and what is lost without it."""


class Silent:
    """Says nothing; for tests and library use."""

    def track(self, items: Iterable[Item], description: str, total: int | None = None) -> Iterable[Item]:
        """Pass the items through."""
        return items

    def message(self, text: str) -> None:
        """Say nothing."""

    def stage_begins(self, stage: StageName, run_id: str | None) -> None:
        """Nobody needs to know."""

    def curve(self, step: int, values: Mapping[str, float]) -> None:
        """Keep nothing: the curves stand in the run's own files."""


class Lines(Silent):
    """Writes plain lines to stderr, at most one every five seconds per loop; safe where nobody watches."""

    def track(self, items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
        """Pass the items through, saying how far they are."""
        started = said = time.monotonic()
        for count, item in enumerate(items, start=1):
            yield item
            now = time.monotonic()
            if now - said >= _LINE_EVERY_S:
                said = now
                self.message(f"{description}: {_how_far(count, total, now - started)}")

    def message(self, text: str) -> None:
        """Write one line."""
        print(text, file=sys.stderr, flush=True)


class Bars(Lines):
    """Draws a bar with the time left."""

    def track(self, items: Iterable[Item], description: str, total: int | None = None) -> Iterator[Item]:
        """Pass the items through under a bar."""
        from rich.console import Console
        from rich.progress import track

        yield from track(items, description, total=total, console=Console(stderr=True), transient=True)


@contextmanager
def tracked(place: Place, progress: Progress) -> Iterator[Progress]:
    """The same progress, keeping the training curves and sending heartbeats while the block runs.

    Loaded by name: see `interlock.runs.tracked.progress` for why it must not be, and need not be, part of a stage.
    """
    with ExitStack() as stack:
        for name, loss in _WRAPPERS.items():
            try:
                wrapper: AbstractContextManager[Progress] = load_object(name)(place, progress)
            except Exception as error:  # showing how it goes is no reason not to train
                progress.message(f"{loss}: {type(error).__name__}: {error}")
                continue
            progress = stack.enter_context(wrapper)
        yield progress


def terminal_progress() -> Progress:
    """Bars where a person watches, lines elsewhere."""
    return Bars() if sys.stderr.isatty() else Lines()


def _how_far(count: int, total: int | None, elapsed_s: float) -> str:
    if not total:
        return f"{count:,} after {elapsed_s:.0f} s"
    left_s = elapsed_s / count * (total - count)
    return f"{count:,}/{total:,} ({count / total:.0%}), about {left_s:.0f} s left"
