"""Follow the rules from a situation to the end: really run what they propose, decide again, until a pass or the end.

What a first proposal led to is stored as one more outcome (`data/proposed.json`), the whole way in `data/paths.json`.
"""

import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from decisions.collect import outcome_of
from decisions.contexts import context_of
from decisions.running import Job, Workers
from decisions.situations import DATA, Situation


def follow(situations: Iterable[Situation], *, workspace: Path, folder: Path, processes: int = 1) -> None:
    """Follow the rules from every situation in which they retrain, and store where that leads."""
    from interlock.decisions.rules.by_kind import Rules

    begun = [item for item in situations if str(Rules().decide(item.context()).action) == "retrain"]
    with (
        Workers(workspace=workspace, folder=folder, processes=processes) as workers,
        ThreadPoolExecutor(processes) as threads,
    ):
        ways = dict(zip([item.name for item in begun], threads.map(partial(_way, workers), begun), strict=True))
    proposed = {name: {**rows[0]["proposed"], "passed_at": _passed_at(rows)} for name, rows in ways.items()}
    _write("proposed.json", proposed)
    _write("paths.json", {name: [_short(row) for row in rows] for name, rows in ways.items()})


def _way(workers: Workers, situation: Situation) -> list[dict[str, Any]]:
    from interlock.decisions.rules.by_kind import Rules

    rows: list[dict[str, Any]] = []
    context, changes, attempt = situation.context(), dict(situation.changes), situation.attempts
    while not rows or rows[-1]["verdict"] != "pass":
        decision = Rules().decide(context)
        if str(decision.action) != "retrain":
            break
        overrides = dict(decision.proposed_overrides)
        changes, attempt = {**changes, **overrides}, attempt + 1
        run = workers.of(Job(setting=situation.setting, changes=changes, plant=situation.plant))
        moved = ", ".join(f"{key.rpartition('.')[2]}={value:g}" for key, value in sorted(overrides.items()))
        told = {"name": f"retrain {moved}", "action": "retrain", "overrides": overrides, **outcome_of(run)}
        rows.append({"attempt": attempt, "verdict": run.verdict, "proposed": told})
        print(f"{situation.name:32} run {attempt}: {moved} -> {run.verdict}", flush=True)
        if run.judgement is None:
            break
        context = context_of(run, attempts=attempt, max_attempts=situation.max_attempts)
    return rows


def _passed_at(rows: list[dict[str, Any]]) -> int | None:
    return rows[-1]["attempt"] if rows[-1]["verdict"] == "pass" else None


def _short(row: dict[str, Any]) -> dict[str, Any]:
    proposed = row["proposed"]
    return {
        "attempt": row["attempt"],
        "overrides": proposed["overrides"],
        "run_id": proposed["run_id"],
        "verdict": row["verdict"],
    }


def _write(name: str, content: dict[str, Any]) -> None:
    (DATA / name).write_text(json.dumps(content, indent=1, sort_keys=True) + "\n")
