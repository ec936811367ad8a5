"""The device a training runs on: threads, determinism, quiet libraries, and a clear refusal where it is missing."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from interlock.contracts.hardware import CudaTarget, Hardware
from interlock.errors import StageError

_NOISY = ("lightning.pytorch", "lightning.fabric", "pytorch_lightning", "torch.distributed")


def require_device(hardware: Hardware) -> torch.device:
    """The torch device of a target. Raises StageError when this machine does not have it."""
    if isinstance(hardware, CudaTarget):
        found = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if hardware.device_index >= found:
            raise StageError(
                f"no such CUDA device: this machine has {found}",
                key="hardware.device_index",
                value=hardware.device_index,
                hint="choose another device_index, or hardware=cpu",
            )
        return torch.device("cuda", hardware.device_index)
    if hardware.kind == "mps" and not torch.backends.mps.is_available():
        raise StageError(
            "this machine has no usable Metal device", key="hardware.kind", value="mps", hint="choose hardware=cpu"
        )
    return torch.device(hardware.kind)


@contextmanager
def prepared_device(hardware: Hardware) -> Iterator[torch.device]:
    """Threads and determinism as the target says, libraries quiet; everything is put back at the end."""
    device = require_device(hardware)
    threads = torch.get_num_threads()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(hardware.threads)
    torch.use_deterministic_algorithms(hardware.deterministic)
    try:
        with quiet_libraries():
            yield device
    finally:
        torch.set_num_threads(threads)
        torch.use_deterministic_algorithms(deterministic)


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence adverts, tips and warnings of torch and Lightning; errors still come through."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for module in (r"lightning\.", r"torch\.", r"pytorch_lightning\."):
                warnings.filterwarnings("ignore", module=module)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
