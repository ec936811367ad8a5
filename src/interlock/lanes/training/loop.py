"""Train a module to the end, through any number of kills: the one training loop that every lane calls.

    result = fit(job, module, data, job.lane.trainer)

While it runs everything stands in `job.state`; what is kept goes to `job.folder` at the end:

    model.safetensors  checkpoints/{best,last,...}.safetensors  loss.csv  train_log.jsonl (volatile)

The weights, `loss.csv` and the result's reproducible facts are the same bits whether or not the run was killed, as long
as thread count and machine class are the same; `docs/exact_resume.md` says what is promised and what is not. Does not
evaluate and does not know what is being learned.
"""

import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.utilities.exceptions import SIGTERMException

from interlock.errors import StageError
from interlock.lanes.spec import StageJob
from interlock.lanes.training.callbacks import Ledger, StateSaver
from interlock.lanes.training.checkpoints import (
    CheckpointFolder,
    estimated_bytes,
    require_free_disk,
    weights_of,
)
from interlock.lanes.training.config import TrainerConfig
from interlock.lanes.training.convergence import Convergence, is_overfitting, judge_convergence
from interlock.lanes.training.device import prepared_device
from interlock.lanes.training.history import EpochRow, best_epoch, rows_as_csv
from interlock.lanes.training.log import TrainLog
from interlock.lanes.training.module import TrainedModule
from interlock.lanes.training.resume import ResumableData, StepSeed
from interlock.lanes.training.states import StateIO, StateStore, disk_error
from interlock.lanes.training.stops import Halt, StopRequests
from interlock.provenance.files import copy_atomic, write_atomic

MODEL = "model.safetensors"
LOSS_CSV = "loss.csv"
TRAIN_LOG = "train_log.jsonl"


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """How a training ended."""

    rows: tuple[EpochRow, ...]
    """The loss of every epoch."""
    early_stopped: bool
    """Whether the patience ended it."""
    convergence: Convergence
    """Whether the training loss converged, and why."""
    overfitting: bool
    """Whether validation worsened at the end while training improved; the best weights are kept all the same."""
    sample_order_sha256: str
    """Stands for the sequence of examples over all steps, see `batches.chained_order`."""
    volatile: dict[str, Any]
    """Facts of this attempt: where it resumed, how long it took."""

    @property
    def best_epoch(self) -> int:
        """Epoch (from 1) of the lowest validation loss."""
        return best_epoch(self.rows)

    def facts(self) -> dict[str, Any]:
        """Reproducible facts for the stage record and `train.json`."""
        last, best = self.rows[-1], self.rows[self.best_epoch - 1]
        return {
            "epochs_completed": last.epoch,
            "steps": last.step,
            "early_stopped": self.early_stopped,
            "best_epoch": best.epoch,
            "training_loss_final": last.train_loss,
            "validation_loss_final": last.validation_loss,
            "validation_loss_best": best.validation_loss,
            "training_loss_converged": self.convergence.converged,
            "convergence": self.convergence.reason,
            "trend": self.convergence.trend,
            "overfitting": self.overfitting,
            "sample_order_sha256": self.sample_order_sha256,
        }


def fit(job: StageJob, module: TrainedModule, data: ResumableData, config: TrainerConfig) -> TrainingResult:
    """Train `module` on `data`; afterwards `module.network` holds the weights of the model, on the CPU.

    Raises NonFiniteError for a loss or gradient that is not finite, StageError for a missing device, a full disk, a
    stalled training or hours over the ceiling, KeyboardInterrupt for Ctrl-C and SIGTERM (a state is saved first).
    """
    assert type(module).training_step is TrainedModule.training_step, "a lane gives `loss`; steps are the module's"
    job.state.mkdir(parents=True, exist_ok=True)
    StateStore(job.state).drop_unfinished()
    require_free_disk(
        job.state, estimated_bytes(module.network, epochs=config.epochs, every_epochs=config.checkpoint_every_epochs)
    )
    with closing(TrainLog(job.state / TRAIN_LOG, job.progress)) as log:
        run = _Run(job, module, data, config, log=log)
        with (
            prepared_device(job.hardware),
            StopRequests(hours_max=job.compute_hours_max, clock=time.monotonic, halt=job.halt) as stops,
        ):
            run.train(stops)
    return run.publish()


