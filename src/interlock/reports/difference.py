"""What differs between two runs, as plain values, and how it is shown: a screen, a page, JSON.

`interlock.commands.compare` gathers it. The second run is the newer in spirit: a change is what it has less what the
first one has.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from interlock.contracts.verdict import GateResult, Judgement
from interlock.gates.statistics import Bounds
from interlock.reports.charts.forest import Entry, interval_row, scale_of
from interlock.reports.charts.svg import Svg
from interlock.reports.figures import figure
from interlock.reports.page import render
from interlock.reports.run_facts import Flip, RunFacts
from interlock.reports.sections.queries import flip_values
from interlock.reports.sections.section import number_text

Reading = Literal["better", "worse", "differs", "no clear change", "no interval", "only in A", "only in B", "same"]


@dataclass(frozen=True, kw_only=True)
class ValueChange:
    """One key with another value."""

    key: str
    """Dotted key, name of a package, of a digest."""
    before: str
    """Empty where the first run does not have it."""
    after: str
    """Empty where the second run does not have it."""


@dataclass(frozen=True, kw_only=True)
class MetricChange:
    """One metric of two runs."""

    metric: str
    """Name of the measurement."""
    unit: str
    """Unit of everything below."""
    before: float | None
    """Value in the first run; None where it has none."""
    after: float | None
    """Value in the second run."""
    difference: Bounds | None
    """Of `after - before`, item by item; None where the runs cannot be paired."""
    why_unpaired: str = ""
    """Why there are no bounds."""

    @property
    def is_clear(self) -> bool:
        """Whether the interval of the difference leaves out zero."""
        return self.difference is not None and (self.difference.lower > 0 or self.difference.upper < 0)


@dataclass(frozen=True, kw_only=True)
class GateChange:
    """One gate with another verdict, target or severity; None where a run does not have it."""

    gate: str
    before: GateResult | None
    after: GateResult | None


@dataclass(frozen=True, kw_only=True)
class RunDifference:
    """Everything that differs between two runs."""

    a: RunFacts
    """The first run."""
    b: RunFacts
    """The second run."""
    config: Sequence[ValueChange]
    """Configuration by dotted key."""
    data: Sequence[ValueChange]
    """The dataset: digest and counts."""
    code: Sequence[ValueChange]
    """Commit, and the code digest of each stage."""
    files: Sequence[str]
    """Files that changed between the commits, as git counts them; empty without both commits at hand."""
    code_note: str
    """What the files do not tell, such as uncommitted changes."""
    environment: Sequence[ValueChange]
    """Lock, packages, machine."""
    metrics: Sequence[MetricChange]
    """Every measurement that either run has."""
    flips: Flip | None
    """Queries that flipped; None where they cannot be compared."""
    why_no_flips: str
    """Why not."""
    gates: Sequence[GateChange]
    """Gates that changed."""


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[ValueChange, ...]:
    """Keys whose text differs, sorted; a missing value is empty text."""
    pairs = ((key, str(before.get(key, "")), str(after.get(key, ""))) for key in sorted({*before, *after}))
    return tuple(ValueChange(key=key, before=old, after=new) for key, old, new in pairs if old != new)


def gate_changes(before: Judgement | None, after: Judgement | None) -> tuple[GateChange, ...]:
    """Gates that say something else now, or ask for something else."""
    rows = [{row.gate: row for row in judgement.rows} if judgement else {} for judgement in (before, after)]
    names = sorted({*rows[0], *rows[1]})
    found = (GateChange(gate=name, before=rows[0].get(name), after=rows[1].get(name)) for name in names)
    return tuple(change for change in found if _asks(change.before) != _asks(change.after))


def shown_metrics(found: RunDifference) -> list[MetricChange]:
    """The runs' own metrics, and those of baselines only where they moved: a baseline should not."""
    return [change for change in found.metrics if "." not in change.metric or change.before != change.after]


