"""Latency of the exported file: one request at a time, one thread, on a warm process.

Every request is timed on its own, features included, because that is what a user waits for; all samples are kept, so
that the judge can put an interval around the quantile. Timings are observations: they differ between executions and
never enter an identity.
"""

import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interlock.errors import StageError
from interlock.lanes.exporting.opening import ExportedModel

REQUESTS_MIN = 1000
"""Fewer timed requests than this say too little about a 95th percentile."""

WARM_UP = 200
"""Requests answered before the clock is used, taken from the end of the list."""


@dataclass(frozen=True)
class Latency:
    """Timed requests."""

    samples_ms: NDArray[np.float64]
    """[N] milliseconds of each request, in the order they were asked."""
    hardware: str
    """Processor and operating system."""
    runtime: str
    """Version of onnxruntime, and its threads."""

    def quantile(self, q: float) -> float:
        """Quantile in milliseconds, interpolated as the judge does when it checks the stated value."""
        return float(np.quantile(self.samples_ms, q))


def measure_latency(
    model: Path, requests: Sequence[Any], *, opener: type[ExportedModel], num_requests: int = REQUESTS_MIN
) -> Latency:
    """Time `num_requests` >= 1,000 requests with one thread; they are repeated in order when there are fewer.

    Raises StageError for too few requests or none at all, DataError for a file that cannot be opened.
    """
    if num_requests < REQUESTS_MIN or not requests:
        raise StageError(
            f"latency needs at least {REQUESTS_MIN} requests, and one to repeat",
            path=model,
            value=(num_requests, len(requests)),
        )
    import onnxruntime

    opened = opener.open(model, threads=1)
    for i in range(WARM_UP):
        opened.answer([requests[-1 - i % len(requests)]])
    samples_ns = np.empty(num_requests, dtype=np.int64)
    for i in range(num_requests):
        request = [requests[i % len(requests)]]
        start = perf_counter_ns()
        opened.answer(request)
        samples_ns[i] = perf_counter_ns() - start
    return Latency(samples_ns / 1e6, hardware_name(), f"onnxruntime {onnxruntime.__version__}, 1 thread")


def hardware_name() -> str:
    """Processor and operating system in words, e.g. `AMD EPYC 7763, Linux x86_64`."""
    return f"{_processor()}, {platform.system()} {platform.machine()}"


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.lower().startswith("model name"):
                return line.partition(":")[2].strip()
    if platform.system() == "Darwin":
        asked = subprocess.run(
            ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
        )
        if asked.stdout.strip():
            return asked.stdout.strip()
    return platform.processor() or "unknown processor"