class _Run:
    """The pieces of one training, put together."""

    def __init__(
        self, job: StageJob, module: TrainedModule, data: ResumableData, config: TrainerConfig, *, log: TrainLog
    ) -> None:
        self._job, self._module, self._data, self._config = job, module, data, config
        data.micro_batch = config.micro_batch
        self._started_s = time.monotonic()
        self._store = StateStore(job.state)
        self._log = log
        self._checkpoints = CheckpointFolder(job.state / "checkpoints", every_epochs=config.checkpoint_every_epochs)
        self._ledger = Ledger(config, log=self._log, checkpoints=self._checkpoints, progress=job.progress)
        self._saving_s, self._resumed_step = 0.0, 0

    def train(self, stops: StopRequests) -> None:
        """Run Lightning from the newest good state, or from the start."""
        saver = StateSaver(
            stops,
            every_s=self._config.resume_every_s,
            clock=time.monotonic,
            before=self._before_saving,
            after=lambda: self._checkpoints.drop_except(best_epoch(self._ledger.rows)),
        )
        state = self._store.newest_valid(self._job.progress)
        if state is None:
            self._log.begin()
            if self._job.warm_start is not None:
                load_weights(self._module, self._job.warm_start)
        else:
            self._resumed_step = self._store.step_of(state)
            self._job.progress.message(f"resuming after step {self._resumed_step}")
        trainer = self._trainer([StepSeed(self._job.seed), self._ledger, saver])
        try:
            trainer.fit(self._module, datamodule=self._data, ckpt_path=state, weights_only=True if state else None)
        except Halt as halt:
            raise halt.outcome from None
        except (SIGTERMException, SystemExit) as error:  # Lightning's own ways to tell of a signal between two hooks
            raise KeyboardInterrupt("training was interrupted; it resumes from the last saved state") from error
        self._saving_s = saver.total_s

    def publish(self) -> TrainingResult:
        """Write what is kept into the stage folder and give the network its final weights."""
        folder, rows = self._job.folder, self._ledger.rows
        self._module.cpu()
        self._checkpoints.publish(
            folder / "checkpoints",
            best=best_epoch(rows),
            last=weights_of(self._module.network),
            keep_all=self._config.keep_checkpoints,
        )
        try:
            copy_atomic(folder / "checkpoints" / f"{self._config.final_weights}.safetensors", folder / MODEL)
            copy_atomic(self._job.state / TRAIN_LOG, folder / TRAIN_LOG)
            write_atomic(folder / LOSS_CSV, rows_as_csv(rows))
        except OSError as error:
            raise disk_error(error, folder) from error
        load_weights(self._module, folder / MODEL)
        losses = [row.train_loss for row in rows]
        return TrainingResult(
            rows=tuple(rows),
            early_stopped=self._ledger.early_stopped,
            convergence=judge_convergence(losses, self._config.converged, early_stopped=self._ledger.early_stopped),
            overfitting=is_overfitting(losses, [row.validation_loss for row in rows], self._config.converged),
            sample_order_sha256=self._ledger.sample_order,
            volatile=self._volatile_facts(),
        )

    def _trainer(self, callbacks: list[Any]) -> L.Trainer:
        hardware, config = self._job.hardware, self._config
        return L.Trainer(
            accelerator={"cpu": "cpu", "cuda": "gpu", "mps": "mps"}[hardware.kind],
            devices=[hardware.device_index] if hardware.kind == "cuda" else 1,
            deterministic=hardware.deterministic,
            precision=config.precision,
            max_epochs=config.epochs,
            gradient_clip_val=config.gradient_clip,
            callbacks=callbacks,
            plugins=[StateIO(self._store)],
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            num_sanity_val_steps=0,
            default_root_dir=self._job.state,
            use_distributed_sampler=False,
        )

    def _before_saving(self) -> None:
        self._log.sync()
        self._checkpoints.flush()

    def _volatile_facts(self) -> dict[str, Any]:
        seconds = time.monotonic() - self._started_s
        steps = self._ledger.rows[-1].step - self._resumed_step
        return {
            "resumed_from_step": self._resumed_step,
            "duration_s": round(seconds, 3),
            "steps_per_s": round(steps / seconds, 3),
            "saving_s": round(self._saving_s, 3),
        }


def load_weights(module: TrainedModule, path: Path) -> None:
    """Load safetensors into the module's network. Raises StageError when names or shapes differ."""
    from safetensors.torch import load_file

    try:
        module.network.load_state_dict(load_file(path))
    except RuntimeError as error:
        raise StageError(f"weights do not fit the network: {error}", path=path, hint="train again") from error
