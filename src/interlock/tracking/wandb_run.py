"""The W&B twin, and the only module that imports wandb. Runs in the mirror process alone.

Every point goes to W&B under the training step it belongs to, because W&B's own counter starts again at 0 whenever an
offline run is taken up again. System metrics, console, code and git state are not sent: this process is not the one
that trains, and the run card says it better.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interlock.contracts.tracking import (
    Alert,
    Cell,
    Chart,
    Lineage,
    Table,
    TrackedArtifact,
    TrackedRun,
    WandbMode,
    WandbTracking,
)
from interlock.provenance.files import inside
from interlock.tracking.jsonl import STEP
from interlock.tracking.wandb_mode import wandb_root

if TYPE_CHECKING:
    import wandb

INIT_TIMEOUT_S = 60.0
"""How long W&B may take to answer that it knows the run; the process's own limit holds beside it."""


class WandbTracker:
    """One W&B run. Raises whatever wandb raises: the process ends, and the next one goes on."""

    def __init__(self, settings: WandbTracking, mode: WandbMode, *, home: Path, last_step: int = -1) -> None:
        """`last_step`: the last step that W&B has; nothing at or before it can be added."""
        self._settings, self._mode, self._home = settings, mode, home
        self._known: set[str] = set()
        self._row: int | None = None
        self.last_step = last_step
        self.where = ""
        """Address of the run, or the folder of an offline one relative to the home."""

    def begin(self, run: TrackedRun) -> None:
        """Open the run under its own id, or take it up again where W&B left it."""
        import wandb

        wandb_root(self._home).joinpath("runs").mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=self._settings.project,
            entity=self._settings.entity,
            id=run.run_id,
            resume="allow",
            name=run.name,
            group=run.group,
            job_type=run.job_type,
            tags=list(run.tags),
            notes=run.notes or None,
            mode=self._mode,
            settings=_quiet(),
        )
        self._configure(run.config)
        self._run.define_metric(STEP, hidden=True)
        self.last_step = max(self.last_step, int(self._run.starting_step or 0) - 1)
        self.where = self._place()

    def curve(self, step: int, values: Mapping[str, float]) -> None:
        """Log a point under its step, also as the axis of its charts. Steps that W&B has already are left out."""
        if step <= self.last_step:
            return
        for name in values.keys() - self._known:
            self._run.define_metric(name, step_metric=STEP)
            self._known.add(name)
        self._run.log({**values, STEP: step}, step=step)
        self.last_step = step

    def summary(self, values: Mapping[str, Cell]) -> None:
        """Set the columns of W&B's table of runs."""
        self._run.summary.update(dict(values))

    def table(self, table: Table) -> None:
        """Log a table after the last point."""
        import wandb

        rows: list[Any] = [list(row) for row in table.rows]
        self._log_result(table.name, wandb.Table(columns=list(table.columns), data=rows, allow_mixed_types=True))

    def chart(self, chart: Chart) -> None:
        """Log a chart that W&B draws itself, so that it can be read off and zoomed."""
        import wandb

        lines = chart.series.values()
        drawn = wandb.plot.line_series(
            xs=[[x for x, _ in line] for line in lines],
            ys=[[y for _, y in line] for line in lines],
            keys=list(chart.series),
            title=chart.title,
            xname=chart.x_name,
        )
        self._log_result(chart.name, drawn)

    def lineage(self, lineage: Lineage) -> None:
        """Record inputs and outputs, each output naming the digests of the inputs.

        Offline W&B refuses `use_artifact`, so inputs are logged and named in the config, where a reader finds them.
        """
        inputs = [self._record_input(artifact) for artifact in lineage.inputs]
        self._configure({"lineage": {"inputs": inputs}})
        digests = [f"{item['name']}:{item['digest']}" for item in inputs]
        for artifact in lineage.outputs:
            draft = self._draft(artifact, {"inputs": digests} if digests else {})
            self._run.log_artifact(draft, aliases=list(artifact.aliases))

    def alert(self, alert: Alert) -> None:
        """Send an alert the way the person has chosen in W&B."""
        self._run.alert(title=alert.title, text=alert.text, level=alert.level)

    def finish(self, *, exit_code: int) -> None:
        """Close the run; online this waits until W&B has everything."""
        self._run.finish(exit_code=exit_code)

    def _configure(self, values: Mapping[str, Any]) -> None:
        config: Any = self._run.config
        config.update(values, allow_val_change=True)

    def _record_input(self, artifact: TrackedArtifact) -> dict[str, str]:
        draft = self._draft(artifact, {})
        digest = draft.digest
        if self._mode == "online":
            self._run.use_artifact(draft, aliases=list(artifact.aliases))
        else:
            self._run.log_artifact(draft, aliases=list(artifact.aliases))
        return {"name": artifact.name, "type": artifact.type, "digest": digest}

    def _draft(self, artifact: TrackedArtifact, more: Mapping[str, Any]) -> "wandb.Artifact":
        """W&B's own object. The archive never changes, so its files are sent from where they stand, without a copy."""
        import wandb

        draft = wandb.Artifact(artifact.name, artifact.type, metadata={**artifact.metadata, **more})
        for name, file in artifact.files.items():
            draft.add_file(str(inside(self._home, file.path)), name=name, policy="immutable", skip_cache=True)
        return draft

    def _log_result(self, key: str, value: Any) -> None:
        """All results stand in one row of the history, after the last training step."""
        if self._row is None:
            self._row = self.last_step = self.last_step + 1
        self._run.log({key: value}, step=self._row)

    def _place(self) -> str:
        if self._mode == "online":
            return self._run.url or ""
        return os.path.relpath(Path(self._run.dir).parent, self._home)


def _quiet() -> "wandb.Settings":
    import wandb

    return wandb.Settings(
        silent=True,
        console="off",
        init_timeout=INIT_TIMEOUT_S,
        disable_code=True,
        disable_git=True,
        disable_job_creation=True,
        save_code=False,
        x_disable_meta=True,
        x_disable_machine_info=True,
        x_disable_stats=True,
        x_save_requirements=False,
    )
