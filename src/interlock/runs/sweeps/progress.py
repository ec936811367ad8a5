"""Progress of one job among several: every line begins with the job's number, so parallel jobs can be told apart."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from interlock.contracts.stage import StageName
from interlock.lanes.spec import Item, Progress
from interlock.stages.progress import Lines, terminal_progress


@dataclass(frozen=True)
class Numbered:
    """Passes everything on under the name of a job."""

    inner: Progress
    name: str

    def track(self, items: Iterable[Item], description: str, total: int | None = None) -> Iterable[Item]:
        """Pass on, named."""
        return self.inner.track(items, f"{self.name}: {description}", total)

    def message(self, text: str) -> None:
        """Pass on, named."""
        self.inner.message(f"{self.name}: {text}")

    def stage_begins(self, stage: StageName, run_id: str | None) -> None:
        """Pass on."""
        self.inner.stage_begins(stage, run_id)

    def curve(self, step: int, values: Mapping[str, float]) -> None:
        """Pass on."""
        self.inner.curve(step, values)


def job_progress(number: int, *, alone: bool) -> Progress:
    """Bars for a job that has the terminal to itself; lines elsewhere, because several bars draw over each other."""
    return Numbered(terminal_progress() if alone else Lines(), f"job {number}")
