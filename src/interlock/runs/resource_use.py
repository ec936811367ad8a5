"""What this process uses now: processor, memory and, where it works on one, the GPU.

Asks the operating system and `nvidia-smi`; never loads a training library. Does not add up or remember anything but
the processor time since it was last asked.
"""

import os
import subprocess
from typing import Any

_ASK = "--query-gpu=utilization.gpu,memory.used"
_MIB = 1 << 20


class ResourceUse:
    """Asks about this process and its children."""

    def __init__(self, *, gpu: int | None = None) -> None:
        """`gpu`: index of the NVIDIA GPU it works on."""
        import psutil

        self._process = psutil.Process()
        self._process.cpu_percent(None)  # the first answer is always 0
        self._gpu = gpu

    def measure(self) -> dict[str, Any]:
        """`cpu_percent` (of one core, since last asked), `memory_bytes`, `gpu_percent`, `gpu_memory_bytes`, `pid`."""
        gpu_percent, gpu_memory = self._of_gpu()
        return {
            "cpu_percent": max(0.0, self._process.cpu_percent(None)),
            "memory_bytes": self._memory_bytes(),
            "gpu_percent": gpu_percent,
            "gpu_memory_bytes": gpu_memory,
            "pid": os.getpid(),
        }

    def _memory_bytes(self) -> int:
        import psutil

        total = 0
        for process in (self._process, *self._process.children(recursive=True)):
            try:
                total += process.memory_info().rss
            except psutil.Error:  # it has ended in between
                continue
        return total

    def _of_gpu(self) -> tuple[float | None, int | None]:
        if self._gpu is None:
            return None, None
        command = ["nvidia-smi", f"--id={self._gpu}", _ASK, "--format=csv,noheader,nounits"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
            percent, mebibytes = done.stdout.strip().split(",")
            return float(percent), int(float(mebibytes) * _MIB)
        except (OSError, subprocess.SubprocessError, ValueError):
            return None, None
