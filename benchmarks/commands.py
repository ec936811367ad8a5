"""How long the quick commands take, beside the interpreter alone.

    python benchmarks/commands.py [--runs 15]

Whole processes, the commands in turn so that a slow moment hits all of them; medians. `status`, `why` and the decide
stage (under rules, without a language model) work on the run that `make run` left. Results go to
`benchmarks/results/commands.json`.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from _machine import write_result

ROOT = Path(__file__).resolve().parents[1]
LIMITS_S = {"interlock --help": 0.3, "interlock status": 0.6, "decide stage": 1.0}
LANE = "query_tower"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    runs = parser.parse_args().runs
    script = str(Path(sys.executable).parent / "interlock")
    record = ROOT / "artifacts/lanes" / LANE / "decide/record.json"
    if not record.is_file():
        sys.exit("run `make run` first: status is measured on a finished run")
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "interlock --help": [script, "--help"],
        "interlock status": [script, "status"],
        "interlock why": [script, "why", json.loads(record.read_text())["run_id"]],
        "decide stage": [sys.executable, "pipelines/decide.py", LANE],
    }
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for _ in range(runs + 1):
        for name, command in commands.items():
            started = time.perf_counter()
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            if done.returncode and name != "interlock status":  # that one ends with the verdict's code
                sys.exit(f"{name} ended with code {done.returncode}: {done.stderr}")
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
