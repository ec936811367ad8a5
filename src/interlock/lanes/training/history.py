"""The loss of each epoch and what follows from it: best epoch, patience, `loss.csv`. Pure; no torch, no files."""

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields


@dataclass(frozen=True, kw_only=True)
class EpochRow:
    """One finished epoch."""

    epoch: int
    """Counted from 1."""
    step: int
    """Optimiser steps done in all."""
    train_loss: float
    """Mean over the epoch's batches, in the loss's own unit."""
    validation_loss: float
    """Mean over the validation examples."""
    lr: float
    """Learning rate of the epoch's last step (first parameter group)."""


def rows_as_state(rows: Sequence[EpochRow]) -> list[list[float]]:
    """As plain numbers, for a resumable state."""
    return [list(astuple(row)) for row in rows]


def rows_from_state(state: Sequence[Sequence[float]]) -> list[EpochRow]:
    """The inverse of `rows_as_state`."""
    return [
        EpochRow(epoch=int(epoch), step=int(step), train_loss=train, validation_loss=validation, lr=lr)
        for epoch, step, train, validation, lr in state
    ]


def best_epoch(rows: Sequence[EpochRow]) -> int:
    """The epoch (from 1) of the lowest validation loss, the earliest of equals; 0 without rows."""
    return min(rows, key=lambda row: (row.validation_loss, row.epoch)).epoch if rows else 0


def patience_is_over(rows: Sequence[EpochRow], *, patience: int | None, min_delta: float) -> bool:
    """True when `patience` epochs in a row did not lower the best validation loss by more than `min_delta`."""
    if patience is None:
        return False
    best, waited = math.inf, 0
    for row in rows:
        better = row.validation_loss < best - min_delta
        best, waited = (row.validation_loss, 0) if better else (best, waited + 1)
    return waited >= patience


def rows_as_csv(rows: Sequence[EpochRow]) -> str:
    """`epoch,step,train_loss,validation_loss,lr` with shortest round-trip floats: equal rows give equal bytes."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(field.name for field in fields(EpochRow))
    writer.writerows(astuple(row) for row in rows)
    return text.getvalue()
