"""Exact resume: after any number of kills the weights are the bits of an uninterrupted run.

Nothing random is stored. The order of examples is a function of (seed, epoch) and the generators a function of
(seed, global step), so a state needs only to say how many batches of which epoch are done. A batch is the unit: its
micro-batches are passed within one step, and a state is never saved between them. The number of loader processes does
not matter, since what is random in a batch follows from its examples. Does not cover several training processes; where
states are kept is `states`' business.
"""

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import lightning as L
import torch
from lightning.pytorch.callbacks import Callback
from torch.utils.data import DataLoader, Sampler

from interlock.lanes.training.batches import Batch, BatchedExamples, Fetched, as_it_is
from interlock.lanes.training.seeds import derived_seed, seed_all
from interlock.lanes.training.workers import end_with


class StepSeed(Callback):
    """Seeds every generator from (seed, global step) before each batch."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Called by Lightning."""
        seed_all(derived_seed(self._seed, "step", trainer.global_step))


class EpochSampler(Sampler[int]):
    """All indices 0..n-1 in an order that depends on (seed, epoch) alone.

    `skip` indices are left out of the first epoch that is iterated: those were seen before the kill. `len()` stays n,
    so that the number of batches per epoch, and with it every schedule, is that of the uninterrupted run.
    """

    def __init__(self, n: int, seed: int, *, epoch: int = 0, skip: int = 0) -> None:
        self._n, self._seed, self._epoch, self._skip = n, seed, epoch, skip

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._n

    def __iter__(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(derived_seed(self._seed, "epoch", self._epoch))
        order: list[int] = torch.randperm(self._n, generator=generator).tolist()
        skip, self._skip = self._skip, 0
        yield from order[skip:]


class ResumableData(L.LightningDataModule):
    """Training and validation batches whose position can be saved and restored.

    A last incomplete training batch is dropped when there is a full one: a contrastive loss with fewer negatives is on
    another scale. Validation goes through its examples in order and keeps every batch of at least 2.
    """

    def __init__(
        self, train: BatchedExamples, validation: BatchedExamples, *, batch_size: int, seed: int, num_workers: int = 0
    ) -> None:
        super().__init__()
        self._train, self._validation = train, validation
        self._batch_size, self._seed, self._num_workers = batch_size, seed, num_workers
        self._start = (0, 0)
        self.micro_batch: int | None = None
        """Examples of one forward pass, None for the whole batch; `loop.fit` sets it as the trainer says."""

    @property
    def steps_per_epoch(self) -> int:
        """Optimiser steps of one pass."""
        return max(1, len(self._train) // self._batch_size)

    def state_dict(self) -> dict[str, int]:
        """Position for the next batch. `current.ready`, not `.completed`: the latter lags inside batch-end hooks."""
        assert self.trainer is not None
        epoch = self.trainer.fit_loop.epoch_progress.current.ready
        batches = self.trainer.fit_loop.epoch_loop.batch_progress
        if batches.is_last_batch:
            return {"epoch": epoch, "batch": 0}
        return {"epoch": epoch - 1, "batch": batches.current.ready}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Reaches the sampler before the loader's iterator exists: workers prefetch."""
        self._start = (state_dict["epoch"], state_dict["batch"])

    def train_dataloader(self) -> DataLoader[Batch]:
        """Called by Lightning once."""
        epoch, batch = self._start
        sampler = EpochSampler(len(self._train), self._seed, epoch=epoch, skip=batch * self._batch_size)
        return self._loader(self._train, sampler, drop_last=len(self._train) >= self._batch_size)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Called by Lightning once."""
        drop_last = len(self._validation) > self._batch_size and len(self._validation) % self._batch_size < 2
        return self._loader(self._validation, range(len(self._validation)), drop_last=drop_last)

    def _loader(self, examples: BatchedExamples, sampler: Any, *, drop_last: bool) -> DataLoader[Batch]:
        return DataLoader(
            Fetched(examples, micro_batch=self.micro_batch),
            self._batch_size,
            sampler=sampler,
            drop_last=drop_last,
            num_workers=self._num_workers,
            collate_fn=as_it_is,
            worker_init_fn=partial(end_with, os.getpid()),
        )
