"""The sweep that a run belongs to: every job's value with its interval, ties marked, and each parameter's effect."""

from collections.abc import Mapping, Sequence
from typing import Any

from interlock.contracts.sweep import LaneRanking, PlannedJob, RankedRun, SeedGroup
from interlock.reports.charts.forest import Entry, Trial, axis_row, interval_row, scale_of, trials_chart
from interlock.reports.charts.scales import around
from interlock.reports.charts.svg import Svg
from interlock.reports.figures import figure, interval
from interlock.reports.run_facts import RunFacts, SweepFacts
from interlock.reports.sections.section import Section, counted

MAX_ROWS = 60
_MAX_PARAMETERS = 8
_STATUS = {"finished": "finished", "failed": "failed", "pruned": "pruned", "duplicate": "duplicate"}


def sweep(facts: RunFacts) -> Section | None:
    """The ranking with intervals drawn, once the sweep has one; before that, how far it is."""
    found = facts.sweep
    if found is None:
        return None
    ranking = (
        next((lane for lane in found.ranking.lanes if lane.lane == facts.view.run.lane), None)
        if found.ranking
        else None
    )
    values: dict[str, Any] = {
        "manifest": found.manifest,
        "counts": _counts(found),
        "others": found.ranking.others if found.ranking else (),
        "table": None,
    }
    if ranking and any(run.value is not None for run in ranking.runs):
        values |= _ranked(facts, found, ranking)
    return Section(
        id="sweep", title="Sweep", template="sweep.html.j2", values=values,
        lead=f"{counted(len(found.manifest.jobs), 'job')}, sweeper {found.manifest.sweeper}.",
    )  # fmt: skip


def _counts(found: SweepFacts) -> list[tuple[str, int]]:
    states = [job.status for job in found.jobs]
    waiting = len(found.manifest.jobs) - len(states)
    counts = [(name, states.count(status)) for status, name in _STATUS.items()]  # type: ignore[arg-type]
    return [(name, number) for name, number in (*counts, ("waiting", waiting)) if number]


def _ranked(facts: RunFacts, found: SweepFacts, ranking: LaneRanking) -> dict[str, Any]:
    valued = [run for run in ranking.runs if run.value is not None]
    runs = [run for place, run in enumerate(valued) if place < MAX_ROWS or run.run_id == facts.run_id]
    entries = [_entry(run, facts.run_id) for run in runs]
    scale = scale_of(entries)
    rows = [
        {
            "run": run,
            "is_this": run.run_id == facts.run_id,
            "value": figure(run.value, ranking.unit),
            "interval": interval(_ends(run), ranking.unit),
            "chart": interval_row(entry, scale, shaded=entries[0]),
        }
        for run, entry in zip(runs, entries, strict=True)
    ]
    return {
        "table": rows,
        "num_ranked": len(valued),
        "axis": axis_row(scale),
        "metric": _metric(ranking),
        "groups": [
            (group, figure(group.mean, ranking.unit), interval(_ends(group), ranking.unit) or "one seed")
            for group in ranking.groups
        ],
        "ties": _ties(valued),
        "parameters": _parameters(found, ranking, valued, facts.run_id),
    }


def _ties(runs: Sequence[RankedRun]) -> str:
    number = sum(run.ties_with_best for run in runs) - 1
    if number < 1:
        return "No interval overlaps the one of the best."
    return f"{counted(number, 'run')} cannot be told from the best: intervals overlap, so their order may be luck."


def _ends(found: RankedRun | SeedGroup) -> tuple[float, float] | None:
    return None if found.low is None or found.high is None else (found.low, found.high)


def _entry(run: RankedRun, this: str) -> Entry:
    assert run.value is not None
    color = "series-1" if run.run_id == this else "series-3" if run.ties_with_best else "muted"
    return Entry(name=f"#{run.rank} {run.label}", value=run.value, low=run.low, high=run.high, color=color,
                 hollow=run.ties_with_best and run.rank > 1)  # fmt: skip


def _parameters(found: SweepFacts, ranking: LaneRanking, runs: Sequence[RankedRun], this: str) -> list[tuple[str, Svg]]:
    """One small drawing per parameter that took more than one value."""
    jobs = {job.number: _varied(job) for job in found.manifest.jobs}
    keys = sorted({key for run in runs for key in jobs.get(run.number, {})})
    y_scale = around([run.value for run in runs], padding=0.12)
    drawn = []
    for key in keys:
        with_key = [run for run in runs if key in jobs.get(run.number, {})]
        if len({jobs[run.number][key] for run in with_key}) < 2:
            continue
        texts = [jobs[run.number][key] for run in with_key]
        trials = [
            Trial(x=x, y=float(run.value or 0.0), color="series-1" if run.run_id == this else "series-3",
                  title=f"{run.label}: {run.value:.4g}")
            for run, x in zip(with_key, _numbers_or_names(texts), strict=True)
        ]  # fmt: skip
        drawn.append((key, trials_chart(trials, label_text=f"{_metric(ranking)} by {key}", y_scale=y_scale)))
    return drawn[:_MAX_PARAMETERS]


def _metric(ranking: LaneRanking) -> str:
    return ranking.by.metric if ranking.by else "value"


def _varied(job: PlannedJob) -> Mapping[str, str]:
    pairs = [override.lstrip("+~").partition("=") for override in job.varies]
    return {key: value for key, _, value in pairs}


def _numbers_or_names(texts: Sequence[str]) -> list[float | str]:
    try:
        return [float(text) for text in texts]
    except ValueError:
        return list(texts)
