"""Progress that also keeps the training curves: in the run's tracking folder, and live in W&B where that is asked for.

Loaded by name (`interlock.stages.progress.tracked`), never imported by a stage, so that it is in no stage's code digest
and in none of its DVC dependencies, and `tracking.*` is in no stage's parameters: showing a run elsewhere, or mending
this file, trains nothing again. That is sound because nothing flows back: training hands over copies of numbers that it
has computed, gets nothing returned, and whatever goes wrong here is said once and forgotten. The one exception that
passes through is the wrapped progress's own (a sweep that gives a training up).
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TypeVar

from interlock.contracts.stage import StageName
from interlock.contracts.tracking import WandbTracking
from interlock.lanes.spec import Progress
from interlock.provenance.attempts import labels
from interlock.provenance.workspace import interlock_home
from interlock.runs.tracked.described import described, tracking_of
from interlock.stages.place import Place, read_composed
from interlock.tracking.jsonl import JsonlTracker, run_tracking, writing

Item = TypeVar("Item")


@contextmanager
def tracked(place: Place, progress: Progress) -> Iterator[Progress]:
    """The same progress, with the training of this place tracked while the block runs."""
    wrapped = _Tracked(place, progress)
    try:
        yield wrapped
    except BaseException:
        wrapped.training_ends(exit_code=1)
        raise
    wrapped.training_ends(exit_code=0)


class _Tracked:
    """Passes everything on; what training reports is written down before."""

    def __init__(self, place: Place, inner: Progress) -> None:
        self._place, self._inner = place, inner
        self._tracker: JsonlTracker | None = None
        self._lock = ExitStack()
        self._has_failed = False

    def track(self, items: Iterable[Item], description: str, total: int | None = None) -> Iterable[Item]:
        """Pass the items through."""
        return self._inner.track(items, description, total)

    def message(self, text: str) -> None:
        """Pass it on."""
        self._inner.message(text)

    def stage_begins(self, stage: StageName, run_id: str | None) -> None:
        """Open the run when it begins to train; another stage after that means that training has ended well."""
        self.training_ends(exit_code=1 if stage == "train" else 0)  # training again: a fault was healed
        if stage == "train" and run_id is not None:
            self._training_begins(run_id)
        self._inner.stage_begins(stage, run_id)

    def curve(self, step: int, values: Mapping[str, float]) -> None:
        """Write the point down, then pass it on, so that the last one of a training that is given up is kept too."""
        tracker = self._tracker
        if tracker is not None and not self._safely(
            lambda: tracker.curve(step, values), otherwise="the curves are not tracked any more"
        ):
            self._tracker = None
        self._inner.curve(step, values)

    def training_ends(self, *, exit_code: int) -> None:
        """Close the curves, if they are open."""
        tracker, self._tracker = self._tracker, None
        if tracker is not None:
            self._safely(lambda: tracker.finish(exit_code=exit_code), otherwise="trackers do not hear of its end")
        self._lock.close()  # only now: a live mirror reads how it ended as soon as the lock is free

    def _training_begins(self, run_id: str) -> None:
        if self._safely(lambda: self._begin(run_id), otherwise="the curves are not tracked"):
            self._safely(lambda: self._show_live(run_id), otherwise="this training is not shown in W&B")

    def _begin(self, run_id: str) -> None:
        config = read_composed(self._place.params)
        folder = run_tracking(interlock_home(self._place.workspace), run_id)
        self._lock.enter_context(writing(folder))
        tracker = JsonlTracker(folder)
        tracker.begin(described(run_id, lane=self._place.lane, config=config, labels=labels(), tags=(), identity={}))
        self._tracker = tracker

    def _show_live(self, run_id: str) -> None:
        settings = tracking_of(read_composed(self._place.params))
        if isinstance(settings, WandbTracking):
            from interlock.tracking import launch

            launch.follow(interlock_home(self._place.workspace), run_id, settings)

    def _safely(self, action: Callable[[], None], *, otherwise: str) -> bool:
        """Whether it worked. Whatever goes wrong is said once and costs training nothing, hence the broad `except`."""
        try:
            action()
        except Exception as error:
            if not self._has_failed:
                self._has_failed = True
                self._inner.message(f"{otherwise}: {type(error).__name__}: {error}")
            return False
        return True
