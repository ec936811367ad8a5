"""Does `drive` by rules alone mend bad configurations more often than random search does, at equal attempts?

    python benchmarks/drive_vs_random.py [--starts 20] [--attempts 4] [--seed 5813] [--processes 1] [--folder DIR]

Bad configurations of a small query tower are drawn from the lane's search space until enough of them fail their
gates. From each, two arms get the same number of attempts, the bad start being the first: the rule policy's changes,
one decision after another, and fresh draws from the same space. A pass ends an arm. Every run is a real one; runs are
kept in the folder, so that a second call is quick. `--quick` replays the stored result's arithmetic and runs nothing.
Results go to `benchmarks/results/drive_vs_random.json`; the exit code is 1 where drive does not pass more often.
"""

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from _machine import RESULTS, write_result
from decisions.draws import draw
from decisions.plan import DRIVE_SEED
from decisions.settings import SETTINGS

ROOT = Path(__file__).resolve().parents[1]
SETTING = "tower"
BATCH = 4
"""Configurations that are drawn at once; the first failing ones are the starts, whatever the number of processes."""

Row = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--starts", type=int, default=20, help="bad configurations to begin from")
    parser.add_argument("--attempts", type=int, default=4, help="runs of an arm, the start included")
    parser.add_argument("--seed", type=int, default=DRIVE_SEED)
    parser.add_argument("--processes", type=int, default=1, help="runs at the same time; one thread each")
    parser.add_argument("--workspace", type=Path, default=ROOT, help="whose code and conf are run")
    parser.add_argument("--folder", type=Path, help="where runs are kept; a temporary one by default")
    parser.add_argument("--out", default="drive_vs_random", help="name of the results file")
    parser.add_argument(
        "--quick", action="store_true", help="compute the stored result's summary again, and run nothing"
    )
    options = parser.parse_args()
    if options.quick:
        told = json.loads((RESULTS / f"{options.out}.json").read_text())
        print(json.dumps(summary(told["pairs"], told["draws"]), indent=2))
        return
    with tempfile.TemporaryDirectory(prefix="interlock-drive-") as scratch:
        told = measure(options, options.folder or Path(scratch))
    print(json.dumps(told["summary"], indent=2), "->", write_result(options.out, told, packages=("lightning", "torch")))
    sys.exit(0 if told["summary"]["drive_passes_more_often"] else 1)


def measure(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Find the starts, run both arms from each."""
    from decisions.running import Workers

    with (
        Workers(workspace=options.workspace, folder=folder, processes=options.processes) as workers,
        ThreadPoolExecutor(options.processes) as threads,
    ):
        draws = list(_draws(options, threads, workers))
        starts = [row for row in draws if row["verdict"] == "fail"][: options.starts]
        pairs: list[dict[str, Any]] = [{"start": row["run_id"]} for row in starts]
        for arm, play in {"random": _random_arm, "drive": _drive_arm}.items():
            found = threads.map(partial(play, options=options, workers=workers), range(len(starts)), starts)
            for number, (pair, rows) in enumerate(zip(pairs, found, strict=True), 1):
                pair[arm] = rows
                print(f"{arm} {number:3} of {len(starts)}   {' > '.join(row['verdict'] for row in rows)}", flush=True)
    return {
        "what": "bad configurations mended within the same number of attempts: rules of drive, and random search",
        "setting": {SETTING: SETTINGS[SETTING]},
        "seed": options.seed,
        "attempts": options.attempts,
        "summary": summary(pairs, draws),
        "draws": draws,
        "pairs": pairs,
    }


def _draws(options: argparse.Namespace, threads: ThreadPoolExecutor, workers: Any) -> Iterator[dict[str, Any]]:
    """Random configurations in the order of the seed, until enough have failed."""
    rng, failed = random.Random(options.seed), 0
    while failed < options.starts:
        for row in threads.map(partial(_run, workers), [draw(SETTING, rng) for _ in range(BATCH)]):
            failed += row["verdict"] == "fail"
            print(f"draw: {row['verdict']:12} {row['seconds']:6.1f} s   failed so far: {failed}", flush=True)
            yield row


def _random_arm(number: int, start: Row, *, options: argparse.Namespace, workers: Any) -> list[Row]:
    rng, rows = random.Random(f"{options.seed}/{number}"), [start]
    while rows[-1]["verdict"] != "pass" and len(rows) < options.attempts:
        rows.append(_run(workers, draw(SETTING, rng)))
    return rows


def _drive_arm(number: int, start: Row, *, options: argparse.Namespace, workers: Any) -> list[Row]:
    """The rules' decisions, one after another; what they decide about the last run ends it unless it is a retrain."""
    from decisions.contexts import context_of
    from decisions.running import Job

    from interlock.decisions.rules.by_kind import Rules

    rows = [dict(start)]
    while rows[-1]["verdict"] != "pass":
        run = workers.of(Job(setting=SETTING, changes=rows[-1]["values"]))
        decision = Rules().decide(context_of(run, attempts=len(rows), max_attempts=options.attempts))
        changes = dict(decision.proposed_overrides)
        rows[-1]["decided"] = {"action": str(decision.action), "proposed_overrides": changes}
        if decision.action != "retrain":
            break
        rows.append(_run(workers, {**rows[-1]["values"], **changes}))
    return rows


def _run(workers: Any, values: Mapping[str, float]) -> Row:
    from decisions.running import Job

    run = workers.of(Job(setting=SETTING, changes=dict(values)))
    return {"run_id": run.run_id, "values": dict(values), "verdict": run.verdict, "seconds": run.seconds}


def summary(pairs: list[dict[str, Any]], draws: list[dict[str, Any]]) -> dict[str, Any]:
    """Paired comparison: exact sign test on the pairs that differ, with the interval of drive's share of them."""
    from scipy.stats import binomtest

    passed = {arm: [pair[arm][-1]["verdict"] == "pass" for pair in pairs] for arm in ("drive", "random")}
    both = list(zip(passed["drive"], passed["random"], strict=True))
    only_drive, only_random = both.count((True, False)), both.count((False, True))
    differ = only_drive + only_random
    test = binomtest(only_drive, differ, 0.5) if differ else None
    interval = test.proportion_ci(0.95, method="exact") if test else None
    rates = {
        verdict: sum(row["verdict"] == verdict for row in draws) / len(draws)
        for verdict in ("pass", "fail", "inconclusive")
    }
    return {
        "starts": len(pairs),
        "passed": {arm: sum(found) for arm, found in passed.items()},
        "only_drive": only_drive,
        "only_random": only_random,
        "mcnemar_exact_p": round(test.pvalue, 5) if test else 1.0,
        "drive_share_of_differing_95": [round(interval.low, 3), round(interval.high, 3)] if interval else None,
        "attempts_to_a_pass": {arm: _attempts([pair[arm] for pair in pairs]) for arm in passed},
        "verdicts_of_draws": {name: round(rate, 3) for name, rate in rates.items()},
        "draws": len(draws),
        "drive_passes_more_often": sum(passed["drive"]) > sum(passed["random"]),
    }


def _attempts(arms: list[list[dict[str, Any]]]) -> dict[str, int]:
    """How many arms passed at the second, third ... run."""
    counts = [len(rows) for rows in arms if rows[-1]["verdict"] == "pass"]
    return {str(number): counts.count(number) for number in sorted(set(counts))}


if __name__ == "__main__":
    main()
