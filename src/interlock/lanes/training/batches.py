"""What one optimiser step gets: its examples in as many parts as there are forward passes.

A lane's dataset only offers `__getitems__(indices)`. With `trainer.micro_batch` set, it is asked for each part on its
own, and `TrainedModule` adds up the gradients. A loss that compares the examples of a batch with one another must see
all of them at once: a dataset for such a loss is a `ComparedExamples`, gives the batch whole and only its inputs in
lists, and the loss encodes those through `TrainedModule.encoded`.

A batch also says which examples it holds, so that the order in which a training saw them can be proven afterwards.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

NO_SAMPLES = hashlib.sha256().hexdigest()
"""Where the chain of `chained_order` begins."""


class Batch(NamedTuple):
    """The examples of one optimiser step (or of one validation step)."""

    parts: list[Any]
    """What the lane's loss gets, one for each forward pass, in order."""
    counts: list[int]
    """Examples in each part."""
    rows: NDArray[np.int64]
    """Number of every example within its dataset, in order."""


class BatchedExamples(Protocol):
    """Examples that are fetched a batch at a time; torch's loader calls `__getitems__` with the batch's indices."""

    def __len__(self) -> int:
        """Number of examples."""
        ...

    def __getitems__(self, indices: Sequence[int]) -> Any:
        """The examples at `indices`, ready for the lane's loss. What is random in it must follow from them alone."""
        ...


@runtime_checkable
class ComparedExamples(BatchedExamples, Protocol):
    """Examples of a loss that compares those of a batch with one another, such as in-batch negatives."""

    def in_micro_batches(self, indices: Sequence[int], size: int) -> Any:
        """What `__getitems__` gives, with its inputs in lists of at most `size` examples each."""
        ...


class Fetched(Dataset[Batch]):
    """Examples as torch's loader wants them, each batch as a `Batch`."""

    def __init__(self, examples: BatchedExamples, *, micro_batch: int | None) -> None:
        """`micro_batch` examples are in a part at most; None puts every batch into one."""
        self._examples, self._micro_batch = examples, micro_batch

    def __len__(self) -> int:
        return len(self._examples)

    def __getitems__(self, indices: list[int]) -> Batch:
        size = self._micro_batch or len(indices)
        rows = np.asarray(indices, dtype=np.int64)
        if size < len(indices) and isinstance(self._examples, ComparedExamples):
            return Batch([self._examples.in_micro_batches(indices, size)], [len(indices)], rows)
        chunks = [indices[start : start + size] for start in range(0, len(indices), size)]
        return Batch([self._examples.__getitems__(chunk) for chunk in chunks], [len(chunk) for chunk in chunks], rows)

    def __getitem__(self, index: int) -> Batch:
        return self.__getitems__([index])


def as_it_is(batch: Any) -> Any:
    """Collates nothing: `Fetched` gives whole batches. A function of its own, so that worker processes find it."""
    return batch


def chained_order(digest: str, rows: NDArray[np.int64]) -> str:
    """SHA-256 (hex) of the digest before and the row numbers of one more step, 8 bytes each, little-endian.

    Starting from NO_SAMPLES and taken over all steps it stands for the whole sequence of examples, and needs no memory
    of it: a resumed training continues the chain.
    """
    return hashlib.sha256(bytes.fromhex(digest) + rows.astype("<i8").tobytes()).hexdigest()
