"""Run every planned situation and every candidate in it, and write what happened to `data/`.

    python -m decisions.collect --folder DIR [--processes 2]      (in benchmarks/)

Two files: `situations.json`, to be read by people, and `runs.json.xz` with the raw files of the judged runs, by key.
What ran before is found in the folder. Labels are not written: they follow from the outcomes (`labels.py`).
"""

import argparse
import json
import lzma
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from decisions.plan import MAX_ATTEMPTS, Candidate, Planned, candidates, planned
from decisions.running import Job, Run, Workers

DATA = Path(__file__).parent / "data"
ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where runs are kept")
    parser.add_argument("--workspace", type=Path, default=ROOT, help="whose code and conf are run")
    parser.add_argument("--processes", type=int, default=1, help="runs at the same time; one thread each")
    parser.add_argument(
        "--stop-at", type=float, default=float("inf"), help="seconds since 1970 from which nothing new is begun"
    )
    options = parser.parse_args()
    situations = list(planned())
    with Workers(workspace=options.workspace, folder=options.folder, processes=options.processes) as workers:
        found = _run("situations", [situation.job for situation in situations], workers, options.stop_at)
        judged = [(item, found[item.job.name]) for item in situations if item.job.name in found]
        tried = {situation.name: list(candidates(situation, run)) for situation, run in judged if run.judgement}
        jobs = [item.job for items in tried.values() for item in items]
        outcomes = _run("candidates", jobs, workers, options.stop_at)
    written = []
    for situation, run in judged:
        if not run.judgement:
            print(f"left out, nothing was judged: {situation.name}: {run.error}")
        elif missing := [item.name for item in tried[situation.name] if item.job.name not in outcomes]:
            print(f"left out, not everything has run: {situation.name}: {', '.join(missing)}")
        else:
            written.append(
                _situation(situation, run, [(item, outcomes[item.job.name]) for item in tried[situation.name]])
            )
    used = {situation["run"] for situation in written}
    _write(written, {run.key: dict(run.files) for _, run in judged if run.key in used})


def _run(what: str, jobs: list[Job], workers: Workers, stop_at: float) -> dict[str, Run]:
    found = {}
    for job, run in workers.all(jobs, stop_at=stop_at):
        found[job.name] = run
        changes = " ".join(f"{key.rpartition('.')[2]}={value}" for key, value in job.changes.items())
        print(f"{what} {len(found):4}/{len(jobs)} {run.verdict:12} {run.seconds:5.1f} s  {job.setting} {changes} "
              f"{job.plant} {job.then} {run.error[:80]}", flush=True)  # fmt: skip
    return found


def _situation(situation: Planned, run: Run, tried: Iterable[tuple[Candidate, Run]]) -> dict[str, Any]:
    return {
        "name": situation.name,
        "kind": situation.kind,
        "lane": run.record("train")["lane"],
        "setting": situation.job.setting,
        "changes": dict(situation.job.changes),
        "plant": situation.job.plant,
        "unjust": situation.unjust,
        "attempts": situation.attempts,
        "max_attempts": MAX_ATTEMPTS,
        "run": run.key,
        "run_id": run.run_id,
        "verdict": run.verdict,
        "outcomes": [
            {"name": item.name, "action": item.action, "overrides": dict(item.overrides), **outcome_of(ended)}
            for item, ended in tried
        ],
    }


def outcome_of(run: Run) -> dict[str, Any]:
    """What a run led to: its verdict, and by how much each blocking gate was missed."""
    rows = run.judgement["rows"] if run.judgement else []
    missed = {
        row["gate"]: {"verdict": row["verdict"], **{name: row[name] for name in ("observed", "bound", "target", "n")}}
        for row in rows
        if row["severity"] != "advise" and row["verdict"] != "pass" and row["cause"] != "not_exported"
    }
    return {"run_id": run.run_id, "verdict": run.verdict, "seconds": run.seconds, "missed": missed, "error": run.error}


def _write(situations: list[dict[str, Any]], runs: dict[str, dict[str, str]]) -> None:
    DATA.mkdir(exist_ok=True)
    (DATA / "situations.json").write_text(json.dumps(situations, indent=1, sort_keys=True) + "\n")
    packed = lzma.compress(json.dumps(runs, sort_keys=True).encode(), preset=9)
    (DATA / "runs.json.xz").write_bytes(packed)
    print(f"{len(situations)} situations, {len(runs)} runs, {len(packed) / 1e6:.2f} MB in {DATA}")


if __name__ == "__main__":
    main()