def reading(change: MetricChange, found: RunDifference) -> Reading:
    """What a change amounts to; better or worse only where a gate declares which way is better."""
    if change.before is not None and change.before == change.after and not change.is_clear:
        return "same"
    if change.before is None or change.after is None:
        return "only in B" if change.before is None else "only in A"
    if change.unit == "bool":
        return "differs"
    if change.difference is None:
        return "no interval"
    if not change.is_clear:
        return "no clear change"
    way = _directions(found).get(change.metric)
    if way is None:
        return "differs"
    return "better" if (change.difference.estimate > 0) == (way == ">=") else "worse"


def change_text(change: MetricChange) -> str:
    """`+0.021 (+0.008 .. +0.034)`, or the plain difference of what cannot be paired."""
    if change.difference is not None:
        bounds = change.difference
        return f"{_signed(bounds.estimate)} ({_signed(bounds.lower)} .. {_signed(bounds.upper)})"
    if change.before is None or change.after is None or change.unit == "bool":
        return ""
    change_by = change.after - change.before
    return f"{change_by:+,.0f}" if change.unit == "count" else _signed(change_by)


def difference_page(found: RunDifference, *, version: str = "") -> str:
    """The page."""
    shown = shown_metrics(found)
    paired = [change for change in shown if change.difference is not None]
    return render(
        "difference.html.j2",
        title=f"{found.a.run_id[:8]} → {found.b.run_id[:8]}",
        subtitle=f"What run {found.b.run_id} has that run {found.a.run_id} has not.",
        version=version,
        found=found,
        sides=[
            (name, item, item.verdict.value if item.verdict else "") for name, item in (("A", found.a), ("B", found.b))
        ],
        metrics=[_metric_row(change, found) for change in shown],
        num_same=sum(reading(change, found) == "same" for change in found.metrics),
        drawn=_drawn(paired),
        flips=flip_values(found.flips, own="B") if found.flips else None,
        tables=[
            ("config", "Configuration", found.config),
            ("data", "Data", found.data),
            ("environment", "Environment", found.environment),
        ],
        gates=[(change, _without_verdict(change.before), _without_verdict(change.after)) for change in found.gates],
    )


def gate_text(row: GateResult | None) -> str:
    """`pass, 0.666 >= 0.500`; `absent` for a gate that a run does not have."""
    if row is None:
        return "absent"
    observed = figure(row.observed, row.unit) if row.observed is not None else "not judged"
    target = "" if row.target is None else f" {row.comparison} {figure(row.target, row.unit)}"
    severity = "" if row.severity == "block" else f" ({row.severity})"
    return f"{row.verdict}, {observed}{target}{severity}"


def _without_verdict(row: GateResult | None) -> str:
    """The same where the verdict stands beside it."""
    return gate_text(row).removeprefix(f"{row.verdict}, " if row else "")


def _asks(row: GateResult | None) -> tuple[object, ...]:
    return () if row is None else (row.verdict, row.target, row.comparison, row.severity, row.metric)


def _directions(found: RunDifference) -> dict[str, str]:
    rows = [row for side in (found.a, found.b) if side.judgement for row in side.judgement.rows]
    return {row.metric: row.comparison for row in rows if row.comparison != "is"}


def _metric_row(change: MetricChange, found: RunDifference) -> dict[str, str]:
    return {
        "metric": change.metric,
        "before": number_text(change.before, change.unit),
        "after": number_text(change.after, change.unit),
        "change": change_text(change),
        "reading": reading(change, found),
        "why": change.why_unpaired if reading(change, found) == "no interval" else "",
    }


def _drawn(changes: Sequence[MetricChange]) -> dict[str, Svg]:
    """A row per paired metric on one scale around zero; metrics of one unit (ratios) share it."""
    entries = {
        change.metric: Entry(name=change.metric, value=change.difference.estimate, low=change.difference.lower,
                             high=change.difference.upper, color="series-1" if change.is_clear else "muted")
        for change in changes if change.difference is not None and change.unit in ("ratio", "cosine")
    }  # fmt: skip
    if not entries:
        return {}
    scale = scale_of([*entries.values(), Entry(name="zero", value=0.0)])
    return {name: interval_row(entry, scale, zero=True) for name, entry in entries.items()}


def _signed(value: float) -> str:
    if 0 < abs(value) < 5e-4:
        return f"{value:+.1g}"
    return f"{value:+.{3 if abs(value) < 100 else 1}f}" if value else "0.000"
