"""What training and evaluation gave: loss curves, recall by rank beside the baselines, every measurement."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from interlock.reports.charts.lines import Mark, Series, line_chart
from interlock.reports.figures import interval
from interlock.reports.run_facts import Row, RunFacts
from interlock.reports.sections.section import Section, counted, number_text

MAX_ROWS = 200
"""Rows of the loss table that are written out; the drawing shows all of them."""
_COLORS = ("series-1", "series-2", "series-3", "series-4", "series-5")
_CHANCE = "chance"
_RUN = "this run"
_DIGEST = re.compile(r"[0-9a-f]{64}")


def training(facts: RunFacts) -> Section | None:
    """Loss of training and validation, with the best epoch marked."""
    series = _loss_series(facts)
    if not series:
        return None
    best = _best(facts)
    marks = [Mark(x=best[0], text=best[1])] if best else []
    unit = "step" if _x_column(facts.losses) == "step" else "epoch"
    summary = ", ".join(f"{item.name} from {item.points[0][1]:.3f} to {item.points[-1][1]:.3f}" for item in series)
    return Section(
        id="training",
        title="Training",
        template="training.html.j2",
        values={
            "chart": line_chart(series, label_text=f"Loss by {unit}: {summary}", marks=marks),
            "series": series,
            "unit": unit,
            "facts": _training_facts(facts.training),
            "rows": [{key: _loss_cell(key, value) for key, value in row.items()} for row in facts.losses[:MAX_ROWS]],
            "columns": list(facts.losses[0]) if facts.losses else [],
            "num_rows": len(facts.losses),
        },
        lead=_convergence(facts.training),
    )


def quality(facts: RunFacts) -> Section | None:
    """Recall by rank, and each metric beside its baselines with intervals."""
    table, systems = _beside(facts)
    chart, series = _recall_chart(facts)
    if not table and chart is None:
        return None
    n = max((facts.measurements[name].n for name in facts.measurements if name in facts.intervals), default=0)
    return Section(
        id="quality",
        title="Beside the baselines",
        template="quality.html.j2",
        values={"chart": chart, "series": series, "table": table, "systems": systems},
        lead=f"The same {counted(n, 'item')}, the same split; two-sided 95 % intervals." if n else "",
    )


def measurements(facts: RunFacts) -> Section | None:
    """Every measurement of the run itself."""
    own = [item for name, item in facts.measurements.items() if "." not in name]
    if not own:
        return None
    rows = [
        {
            "name": item.name,
            "value": number_text(item.value, item.unit),
            "interval": interval(facts.intervals.get(item.name), item.unit),
            "n": f"{item.n:,}" if item.unit != "bool" and item.n > 1 else "",
            "unit": item.unit,
            "split": item.split,
            "reason": item.reason,
        }
        for item in own
    ]
    return Section(
        id="measurements", title="All measurements", template="measurements.html.j2", values={"rows": rows},
        lead=f"{counted(len(rows), 'number')} with their samples.",
    )  # fmt: skip


def _loss_series(facts: RunFacts) -> list[Series]:
    found = []
    x = _x_column(facts.losses)
    logged = _points(facts.log, "step", "loss")
    if x == "step" and len(logged) > len(facts.losses):
        found.append(Series(name="training, logged", points=logged, color="series-1", quiet=True))
    columns = [name for name in (facts.losses[0] if facts.losses else ()) if "loss" in name]
    for column in columns:
        is_validation = column.startswith("val")
        name = column.replace("_", " ").replace("train ", "training ")
        color = "series-2" if is_validation else "series-1"
        points = _points(facts.losses, x, column)
        if points:
            found.append(Series(name=name, points=points, color=color, dashed=is_validation))
    return found


def _x_column(rows: Sequence[Row]) -> str:
    names = list(rows[0]) if rows else []
    return next((name for name in ("step", "epoch") if name in names), names[0] if names else "step")


def _points(rows: Sequence[Row], x: str, y: str) -> list[tuple[float, float]]:
    pairs = [(row.get(x), row.get(y)) for row in rows]
    return [(a, b) for a, b in pairs if a is not None and b is not None and math.isfinite(a) and math.isfinite(b)]


def _best(facts: RunFacts) -> tuple[float, str] | None:
    """Where the best epoch lies on the axis."""
    epoch = facts.training.get("best_epoch")
    row = next((row for row in facts.losses if row.get("epoch") == epoch), None) if epoch is not None else None
    at = row.get(_x_column(facts.losses)) if row else None
    return None if at is None else (at, f"best epoch {epoch}")


def _training_facts(training: Mapping[str, Any]) -> list[tuple[str, str]]:
    shown = [(name.replace("_", " "), value) for name, value in sorted(training.items()) if name != "convergence"]
    return [(name, _plain(value)) for name, value in shown if not isinstance(value, dict | list)]


def _convergence(training: Mapping[str, Any]) -> str:
    text = str(training.get("convergence", ""))
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def _loss_cell(key: str, value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:g}" if key in ("epoch", "step") else f"{value:.4g}"


def _recall_chart(facts: RunFacts) -> tuple[Any, list[Series]]:
    if not facts.recall:
        return None, []
    ranks = [row.get("k") for row in facts.recall]
    systems = [name for name in facts.recall[0] if name != "k"]
    series = []
    for number, system in enumerate(systems):
        values = [(float(at), row[system]) for at, row in enumerate(facts.recall) if row.get(system) is not None]
        if values:
            series.append(_recall_series(facts, system, number=number, values=values, ranks=ranks))
    if not series:
        return None, []
    names = [f"{rank:g}" for rank in ranks if rank is not None]
    first = series[0]
    text = f"Recall at k: {first.name} reaches {first.points[-1][1]:.3f} at {names[-1]}"
    return line_chart(series, label_text=text, categories=names, from_zero=True, height_px=320), series


def _recall_series(
    facts: RunFacts, system: str, *, number: int, values: list[Any], ranks: Sequence[float | None]
) -> Series:
    prefix = "" if number == 0 else f"{system}."
    shift = 0.05 * (number - 1)  # so that intervals of systems stand beside each other
    found = [(at + shift, facts.intervals.get(f"{prefix}r_at_{rank:g}")) for at, rank in enumerate(ranks) if rank]
    is_chance = system == _CHANCE
    return Series(
        name=_RUN if number == 0 else system,
        points=[(at + (0 if is_chance else shift), value) for at, value in values],
        color="muted" if is_chance else _COLORS[number % len(_COLORS)],
        quiet=is_chance,
        dashed=number > 0,
        intervals=[(at, *ends) for at, ends in found if ends],
    )


def _beside(facts: RunFacts) -> tuple[list[dict[str, Any]], list[str]]:
    """Rows of metric, value of the run, values of the baselines; and the baselines' names."""
    values = facts.measurements
    systems = sorted(
        {name.partition(".")[0] for name in values if "." in name}, key=lambda name: (name == _CHANCE, name)
    )
    rows = []
    for name, own in sorted(values.items(), key=lambda item: _naturally(item[0])):
        others = [values.get(f"{system}.{name}") for system in systems]
        if "." in name or not any(others):
            continue
        found = [
            None
            if item is None
            else (number_text(item.value, own.unit), interval(facts.intervals.get(item.name), own.unit))
            for item in (own, *others)
        ]
        rows.append({"name": name, "cells": found})
    return rows, [_RUN, *systems]


def _naturally(name: str) -> list[tuple[bool, int, str]]:
    """Order in which `r_at_5` comes before `r_at_10`."""
    return [(part.isdigit(), int(part) if part.isdigit() else 0, part) for part in re.split(r"(\d+)", name)]


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, int):
        return f"{value:,}"
    text = str(value)
    return f"{text[:12]}…" if _DIGEST.fullmatch(text) else text
