"""The device a training runs on: threads, determinism, quiet libraries, and a clear refusal where it is missing.

What determinism asks of CUDA is set here as torch documents it (its notes on reproducibility): deterministic kernels, a
fixed cuBLAS workspace, no tuning of cuDNN at run time, and full float32 instead of TF32. A kernel that has no
deterministic form raises. Nothing of a GPU's generators needs to be kept: every step seeds them anew.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

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
    torch.set_num_threads(hardware.threads)
    try:
        with quiet_libraries(), _determinism() if hardware.deterministic else nullcontext():
            yield device
    finally:
        torch.set_num_threads(threads)


@contextmanager
def _determinism() -> Iterator[None]:
    before, precision = torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision()
    # cuBLAS reads it when it starts, once for each process: it stays
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False):
            yield
    finally:
        torch.use_deterministic_algorithms(before)
        torch.set_float32_matmul_precision(precision)


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
