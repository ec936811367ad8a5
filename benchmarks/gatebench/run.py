"""Runs GateBench and writes `benchmarks/results/gatebench.json`. Called by `benchmarks/gatebench.py`."""

import argparse
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from gatebench.cases import Case
    from gatebench.peer_scoring import Tally
    from gatebench.scoring import Result

ROOT = Path(__file__).resolve().parents[2]
TABLE_WIDTH = 132
LIMITS = {"wrong_passes": 0, "exact_share": 0.98, "fault_kinds": 25, "cases": 200}


def main() -> int:
    """Run, print, write; 1 when a limit is missed."""
    parser = argparse.ArgumentParser(description="does a gate let through what it must not, and what it must?")
    parser.add_argument("--repetitions", type=int, default=2, help="how often each fault is drawn for each gate kind")
    parser.add_argument("--no-write", action="store_true", help="print only")
    arguments = parser.parse_args()
    sys.path.append(str(ROOT / "tests" / "plugins"))  # the toy lane
    from rich.console import Console

    from gatebench.generate import judge_cases
    from gatebench.peer_scoring import score_peers
    from gatebench.scoring import run
    from gatebench.tables import show

    started = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="gatebench-") as folder:
        results = run([*judge_cases(repetitions=arguments.repetitions), *file_cases(Path(folder))])
    seconds = time.perf_counter() - started
    peers = score_peers(result.case for result in results if result.case.world is not None)
    console = Console(highlight=False, width=max(Console().width, TABLE_WIDTH))  # also into a file, which says 80
    show(results, peers, console)
    found = _result(results, peers, seconds)
    _say(found, console)
    if not arguments.no_write:
        from _machine import write_result

        packages = ("numpy", "scipy", "pydantic", "pyarrow")
        console.print("->", str(write_result("gatebench", found, packages=packages).relative_to(ROOT)))
    return 0 if found["within_limits"] else 1


def file_cases(folder: Path) -> "Iterator[Case]":
    """The cases of files; everything they write stays in `folder`."""
    from gatebench.leaks import leak_cases
    from gatebench.readings import contract_cases, reading_cases
    from gatebench.records import status_cases
    from gatebench.toy_runs import ToyRuns

    yield from status_cases(ToyRuns(folder / "runs"))
    yield from reading_cases(folder)
    yield from contract_cases(folder)
    yield from leak_cases(folder)


def _result(results: "list[Result]", peers: "dict[str, Tally]", seconds: float) -> dict[str, object]:
    from gatebench.scoring import summary

    found = summary(results)
    within = (
        found["wrong_passes"] <= LIMITS["wrong_passes"]
        and found["exact_share"] >= LIMITS["exact_share"]
        and found["fault_kinds"] >= LIMITS["fault_kinds"]
        and found["cases"] >= LIMITS["cases"]
    )
    judged = sum(result.case.world is not None for result in results)
    return {
        "what": "faults that a gate must not pass, each with a healthy twin that it must; exact verdicts of both count",
        **found,
        "cases_of_the_pure_judge": judged,
        "cases_of_files": len(results) - judged,
        "seconds": round(seconds, 1),
        "limits": LIMITS,
        "within_limits": within,
        "systems": {name: tally.as_json() for name, tally in peers.items()},
        "systems_are": "published rules written anew from their sources, on the cases of the pure judge; see peers.py",
        "wrong_passes_by_fault": _by_fault(results, peers),
        "fail_open_cases": sorted(
            {f"{result.case.fault}: {result.case.after}" for result in results if result.case.after}
        ),
    }


def _by_fault(results: "list[Result]", peers: "dict[str, Tally]") -> dict[str, dict[str, int]]:
    """Cases of each fault of the pure judge, and the wrong passes of every system that has any."""
    found: dict[str, dict[str, int]] = {}
    for result in results:
        if result.case.world is not None:
            counts = found.setdefault(result.case.fault, {"cases": 0})
            counts["cases"] += 1
            if result.is_wrong_pass:
                counts["Interlock"] = counts.get("Interlock", 0) + 1
    for name, tally in peers.items():
        for fault, part in tally.by_fault.items():
            if part.wrong_passes:
                found[fault][name] = part.wrong_passes
    return found


def _say(found: dict[str, object], console: "Console") -> None:
    style = "bold green" if found["within_limits"] else "bold red"
    console.print(
        f"\n[{style}]{found['cases']} cases, {found['fault_kinds']} faults: {found['wrong_passes']} wrong passes, "
        f"{found['wrong_stops']} wrong stops, {float(str(found['exact_share'])):.2%} exact verdicts, "
        f"{found['causes_exact']}/{found['causes_asked']} causes[/] in {found['seconds']} s"
    )
    for miss in found["misses"]:  # type: ignore[attr-defined]
        console.print(f"  [red]miss[/] {miss}")
