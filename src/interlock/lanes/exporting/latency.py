"""Latency of the exported file: text to vector, one query at a time, on a warm process.

Every query is timed on its own, features included, because that is what a user waits for; all samples are kept, so that
the judge can put an interval around the quantile. Timings are observations: they differ between executions and never
enter an identity.
"""

import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns

import numpy as np
from numpy.typing import NDArray

from interlock.errors import StageError
from interlock.lanes.exporting.answering import ExportedEncoder

QUERIES_MIN = 1000
"""Fewer timed queries than this say too little about a 95th percentile."""

WARM_UP = 200
"""Queries answered before the clock is used, taken from the end of the list."""


@dataclass(frozen=True)
class Latency:
    """Timed queries."""

    samples_ms: NDArray[np.float64]
    """[N] milliseconds of each query, in the order they were asked."""
    hardware: str
    """Processor and operating system."""
    runtime: str
    """Version of onnxruntime, and its threads."""

    def quantile(self, q: float) -> float:
        """Quantile in milliseconds, interpolated as the judge does when it checks the stated value."""
        return float(np.quantile(self.samples_ms, q))


def measure_latency(model: Path, texts: Sequence[str], *, role: str, num_queries: int = QUERIES_MIN) -> Latency:
    """Time `num_queries` >= 1,000 queries with one thread; texts are repeated in order when there are fewer.

    Raises StageError for too few queries or no text at all.
    """
    if num_queries < QUERIES_MIN or not texts:
        raise StageError(
            f"latency needs at least {QUERIES_MIN} queries and some text", path=model, value=(num_queries, len(texts))
        )
    import onnxruntime

    encoder = ExportedEncoder.open(model, threads=1)
    for i in range(WARM_UP):
        encoder.encode([texts[-1 - i % len(texts)]], role=role)
    samples_ns = np.empty(num_queries, dtype=np.int64)
    for i in range(num_queries):
        query = [texts[i % len(texts)]]
        start = perf_counter_ns()
        encoder.encode(query, role=role)
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
