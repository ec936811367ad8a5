"""Runs by filter, order and number: what `interlock runs list` shows.

Cards are read only where the index does not know what is asked for (metrics, commit, parent). Sweeps are found by what
their jobs wrote down. Damaged cards are no reason to show nothing: such a run has no metrics here, and
`interlock runs show` says what is wrong with it.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from interlock.contracts.card import RunCard
from interlock.errors import InterlockError, UsageError
from interlock.registry.archive import read_card
from interlock.registry.filters import METRICS, Filter, kind_of, parse_filter, refuse_unknown_metrics
from interlock.registry.queries import RunRow, list_runs

_OF_CARDS = frozenset({"commit", "parent"})


def search_runs(
    home: Path, *, expression: str = "", sort: str = "", limit: int | None = None
) -> tuple[tuple[RunRow, Mapping[str, Any]], ...]:
    """Runs with the facts that were asked for, newest first or as `sort` says (`seed`; `-metrics.r_at_5` descending).

    Runs without a value come last. Raises UsageError for an unknown key, a value of the wrong kind, and a metric that
    no run has.
    """
    wanted, key = parse_filter(expression), sort.removeprefix("-")
    if key:
        kind_of(key)
    if limit is not None and limit < 1:
        raise UsageError("needs at least one", key="--limit", value=limit)
    asked = {*(term.key for term in wanted.terms), key}
    found = [(row, facts) for row, facts in _facts(home, asked, wanted, key) if wanted.matches(facts)]
    if key:
        with_value = sorted(
            (item for item in found if item[1].get(key) is not None),
            key=lambda item: item[1][key],
            reverse=sort.startswith("-"),
        )
        found = [*with_value, *(item for item in found if item[1].get(key) is None)]
    shown = {name for name in asked if name.startswith(METRICS)}
    return tuple((row, {name: facts.get(name) for name in sorted(shown)}) for row, facts in found[:limit])


def sweeps_of_runs(home: Path) -> dict[str, str]:
    """Which sweep each run is a job of, as the sweeps wrote it down; the newest where there are several."""
    found: dict[str, str] = {}
    for path in sorted((home / "sweeps").glob("*/jobs/*.json")):
        try:
            run_id = json.loads(path.read_text()).get("run_id")
        except (OSError, ValueError, AttributeError):
            continue
        if isinstance(run_id, str):
            found[run_id] = path.parents[1].name
    return found


def _facts(home: Path, asked: set[str], wanted: Filter, sort: str) -> list[tuple[RunRow, dict[str, Any]]]:
    rows = list_runs(home)
    sweeps = sweeps_of_runs(home) if "sweep" in asked else {}
    needs_cards = bool(asked & _OF_CARDS) or any(key.startswith(METRICS) for key in asked)
    cards = {row.run_id: _card(home, row) for row in rows} if needs_cards else {}
    found = [
        (row, {**_of_row(row), "sweep": sweeps.get(row.run_id), **_of_card(cards.get(row.run_id))}) for row in rows
    ]
    metrics = {*wanted.metrics, *([sort.removeprefix(METRICS)] if sort.startswith(METRICS) else [])}
    known = {key.removeprefix(METRICS) for _, facts in found for key in facts if key.startswith(METRICS)}
    refuse_unknown_metrics(sorted(metrics), known)
    return found


def _of_row(row: RunRow) -> dict[str, Any]:
    return {
        "run": row.run_id,
        "lane": row.lane,
        "verdict": row.verdict,
        "decision": row.action,
        "state": row.state,
        "dataset": row.dataset or None,
        "model": row.model_id,
        "seed": row.seed,
        "trained": None if row.created_at is None else datetime.fromtimestamp(row.created_at, UTC),
    }


def _of_card(card: RunCard | None) -> dict[str, Any]:
    if card is None:
        return {}
    results = {**card.observations.results, **card.results}
    metrics = {METRICS + name: float(value) for name, value in results.items() if isinstance(value, int | float)}
    return {"commit": card.git_commit or None, "parent": card.parent_run, **metrics}


def _card(home: Path, row: RunRow) -> RunCard | None:
    try:
        return read_card(home, row.run_id)
    except InterlockError:
        return None
