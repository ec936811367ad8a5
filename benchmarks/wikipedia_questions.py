"""The three workflows of `examples/workflows` on real data, with intervals: tower, tower + reranker, adapter.

    INTERLOCK_DATA_DIR=... python benchmarks/wikipedia_questions.py [--home FOLDER] [--dry]

Each workflow is the one command that its README names, `interlock job submit CARD`, in an INTERLOCK_HOME of its own:
a temporary one, or `--home`, where finished jobs are read and not run again. All numbers are those of the archived
runs, recomputed from the scores of single questions by the gates' statistics: intervals are two-sided 95 % ones, and
differences are paired by question (Tango's score bounds). Questions are about articles that no training question is
about. `R@k` of tower + reranker is that of the tower's own 50 first paragraphs in the reranker's order, so a paragraph
that the tower missed is a miss. Results go to `benchmarks/results/wikipedia_questions.json`. Measures no latency: the
export stage of each run does.
"""

import argparse
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _machine import write_result
from rich.console import Console
from rich.table import Table

from interlock.gates.intervals import two_sided
from interlock.gates.judge import seed_of
from interlock.gates.pairing import Pairs, difference_curve
from interlock.gates.sample import Sample, checked_sample
from interlock.runs.jobs.answer import read_report
from interlock.runs.jobs.folder import REPORT, JobFolder
from interlock.runs.review.comparing import TWO_SIDED_95
from interlock.runs.review.facts import measured_run
from interlock.stages.verdicts import Measured

ROOT = Path(__file__).resolve().parents[1]
WORKFLOWS = "examples/workflows"
PACKAGES = ("bm25s", "numpy", "scipy", "torch")
RETRIEVAL = ("r_at_1", "r_at_5", "r_at_10")
ADAPTER = ("accuracy", "f1", "ece")
ADAPTER_BASELINES = ("majority", "length", "bag")


@dataclass(frozen=True, kw_only=True)
class Done:
    """A workflow that was run."""

    card: str
    measured: Measured
    verdict: str
    reasons: tuple[str, ...]
    seconds: float
    """Wall seconds of its stages, a tower that was trained for it not counted."""


@dataclass(frozen=True, kw_only=True)
class System:
    """Whose measurements under which names."""

    name: str
    measured: Measured
    prefix: str

    def sample(self, metric: str) -> Sample:
        """Per-item scores, checked against the stated value; raises where they are not fit to be judged."""
        facts = {"scores": self.measured.scores, "items": self.measured.items}
        return checked_sample(self.prefix + metric, self.measured.measurements, **facts)


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="interlock-workflows-") as scratch:
        home = (arguments.home or Path(scratch)).resolve()
        cards = ("query_tower_wikipedia", "reranker_hard_negatives", "adapter_stories")
        tower, reranker, adapter = (run(card, home) for card in cards)
    systems = [
        System(name="BM25", measured=tower.measured, prefix="bm25."),
        System(name="BM25, the tower's stems", measured=tower.measured, prefix="bm25_stems."),
        System(name="tower", measured=tower.measured, prefix=""),
        System(name="tower + reranker", measured=reranker.measured, prefix="end_to_end_"),
    ]
    order = [
        System(name="adapter", measured=adapter.measured, prefix=""),
        *(System(name=name, measured=adapter.measured, prefix=f"{name}.") for name in ADAPTER_BASELINES),
    ]
    compared = [(3, 0), (2, 0), (3, 1), (2, 1), (3, 2)]
    result = {
        "what": "share of test questions whose paragraph is among the first k; which of two sentences comes first",
        "workflows": {done.card: told(done) for done in (tower, reranker, adapter)},
        "retrieval": {system.name: values(system, RETRIEVAL) for system in systems},
        "retrieval_differences": [difference(systems[a], systems[b], metric)
                                  for a, b in compared for metric in RETRIEVAL],
        "hard_negatives": values(System(name="", measured=reranker.measured, prefix=""),
                                 ("r_at_10", "first_stage.r_at_10", "hard_negative_rejection", "ndcg_at_10")),
        "order": {system.name: values(system, ADAPTER if not system.prefix else ("accuracy",)) for system in order},
        "order_differences": [difference(order[0], other, "accuracy") for other in order[1:]],
    }  # fmt: skip
    show(result)
    if not arguments.dry:
        print("->", write_result("wikipedia_questions", result, packages=PACKAGES))


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, help="INTERLOCK_HOME to work in; its finished jobs are read, not run")
    parser.add_argument("--dry", action="store_true", help="print, and keep no result")
    return parser.parse_args()


