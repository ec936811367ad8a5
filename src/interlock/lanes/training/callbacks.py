"""What happens around each step: check it, write it down, keep weights, save states, stop.

Order matters and is fixed in `loop.fit`: `StepSeed`, `Ledger`, `StateSaver`. Lightning's own EarlyStopping and
ModelCheckpoint are not used: the first forgets across a resume that it had already stopped, the second keeps absolute
paths and writes straight to the final name.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback

from interlock.errors import NonFiniteError, StalledError
from interlock.lanes.spec import Progress
from interlock.lanes.training.batches import NO_SAMPLES, Batch, chained_order
from interlock.lanes.training.checkpoints import CheckpointFolder, weights_of
from interlock.lanes.training.config import TrainerConfig
from interlock.lanes.training.convergence import is_stalled, overfits_lastingly
from interlock.lanes.training.history import EpochRow, best_epoch, patience_is_over, rows_as_state, rows_from_state
from interlock.lanes.training.log import TrainLog
from interlock.lanes.training.module import TrainedModule
from interlock.lanes.training.stops import Halt, StopRequests

SAVING_SHARE = 0.05
"""Largest share of the time that may go into resumable states."""


class Ledger(Callback):
    """Keeps the history of losses, refuses what is not finite, logs, hands weights on, decides early stopping."""

    def __init__(
        self, config: TrainerConfig, *, log: TrainLog, checkpoints: CheckpointFolder, progress: Progress
    ) -> None:
        self._config, self._log, self._checkpoints, self._progress = config, log, checkpoints, progress
        self.rows: list[EpochRow] = []
        """Finished epochs."""
        self.sample_order = NO_SAMPLES
        """Digest of the sequence of examples so far."""
        self._loss, self._lr = math.nan, 0.0
        self._loss_sum, self._batches = 0.0, 0
        self._validation_sum, self._validation_count = 0.0, 0
        self._bar: Iterator[Any] = iter(())

    @property
    def early_stopped(self) -> bool:
        """Whether the patience is over, or a whole window of epochs did nothing but overfit."""
        config = self._config
        over = patience_is_over(self.rows, patience=config.early_stop_patience, min_delta=config.early_stop_min_delta)
        return over or self.overfits

    @property
    def overfits(self) -> bool:
        """Whether validation has been worse than at its best for a whole window, while training improved."""
        training, validation = ([getattr(row, name) for row in self.rows] for name in ("train_loss", "validation_loss"))
        return overfits_lastingly(training, validation, rule=self._config.converged)

    def state_dict(self) -> dict[str, Any]:
        """Called by Lightning when a state is saved."""
        return {
            "rows": rows_as_state(self.rows),
            "loss_sum": self._loss_sum,
            "batches": self._batches,
            "sample_order": self.sample_order,
            "digests": dict(self._checkpoints.digests),
            "log_lines": self._log.lines,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Called by Lightning when a state is resumed."""
        self.rows = rows_from_state(state_dict["rows"])
        self._loss_sum, self._batches = state_dict["loss_sum"], state_dict["batches"]
        self.sample_order = state_dict["sample_order"]
        self._checkpoints.digests = dict(state_dict["digests"])
        self._log.rewind(state_dict["log_lines"])

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the bar where the steps are."""
        total = int(trainer.estimated_stepping_batches)
        left = range(trainer.global_step, total)
        self._bar = iter(self._progress.track(left, "training", total=len(left)))

    def on_before_backward(self, trainer: L.Trainer, pl_module: L.LightningModule, loss: torch.Tensor) -> None:
        """Read the loss before anything is changed by it."""
        self._loss = loss.item()
        if not math.isfinite(self._loss):
            raise self._not_finite("loss", trainer)

    def on_before_optimizer_step(
        self, trainer: L.Trainer, pl_module: L.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Check the gradient: a sum is infinite or NaN as soon as one component is, and costs one pass."""
        self._lr = float(optimizer.param_groups[0]["lr"])
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        total = torch.stack([gradient.sum().float() for gradient in gradients]).sum().item()
        if not math.isfinite(total):
            raise self._not_finite("gradient", trainer)

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Add the loss up and log it."""
        self.sample_order = chained_order(self.sample_order, batch.rows)
        self._loss_sum += self._loss
        self._batches += 1
        next(self._bar, None)
        if trainer.global_step % self._config.log_every_steps == 0:
            self._log.append(epoch=len(self.rows) + 1, step=trainer.global_step, loss=self._loss, lr=self._lr)
            self._progress.curve(trainer.global_step, {"train/loss": self._loss, "train/lr": self._lr})

    def on_validation_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the validation sum anew, also when a resumed run validates again."""
        self._validation_sum, self._validation_count = 0.0, 0

    def on_validation_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Add the validation loss up, weighted by examples."""
        self._validation_sum += outputs["loss"].item() * outputs["count"]
        self._validation_count += outputs["count"]

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the epoch down, keep its weights, and decide whether to go on."""
        if not self._batches:  # a state saved at an epoch's end makes Lightning end that epoch again
            return
        row = self._close_epoch(trainer)
        if not math.isfinite(row.validation_loss):
            raise self._not_finite("validation loss", trainer)
        self.rows.append(row)
        assert isinstance(pl_module, TrainedModule)
        self._checkpoints.epoch_done(
            row.epoch, lambda: weights_of(pl_module.network), is_best=best_epoch(self.rows) == row.epoch
        )
        self._progress.message(
            f"epoch {row.epoch}/{self._config.epochs}: training loss {row.train_loss:.4f}, "
            f"validation loss {row.validation_loss:.4f}"
        )
        curves = {"epoch": row.epoch, "train/epoch_loss": row.train_loss, "validation/loss": row.validation_loss}
        self._progress.curve(row.step, curves)
        trainer.should_stop = self.early_stopped
        if is_stalled([row.train_loss for row in self.rows], self._config.converged):
            raise self._stalled(row)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Keep the last finite best weights for whoever restarts from them."""
        if isinstance(exception, NonFiniteError | StalledError):
            self._checkpoints.flush()

    def _close_epoch(self, trainer: L.Trainer) -> EpochRow:
        row = EpochRow(
            epoch=len(self.rows) + 1,
            step=trainer.global_step,
            train_loss=self._loss_sum / self._batches,
            validation_loss=self._validation_sum / max(1, self._validation_count),
            lr=self._lr,
        )
        self._loss_sum, self._batches = 0.0, 0
        return row

    def _stalled(self, row: EpochRow) -> StalledError:
        error = StalledError(
            f"training is stalled: no decrease in {self._config.converged.window_epochs} epochs, "
            f"loss {row.train_loss:.4g} of {self.rows[0].train_loss:.4g} at the start",
            key="lane.optimizer.lr",
            value=self._lr,
            hint="change lane.optimizer.lr or lane.trainer.batch_size; that is a new run",
        )
        error.losses = tuple(earlier.train_loss for earlier in self.rows)
        return error

    def _not_finite(self, what: str, trainer: L.Trainer) -> NonFiniteError:
        rate = float(trainer.optimizers[0].param_groups[0]["lr"])
        return NonFiniteError(
            f"{what} is not finite at step {trainer.global_step}, epoch {len(self.rows) + 1}, lr {rate:g}: halted",
            key="lane.optimizer.lr",
            value=rate,
            hint="divide lane.optimizer.lr by 10 and set lane.trainer.gradient_clip; the last finite weights are kept",
        )


class StateSaver(Callback):
    """Saves a resumable state every few seconds at a step boundary, at ends of epochs, and before every stop."""

    def __init__(
        self,
        stops: StopRequests,
        *,
        every_s: float,
        clock: Callable[[], float],
        before: Callable[[], None],
        after: Callable[[], None],
    ) -> None:
        """`before` brings to disk what a state refers to; `after` may drop what no state refers to any more."""
        self._stops, self._every_s, self._clock, self._before, self._after = stops, every_s, clock, before, after
        self._saved_at_s, self._cost_s = clock(), 0.0
        self.total_s = 0.0
        """Seconds spent on saving so far."""

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Between two batches of an epoch; the last batch is left to the epoch's end, after validation."""
        if not trainer.is_last_batch:
            self._save_if_due(trainer, self._every_s)

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Not at the end of the run: a state that has nothing left to do could not be resumed."""
        finished = trainer.should_stop or trainer.current_epoch + 1 >= (trainer.max_epochs or 0)
        if not finished:
            self._save_if_due(trainer, 0.0)

    def _save_if_due(self, trainer: L.Trainer, every_s: float) -> None:
        stop = self._stops.pending()
        rest_s = max(every_s, self._cost_s / SAVING_SHARE) if self._every_s else 0.0
        if stop is None and self._clock() - self._saved_at_s < rest_s:
            return
        started_s = self._clock()
        self._before()
        trainer.save_checkpoint("named by its content", weights_only=False)
        self._after()
        self._saved_at_s = self._clock()
        self._cost_s = self._saved_at_s - started_s
        self.total_s += self._cost_s
        if stop is not None:
            raise Halt(stop)
