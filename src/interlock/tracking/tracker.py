"""What a tracker can be told. Twins: `jsonl.JsonlTracker` (files) and `wandb_run.WandbTracker`."""

from collections.abc import Mapping
from typing import Protocol

from interlock.contracts.tracking import Alert, Cell, Chart, Lineage, Table, TrackedRun


class Tracker(Protocol):
    """One run's place in a tracker; `begin` comes first, `finish` last."""

    def begin(self, run: TrackedRun) -> None:
        """Open the run, or go on with it; what it is may have grown since."""
        ...

    def curve(self, step: int, values: Mapping[str, float]) -> None:
        """Add a point of the training curves. Steps never go back while a run is open."""
        ...

    def summary(self, values: Mapping[str, Cell]) -> None:
        """Set the run's results by name."""
        ...

    def table(self, table: Table) -> None:
        """Show a table; one of the same name is replaced."""
        ...

    def chart(self, chart: Chart) -> None:
        """Show a chart; one of the same name is replaced."""
        ...

    def lineage(self, lineage: Lineage) -> None:
        """Say what the run was made from and what it made."""
        ...

    def alert(self, alert: Alert) -> None:
        """Tell a person."""
        ...

    def finish(self, *, exit_code: int) -> None:
        """Close the run; 0 when its stages ended well, whatever their verdict."""
        ...
