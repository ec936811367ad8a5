"""How fast artifacts are verified, beside the bare digest of the same bytes.

    python benchmarks/verify_throughput.py [--gigabytes 3] [--rounds 3]

A run of the toy lane gets large model files, is sealed again as its forger would, and is verified. Warm cache: every
contender reads all files once before it is timed; the best of the rounds counts, all contenders in turn so that a slow
moment hits each. `sha256sum` and one thread of `hashlib` are the yardsticks; the rate over bytes in memory tells
whether the processor is the limit. Results go to `benchmarks/results/verify_throughput.json`.
"""

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _machine import write_result

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "plugins"))

from forger import Forger  # noqa: E402
from honest_runs import HonestRuns  # noqa: E402

from interlock.registry.verify import verify_run  # noqa: E402

NUM_FILES = 12
BLOCK_BYTES = 1 << 20
WANTED_GB_S = 1.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gigabytes", type=float, default=3.0)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="interlock-throughput-") as scratch:
        home, run_id = large_run(Path(scratch), int(arguments.gigabytes * 1e9))
        models = home / "runs" / run_id / "models"
        files = sorted(path for path in models.rglob("*") if path.is_file())
        size_bytes = sum(path.stat().st_size for path in files)
        contenders: dict[str, Callable[[], object]] = {
            f"interlock verify, {threads} thread{'s' if threads > 1 else ''}": verifier(home, run_id, threads)
            for threads in (1, 2, 4)
        }
        contenders["hashlib, 1 thread"] = lambda: [digest(path) for path in files]
        contenders["sha256sum"] = lambda: subprocess.run(["sha256sum", *files], check=True, capture_output=True)
        seconds = {name: min(timed(work) for _ in range(arguments.rounds)) for name, work in warmed(contenders).items()}
    rates = {name: round(size_bytes / 1e9 / value, 2) for name, value in seconds.items()}
    bare = bare_rate()
    best = rates["interlock verify, 4 threads"]
    result = {
        "what": "GB/s of a run's artifacts, warm cache, best of the rounds",
        "gigabytes": round(size_bytes / 1e9, 2),
        "files": len(files),
        "rounds": arguments.rounds,
        "gb_per_s": rates,
        "sha256_of_memory_gb_per_s": bare,
        "share_of_one_bare_thread": round(rates["interlock verify, 1 thread"] / rates["hashlib, 1 thread"], 2),
        "within_limits": best >= WANTED_GB_S,
    }
    for name, rate in {**rates, "sha256 of memory, 1 thread": bare}.items():
        print(f"{name:<32}{rate:>6.2f} GB/s")
    print("->", write_result("verify_throughput", result))


def large_run(scratch: Path, size_bytes: int) -> tuple[Path, str]:
    """A run whose model folder holds so many bytes in files of unequal size."""
    home = scratch / "home"
    run_id = HonestRuns(scratch, workspace=ROOT).run(home, seed=1)
    forger, block = Forger(home, run_id), random.Random(1).randbytes(BLOCK_BYTES)
    weights = [1 + number % 4 for number in range(NUM_FILES)]
    artifacts = {}
    for number, weight in enumerate(weights):
        path = forger.models / f"shards/{number:02d}.safetensors"
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            for index in range(max(1, size_bytes * weight // sum(weights) // BLOCK_BYTES)):
                file.write(index.to_bytes(8, "little") + block[8:])
        artifacts[f"shards/{path.name}"] = {"sha256": digest(path), "size_bytes": path.stat().st_size}
    forger.change("models/records/train.json", lambda record: record["artifacts"].update(artifacts))
    forger.reseal()
    found = verify_run(home, run_id)
    assert found.ok, found.first_broken
    return home, run_id


def verifier(home: Path, run_id: str, threads: int) -> Callable[[], object]:
    """The whole verification of the run."""

    def work() -> object:
        found = verify_run(home, run_id, threads=threads)
        assert found.ok, found.first_broken
        return found

    return work


def warmed(contenders: dict[str, Callable[[], object]]) -> dict[str, Callable[[], object]]:
    """The same, after each has run once."""
    for work in contenders.values():
        work()
    return contenders


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def bare_rate() -> float:
    """GB/s of SHA-256 over memory in one thread, without any file."""
    data = os.urandom(1 << 27)
    return round(len(data) / 1e9 / min(timed(lambda: hashlib.sha256(data).digest()) for _ in range(3)), 2)


if __name__ == "__main__":
    main()
