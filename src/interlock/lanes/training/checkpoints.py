"""Weights kept while and after training: every n epochs, the best by validation loss, the last.

While training runs they stand in the state folder under their epoch's number, so that a resumed run finds what its
state refers to whatever was written after that state. `publish` copies what is kept into the stage folder under the
names `best`, `last` and `epoch_010`. Optimiser state is not in here: see `states`.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import nn

from interlock.errors import CorruptStateError, DiskFullError
from interlock.lanes.training.states import KEPT_STATES, disk_error
from interlock.provenance.digest import sha256_file
from interlock.provenance.files import copy_atomic, write_atomic

Weights = Mapping[str, torch.Tensor]


def weights_of(network: nn.Module) -> dict[str, torch.Tensor]:
    """A contiguous CPU copy of the network's state dict."""
    return {name: value.detach().to("cpu", copy=True).contiguous() for name, value in network.state_dict().items()}


def write_weights(path: Path, weights: Weights) -> None:
    """Write safetensors atomically; equal weights give equal bytes. Raises StageError when the disk is full."""
    try:
        write_atomic(path, save(dict(weights)))
    except OSError as error:
        raise disk_error(error, path.parent) from error


class CheckpointFolder:
    """The weights of one run. The best are held in memory and only written when a state is about to refer to them."""

    def __init__(self, folder: Path, *, every_epochs: int) -> None:
        self._folder, self._every = folder, every_epochs
        self._pending: tuple[int, Weights] | None = None
        self.digests: dict[str, str] = {}
        """Digest by file name, of everything on disk that this run's history explains."""

    def epoch_done(self, epoch: int, weights: Callable[[], Weights], *, is_best: bool) -> None:
        """Take notice of an epoch (from 1); `weights` gives a copy and is only called where it is needed."""
        is_periodic = epoch % self._every == 0
        kept = weights() if is_periodic or is_best else {}
        if is_best:
            self._pending = (epoch, kept)
        if is_periodic:
            self._write(epoch, kept)

    def flush(self) -> None:
        """Bring the best weights to disk if they are not there yet."""
        if self._pending is not None and _name(self._pending[0]) not in self.digests:
            self._write(*self._pending)
        self._pending = None

    def drop_except(self, best: int) -> None:
        """Delete earlier bests that nothing refers to any more; call after a state was saved."""
        for path in self._folder.glob("epoch_*.safetensors"):
            epoch = int(path.stem.removeprefix("epoch_"))
            if epoch != best and epoch % self._every:
                path.unlink(missing_ok=True)
                self.digests.pop(path.name, None)

    def publish(self, target: Path, *, best: int, last: Weights, keep_all: bool) -> None:
        """Copy best and last (and, with `keep_all`, the periodic ones) into `target`.

        Raises StageError when a file is missing or differs from its digest: then the state folder was damaged.
        """
        self.flush()
        write_weights(target / "last.safetensors", last)
        self._copy(_name(best), target / "best.safetensors")
        for name in sorted(self.digests) if keep_all else ():
            if int(Path(name).stem.removeprefix("epoch_")) % self._every == 0:
                self._copy(name, target / name)

    def _write(self, epoch: int, weights: Weights) -> None:
        path = self._folder / _name(epoch)
        write_weights(path, weights)
        self.digests[path.name] = sha256_file(path)

    def _copy(self, name: str, target: Path) -> None:
        source = self._folder / name
        if not source.is_file() or sha256_file(source) != self.digests.get(name):
            raise CorruptStateError(
                "checkpoint is missing or was changed after it was written",
                path=source,
                hint=f"delete {self._folder.parent} and run the stage again: training starts from the beginning",
            )
        try:
            copy_atomic(source, target)
        except OSError as error:
            raise disk_error(error, target.parent) from error


def _name(epoch: int) -> str:
    return f"epoch_{epoch:03d}.safetensors"


def estimated_bytes(network: nn.Module, *, epochs: int, every_epochs: int) -> int:
    """Disk that a training may need at its worst.

    A state holds weights and two moments of each (AdamW); two are kept while a third is written. Checkpoints are
    counted twice: in the state folder and in the stage folder.
    """
    tensors: list[torch.Tensor] = list(network.state_dict().values())
    weights = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
    states = 3 * weights * (KEPT_STATES + 1)
    checkpoints = 2 * weights * (epochs // every_epochs + 3)
    return states + checkpoints


def require_free_disk(folder: Path, needed_bytes: int) -> None:
    """Raise StageError when the folder's file system has less than `needed_bytes` free."""
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed_bytes:
        raise DiskFullError(
            f"not enough free disk: {free / 2**20:,.0f} MiB free, up to {needed_bytes / 2**20:,.0f} MiB needed",
            path=folder,
            hint="free disk space, raise trainer.checkpoint_every_epochs, or use a smaller model",
        )
