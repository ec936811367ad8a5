"""How the finished runs of a sweep compare: one measurement with its interval, and who cannot be told from the best.

Intervals are two-sided 95 % ones over the items that were measured; runs whose intervals overlap that of the first are
ties. Where seeds were swept, configurations are compared by their mean over seeds as well: a run that is ahead may
only have had a lucky seed. Does not judge: verdicts are the judge's, and the runs stay as they are.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from statistics import fmean, stdev

from interlock.contracts.measurement import Measurement
from interlock.contracts.sweep import (
    LaneRanking,
    Objective,
    PlannedJob,
    RankedBy,
    RankedRun,
    Ranking,
    SeedGroup,
    SweepJob,
    SweepManifest,
    Unranked,
)
from interlock.contracts.verdict import Verdict
from interlock.errors import InterlockError, StageError
from interlock.gates.intervals import two_sided
from interlock.gates.judge import seed_of
from interlock.registry.layout import run_folder
from interlock.stages.place import Place, load_record
from interlock.stages.verdicts import read_archived, read_measured

CONFIDENCE = 0.95
VALIDATION_LOSS = "validation_loss_best"
_UNTOUCHED = "has not run; the same command runs it"


@dataclass(frozen=True, kw_only=True)
class _Figure:
    """The ranked measurement of one run."""

    measurement: Measurement | None
    interval: tuple[float, float] | None


def objective_value(place: Place, metric: str | None) -> float | None:
    """A fact of training or a measurement of a finished run; without a metric the best validation loss, if any.

    Raises StageError when the run has no number under that name.
    """
    facts = load_record(place.folder / "train").facts
    numbers = {key: float(value) for key, value in facts.items() if isinstance(value, int | float)}
    if metric is None:
        return numbers.get(VALIDATION_LOSS)
    if metric in numbers:
        return numbers[metric]
    run_id = load_record(place.folder / "train").run_id or ""
    measured = read_measured([place.folder / "evaluate", place.folder / "export"], run_id=run_id).measurements
    if metric in measured and (value := measured[metric].value) is not None:
        return value
    known = sorted({*numbers, *(name for name, item in measured.items() if item.value is not None)})
    raise StageError(
        "the run has no number under this name to optimise",
        key="hydra.sweeper.metric",
        value=metric,
        hint=f"choose one of {', '.join(known)}",
    )


def rank(
    manifest: SweepManifest,
    results: Mapping[int, SweepJob],
    home: Path,
    *,
    begun: Collection[int] = (),
    running: bool = False,
) -> Ranking:
    """Compare what has finished. Jobs without a run of their own are listed with the reason.

    `begun`: numbers of the jobs that were started; `running`: whether the sweep is at work now.
    """
    stands = "running now" if running else "interrupted; the same command goes on"
    planned = {job.number: job for job in manifest.jobs}
    finished = [job for number, job in sorted(results.items()) if job.status == "finished" and number in planned]
    lanes = sorted({job.lane for job in finished})
    search = manifest.search
    return Ranking(
        sweep_id=manifest.sweep_id,
        confidence=CONFIDENCE,
        lanes=tuple(
            _lane(lane, manifest, [job for job in finished if job.lane == lane], planned=planned, home=home)
            for lane in lanes
        ),
        others=tuple(
            _other(job, results.get(job.number), stands if job.number in begun else _UNTOUCHED)
            for job in manifest.jobs
            if _is_other(results, job.number)
        ),
        objective=search.objective if search else None,
        best_number=_best(finished, search.objective) if search else None,
    )


def _lane(
    lane: str, manifest: SweepManifest, jobs: Sequence[SweepJob], *, planned: Mapping[int, PlannedJob], home: Path
) -> LaneRanking:
    by = manifest.ranked_by.get(lane)
    figures = {job.number: _figure(job, by, home) for job in jobs}
    sign = -1.0 if by is None or by.direction == "at_least" else 1.0

    def order(job: SweepJob) -> tuple[bool, float, int]:
        measurement = figures[job.number].measurement
        value = measurement.value if measurement else None
        return (value is None, 0.0 if value is None else sign * value, job.number)

    ordered = sorted(jobs, key=order)
    best = figures[ordered[0].number].interval if ordered else None
    found = next((item for job in ordered if (item := figures[job.number].measurement)), None)
    runs = [
        _ranked(place, job, planned[job.number], figure=figures[job.number], best=best)
        for place, job in enumerate(ordered, start=1)
    ]
    return LaneRanking(
        lane=lane,
        by=by,
        unit=found.unit if found else "",
        split=found.split if found else "",
        runs=tuple(runs),
        groups=_seed_groups(runs, planned, larger_is_better=sign < 0),
    )


def _figure(job: SweepJob, by: RankedBy | None, home: Path) -> _Figure:
    """Read from the archive; a run that cannot be read has no figure, and `interlock verify` says why."""
    if by is None or job.run_id is None:
        return _Figure(measurement=None, interval=None)
    try:
        measured = read_archived(run_folder(home, job.run_id) / "models", run_id=job.run_id)
    except InterlockError:
        return _Figure(measurement=None, interval=None)
    found = measured.measurements.get(by.metric)
    if found is None:
        return _Figure(measurement=None, interval=None)
    intervals = two_sided(
        {by.metric: found},
        scores=measured.scores,
        items=measured.items,
        seed=seed_of(job.run_id),
        confidence=CONFIDENCE,
    )
    return _Figure(measurement=found, interval=intervals.get(by.metric))


def _ranked(
    place: int, job: SweepJob, planned: PlannedJob, *, figure: _Figure, best: tuple[float, float] | None
) -> RankedRun:
    low, high = figure.interval or (None, None)
    return RankedRun(
        rank=place,
        number=job.number,
        run_id=job.run_id or "",
        label=_label(planned),
        seed=planned.seed,
        verdict=job.verdict or Verdict.BLOCKED,
        value=figure.measurement.value if figure.measurement else None,
        low=low,
        high=high,
        n=figure.measurement.n if figure.measurement else None,
        ties_with_best=_overlap(figure.interval, best),
        objective=job.objective,
    )


def _seed_groups(
    runs: Sequence[RankedRun], planned: Mapping[int, PlannedJob], *, larger_is_better: bool
) -> tuple[SeedGroup, ...]:
    """Configurations that were run under several seeds, best mean first; none where no seed was swept."""
    valued = [run for run in runs if run.value is not None]
    by_configuration = sorted(valued, key=lambda run: (planned[run.number].unseeded_sha256, run.number))
    grouped = [
        list(group) for _, group in groupby(by_configuration, key=lambda run: planned[run.number].unseeded_sha256)
    ]
    if not any(len(group) > 1 for group in grouped):
        return ()
    groups = [_seed_group(group, planned) for group in grouped]
    groups.sort(key=lambda group: (-group.mean if larger_is_better else group.mean, group.numbers))
    by_number = {run.number: run for run in runs}
    best = _ends(groups[0], by_number)
    tied = {run.number for run in runs if run.ties_with_best}
    return tuple(
        group.model_copy(update={"rank": place, "ties_with_best": _is_tie(_ends(group, by_number), best, group, tied)})
        for place, group in enumerate(groups, start=1)
    )


def _is_tie(
    ends: tuple[float, float] | None, best: tuple[float, float] | None, group: SeedGroup, tied: set[int]
) -> bool:
    """Seeds that agree say nothing of the items, so either kind of luck makes a tie."""
    return best is None or ends is None or _overlap(ends, best) or not tied.isdisjoint(group.numbers)


def _seed_group(runs: Sequence[RankedRun], planned: Mapping[int, PlannedJob]) -> SeedGroup:
    values = [run.value for run in runs if run.value is not None]
    deviation = stdev(values) if len(values) > 1 else None
    mean, half = fmean(values), _half_width(deviation, len(values))
    common = [text for text in planned[runs[0].number].varies if not text.lstrip("+").startswith("seed=")]
    return SeedGroup(
        rank=1,
        label=" ".join(common) or "all",
        numbers=tuple(run.number for run in runs),
        mean=mean,
        deviation=deviation,
        low=None if half is None else mean - half,
        high=None if half is None else mean + half,
    )


def _half_width(deviation: float | None, n: int) -> float | None:
    """Half of the two-sided interval of a mean over n seeds (Student's t with n - 1 degrees of freedom)."""
    if deviation is None:
        return None
    from scipy.special import stdtrit

    quantile = float(stdtrit(n - 1, 1 - (1 - CONFIDENCE) / 2))
    return quantile * deviation / math.sqrt(n)


def _ends(group: SeedGroup, runs: Mapping[int, RankedRun]) -> tuple[float, float] | None:
    """The interval over seeds; of a single seed, which has no spread, that over its items."""
    one = runs[group.numbers[0]]
    low, high = (one.low, one.high) if group.low is None else (group.low, group.high)
    return None if low is None or high is None else (low, high)


def _overlap(one: tuple[float, float] | None, other: tuple[float, float] | None) -> bool:
    return one is not None and other is not None and one[0] <= other[1] and other[0] <= one[1]


def _best(finished: Sequence[SweepJob], objective: Objective) -> int | None:
    """The job with the best objective, the first of equals."""
    sign = 1.0 if objective.goal == "minimize" else -1.0
    valued = [(sign * job.objective, job.number) for job in finished if job.objective is not None]
    return min(valued)[1] if valued else None


def _is_other(results: Mapping[int, SweepJob], number: int) -> bool:
    result = results.get(number)
    return result is None or result.status != "finished"


def _other(planned: PlannedJob, result: SweepJob | None, stands: str) -> Unranked:
    if result is None:
        return Unranked(
            number=planned.number,
            label=_label(planned),
            status="waiting",
            reason=stands,
        )
    reason = f"the parameters of job {result.duplicate_of}" if result.status == "duplicate" else result.error
    assert result.status != "finished"
    first_line = reason.splitlines()[0] if reason else ""
    return Unranked(number=planned.number, label=_label(planned), status=result.status, reason=first_line)


def _label(planned: PlannedJob) -> str:
    return " ".join(planned.varies) or "-"