def run(card: str, home: Path) -> Done:
    """Submit a card. A gate that fails is an answer; a job without an archived run is an error."""
    path = f"{WORKFLOWS}/{card}.yaml"
    command = [sys.executable, "-c", "from interlock.cli.main import main; main()", "job", "submit", path]
    subprocess.run(
        command, cwd=ROOT, env={**os.environ, "INTERLOCK_HOME": str(home)}, check=False, stdout=sys.stderr,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    report = JobFolder(home, job_id(ROOT / path)).path / REPORT
    found = read_report(report) if report.is_file() else None
    if found is None or found.run_id is None:
        sys.exit(f"{path} left no run in {home}; its error stands above")
    return Done(card=path, measured=measured_run(home, found.run_id), verdict=str(found.verdict),
                reasons=found.remarks, seconds=60 * found.actuals.duration_mins)  # fmt: skip


def job_id(card: Path) -> str:
    import yaml

    return str(yaml.safe_load(card.read_text(encoding="utf-8"))["id"])


def told(done: Done) -> dict[str, Any]:
    return {"run": done.measured.run_id, "verdict": done.verdict, "remarks": done.reasons,
            "seconds": round(done.seconds, 1)}  # fmt: skip


def values(system: System, metrics: tuple[str, ...]) -> dict[str, Any]:
    """Value and interval by metric."""
    chosen = {name: system.measured.measurements[name] for name in (system.prefix + metric for metric in metrics)}
    facts = {"scores": system.measured.scores, "items": system.measured.items}
    intervals = two_sided(chosen, **facts, seed=seed_of(system.measured.run_id))
    return {
        name.removeprefix(system.prefix): {
            "value": rounded(item.value), "low": rounded(low), "high": rounded(high), "n": item.n
        }
        for name, item in chosen.items()
        for low, high in [intervals[name]]
    }  # fmt: skip


def difference(ours: System, theirs: System, metric: str) -> dict[str, Any]:
    """Paired by item over the same items, also across runs: recall over one corpus does not depend on who lists it."""
    one, other = ours.sample(metric), theirs.sample(metric)
    assert one.scores is not None
    assert other.scores is not None
    if not np.array_equal(one.items, other.items):
        sys.exit(f"{ours.name} and {theirs.name} were not measured on the same items")
    rates = one.measurement.estimator == other.measurement.estimator == "rate"
    pairs = Pairs(differences=one.scores - other.scores, are_rates=rates, score_range=(-1.0, 1.0))
    bounds = difference_curve(pairs, rng=np.random.default_rng(seed_of(ours.measured.run_id)))(TWO_SIDED_95)
    return {
        "metric": metric, "of": ours.name, "minus": theirs.name, "difference": rounded(bounds.estimate),
        "low": rounded(bounds.lower), "high": rounded(bounds.upper), "n": bounds.n, "method": bounds.method,
    }  # fmt: skip


def rounded(value: float | None) -> float | None:
    """None for a bound that is not known, such as those of a constant."""
    return None if value is None or not math.isfinite(value) else round(value, 4)


def show(result: Mapping[str, Any]) -> None:
    console = Console(file=sys.stdout, width=110)
    for title, key in (("Wikipedia questions", "retrieval"), ("Order of neighbouring sentences of stories", "order")):
        metrics = list(next(iter(reversed(result[key].values()))) if key == "retrieval" else ADAPTER)
        console.print(table_of(title, result[key], metrics))
        console.print(differences_of(result[f"{key}_differences"]))
    console.print(table_of("Reranking lists that hold the answer", {"reranker": result["hard_negatives"]},
                           list(result["hard_negatives"])))  # fmt: skip
    for card, done in result["workflows"].items():
        console.print(f"{card}: run {done['run']}, {done['verdict']}, {done['seconds']} s")
        for remark in done["remarks"]:
            console.print(f"    {remark}", highlight=False)


def table_of(title: str, rows: Mapping[str, Any], metrics: list[str]) -> Table:
    table = Table(title=f"{title}, 95 % intervals", title_justify="left")
    table.add_column("")
    for metric in metrics:
        table.add_column(metric, justify="right")
    for name, found in rows.items():
        table.add_row(name, *(cell(found[metric]) if metric in found else "" for metric in metrics))
    return table


def cell(found: Mapping[str, Any]) -> str:
    if found["low"] is None:
        return f"{found['value']:.3f}"
    return f"{found['value']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


def differences_of(rows: list[dict[str, Any]]) -> Table:
    table = Table(title="Paired differences", title_justify="left")
    for name, justify in zip(("metric", "of", "minus", "difference", "n"), ("left",) * 3 + ("right",) * 2, strict=True):
        table.add_column(name, justify=justify)
    for row in rows:
        interval = f"{row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}]"
        table.add_row(row["metric"], row["of"], row["minus"], interval, f"{row['n']:,}")
    return table


if __name__ == "__main__":
    main()
