"""How long the quick commands take, beside the interpreter alone.

    python benchmarks/commands.py [--runs 15]

Whole processes, the commands in turn so that a slow moment hits all of them; medians. `status` shows the run that
`make run` left. Results go to `benchmarks/results/commands.json`.
"""

import argparse
import statistics
import subprocess
import sys
import time
from pathlib import Path

from _machine import write_result

ROOT = Path(__file__).resolve().parents[1]
LIMITS_S = {"interlock --help": 0.3, "interlock status": 0.6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    script = str(Path(sys.executable).parent / "interlock")
    if not (ROOT / "artifacts/lanes/query_tower/decide/record.json").is_file():
        sys.exit("run `make run` first: status is measured on a finished run")
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "interlock --help": [script, "--help"],
        "interlock status": [script, "status"],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs + 1):
        for name, command in commands.items():
            started = time.perf_counter()
            subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
            seconds[name].append(time.perf_counter() - started)
    # The first round is the warm-up.
    medians = {name: round(statistics.median(values[1:]), 3) for name, values in seconds.items()}
    result = {
        "what": "seconds of whole processes, medians",
        "runs": runs,
        "median_s": medians,
        "slowest_s": {name: round(max(values[1:]), 3) for name, values in seconds.items()},
        "limits_s": LIMITS_S,
        "within_limits": all(medians[name] <= limit for name, limit in LIMITS_S.items()),
    }
    print(medians, "->", write_result("commands", result, packages=("typer", "rich", "pydantic")))


if __name__ == "__main__":
    main()
