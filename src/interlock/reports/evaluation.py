"""`eval_report.md`: what was measured, with intervals, beside the baselines, and some hits and misses to read.

Rendered from measurements alone; the verdict has a page of its own. Examples quote the data set: they are escaped and
cut, so that a document cannot break the page.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from interlock.contracts.measurement import Measurement
from interlock.reports.figures import figure, interval, markdown_table

Intervals = Mapping[str, tuple[float, float]]
"""Two-sided 95 % interval by measurement name, where there is one."""


def evaluation_markdown(
    *,
    lane: str,
    run_id: str,
    facts: Mapping[str, Any],
    measurements: Sequence[Measurement],
    intervals: Intervals,
    examples: Mapping[str, Sequence[Mapping[str, Any]]],
) -> str:
    """Render the report. `facts` are the dataset's and the training's; `examples` maps `hits`/`misses` to rows."""
    own = [item for item in measurements if "." not in item.name]
    parts = [
        f"# Evaluation of `{lane}`, run `{run_id}`",
        _facts(facts),
        "## Measurements\n\nTwo-sided 95 % intervals where per-item scores exist.\n\n" + _measured(own, intervals),
    ]
    compared = _compared(measurements)
    if compared:
        parts.append("## Beside the baselines\n\nThe same queries, the same documents.\n\n" + compared)
    for name, rows in examples.items():
        if rows:
            parts.append(f"## {name.capitalize()}\n\n" + "\n".join(_example(row) for row in rows))
    return "\n\n".join(parts) + "\n"


def _facts(facts: Mapping[str, Any]) -> str:
    return markdown_table(("fact", "value"), [(name, _plain(value)) for name, value in sorted(facts.items())])


def _measured(measurements: Sequence[Measurement], intervals: Intervals) -> str:
    rows = [
        (
            item.name,
            figure(item.value, item.unit),
            interval(intervals.get(item.name), item.unit),
            f"{item.n:,}" if item.unit != "bool" else "",
            item.unit,
            item.reason,
        )
        for item in measurements
    ]
    return markdown_table(("metric", "value", "95 % interval", "n", "unit", "remark"), rows, right=(1, 2, 3))


def _compared(measurements: Sequence[Measurement]) -> str:
    """One row per metric that a baseline was measured on, one column per baseline."""
    values = {item.name: item.value for item in measurements}
    systems = sorted({name.split(".", 1)[0] for name in values if "." in name})
    metrics = [name for name in values if "." not in name and any(f"{system}.{name}" in values for system in systems)]
    rows = [
        (name, figure(values[name]), *(figure(values.get(f"{system}.{name}")) for system in systems))
        for name in metrics
    ]
    header = ("metric", "this run", *systems)
    return markdown_table(header, rows, right=tuple(range(1, len(header)))) if rows else ""


def _example(row: Mapping[str, Any]) -> str:
    """One example: a line per field, so that long texts can be compared by eye."""
    head, *rest = [f"**{name}** {_shown(value)}" for name, value in sorted(row.items(), key=_queries_first)]
    return "\n".join([f"- {head}", *(f"  <br>{line}" for line in rest)])


def _queries_first(field: tuple[str, Any]) -> tuple[bool, str]:
    return field[0] != "query", field[0]


def _shown(value: Any) -> str:
    """A document is shown by its id and the beginning of its text, a list by its first entry."""
    if isinstance(value, list):
        return _shown(value[0]) if value else "none"
    if isinstance(value, dict):
        return f"`{value.get('doc_id', '')}` {_plain(value.get('text', ''), 120)}"
    return _plain(value)


def _plain(value: Any, limit: int = 160) -> str:
    text = figure(value) if isinstance(value, float) else " ".join(str(value).split())
    text = text if len(text) <= limit else text[: limit - 1] + "…"
    return "".join(f"\\{char}" if char in "\\`*_[]<>#|" else char for char in text)
