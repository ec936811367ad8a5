"""Every row of the recovery table, injected for real: class, outcome, run id, and changes that are on no record.

    python benchmarks/fault_injection.py [NAME ...] [--repeat 1]

The injections are those of the tests (`tests/plugins/fault_injections.py`): processes with memory limits, kills, small
file systems, damaged files, NaN. Results go to `benchmarks/results/fault_injection.json`.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from _machine import write_result

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "plugins"))

from fault_injections import UnshareError  # noqa: E402
from recovery_table import INJECTIONS, ROWS  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="injections; all by default")
    parser.add_argument("--repeat", type=int, default=1)
    arguments = parser.parse_args()
    names = arguments.names or list(INJECTIONS)
    print(f"{'injected':28} {'class':20} {'action':11} {'end':11} {'run':5} {'silent':>6} {'s':>6}")
    rows = [row for name in names for row in repeated(name, arguments.repeat)]
    covered = {row["row"] for row in rows if not row["skipped"]}
    result = {
        "what": "faults injected into real trainings: class, outcome, and changes that are on no record",
        "injections": rows,
        "as_the_table_says": sum(not row["problems"] and not row["skipped"] for row in rows),
        "injected": sum(not row["skipped"] for row in rows),
        "silent_changes": sum(row["silent_changes"] for row in rows),
        "rows_without_injection": [row for row in ROWS if row not in covered],
    }
    print(f"\n{result['as_the_table_says']} of {result['injected']} as the table says, "
          f"{result['silent_changes']} silent changes")  # fmt: skip
    if not arguments.names:
        print("->", write_result("fault_injection", result, packages=("torch", "lightning", "pydantic")))
    if result["as_the_table_says"] != result["injected"]:
        sys.exit(1)


def repeated(name: str, times: int) -> list[dict[str, Any]]:
    found = []
    for _ in range(times):
        with tempfile.TemporaryDirectory(prefix="interlock-faults-") as scratch:
            found.append(injected(name, Path(scratch)))
    return found


def injected(name: str, root: Path) -> dict[str, Any]:
    wanted, started = INJECTIONS[name], time.perf_counter()
    plain = {"injected": name, "row": wanted.row, "wanted": f"{wanted.fault}: {wanted.action}", "skipped": ""}
    try:
        found = wanted.inject(root)
    except UnshareError as error:
        print(f"{name:28} skipped: {error}", flush=True)
        return {**plain, "skipped": str(error), "problems": [], "silent_changes": 0}
    seconds, run = time.perf_counter() - started, "new" if found.new_run else "same"
    print(f"{name:28} {found.fault:20} {found.action:11} {found.end:11} {run:5} {len(found.silent):6} {seconds:6.1f}",
          flush=True)  # fmt: skip
    problems = wanted.problems(found)
    for problem in problems:
        print(f"    {problem}", flush=True)
    return {
        **plain,
        "fault": found.fault.value,
        "action": found.action.value,
        "end": found.end,
        "run": run,
        "problems": problems,
        "silent_changes": len(found.silent),
        "seconds": round(seconds, 1),
    }


if __name__ == "__main__":
    main()
