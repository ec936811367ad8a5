"""Queries to read: what the run answers and a baseline does not, the other way round, hits and misses."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from interlock.reports.run_facts import Flip, RunFacts
from interlock.reports.sections.section import Section

TEXT_LIMIT = 260


@dataclass(frozen=True, kw_only=True)
class Result:
    """One document in a list of results."""

    doc_id: str
    text: str
    is_answer: bool


@dataclass(frozen=True, kw_only=True)
class Example:
    """One query with what was found."""

    query: str
    query_id: str
    rank: str
    is_hit: bool
    answer: Result | None
    first: Sequence[Result]


def queries(facts: RunFacts) -> Section | None:
    """Flips against each baseline, then examples; nothing for a lane without either."""
    examples = {kind: [_example(row) for row in rows] for kind, rows in facts.examples.items() if rows}
    flips = [flip for flip in facts.flips if flip.num_gained or flip.num_lost]
    if not examples and not flips:
        return None
    shown = [flip_values(flip, own="this run") for flip in flips]
    are_queries = bool(examples) or any(values["noun"] == "queries" for values in shown)
    return Section(
        id="queries",
        title="Queries" if are_queries else "Items",
        template="queries.html.j2",
        values={"flips": shown, "examples": examples},
        lead=f"Spread evenly over the test {'queries' if are_queries else 'items'}, not chosen by how they look.",
    )


def flip_values(flip: Flip, *, own: str) -> dict[str, Any]:
    """A flip with the widths of its bar: gained, lost, and equal in percent."""
    gained, lost = 100 * flip.num_gained / flip.n, 100 * flip.num_lost / flip.n
    read = [*flip.gained, *flip.lost]
    noun = "queries" if any(item.text or item.rank or item.other_rank for item in read) else "items"
    widths = {"gained_percent": f"{gained:.2f}", "lost_percent": f"{lost:.2f}"}
    return {"flip": flip, "own": own, "noun": noun, **widths}


def _example(row: Mapping[str, Any]) -> Example:
    answer = row.get("answer")
    answer_id = str(answer.get("doc_id", "")) if isinstance(answer, dict) else ""
    rank = row.get("rank")
    first = row.get("first")
    return Example(
        query=str(row.get("query", "")),
        query_id=str(row.get("query_id", "")),
        rank="not found" if rank is None else f"rank {rank}",
        is_hit=isinstance(rank, int) and rank <= 10,
        answer=_result(answer, answer_id) if isinstance(answer, dict) else None,
        first=[_result(item, answer_id) for item in first if isinstance(item, dict)] if isinstance(first, list) else [],
    )


def _result(item: Mapping[str, Any], answer_id: str) -> Result:
    doc_id, text = str(item.get("doc_id", "")), " ".join(str(item.get("text", "")).split())
    shown = text if len(text) <= TEXT_LIMIT else text[: TEXT_LIMIT - 1] + "…"
    return Result(doc_id=doc_id, text=shown, is_answer=doc_id == answer_id)
