"""The quality check of mined negatives: facts, a page to read, a picture by rank.

    quality.json   everything counted, by split        quality.md   the same for a person        quality.csv   the plot

What must hold is a predicate with a gate: `negatives_distinct` (no negative is an answer, by id or by text, and no
candidate stands in a list twice) and `negatives_balanced` (lists hold hard negatives, and most hold soft ones too).

Shapes: Q queries, C places of a list.
"""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from interlock.lanes.reranker.lists import ANSWER, EMPTY, HARD, SOFT, Lists
from interlock.lanes.reranker.mining import Mined
from interlock.lanes.retrieval.datasets.duplicates import normalised
from interlock.lanes.retrieval.datasets.prepared import PreparedDataset
from interlock.provenance.files import write_atomic, write_json

WITH_SOFT_MIN = 0.5
"""Share of lists that must hold a soft negative: the rejection of hard ones is measured on those alone."""

WITH_HARD_MIN = 0.95
"""Share of lists that must hold a hard negative."""


def checked(data: PreparedDataset, mined: Mapping[str, Mined]) -> dict[str, Any]:
    """Look at the finished lists of all splits; the answer goes into `quality.json` and the record's facts."""
    splits = {split: _of_split(data, found) for split, found in mined.items()}
    same = {
        what: sum(split[what] for split in splits.values()) for what in ("equal_by_id", "equal_by_text", "repeated")
    }
    return {
        "splits": splits,
        **same,
        "negatives_distinct": not any(same.values()),
        "negatives_balanced": all(
            split["lists_with_soft"] >= WITH_SOFT_MIN and split["lists_with_hard"] >= WITH_HARD_MIN
            for split in splits.values()
        ),
    }


def write_quality(folder: Path, quality: Mapping[str, Any], mined: Mapping[str, Mined]) -> None:
    """Write the three files."""
    write_json(folder / "quality.json", dict(quality))
    write_atomic(folder / "quality.md", _page(quality))
    write_atomic(folder / "quality.csv", _by_rank(mined["test"].retrieved))


def _of_split(data: PreparedDataset, mined: Mined) -> dict[str, Any]:
    lists, filled = mined.lists, mined.lists.filled
    counts = {grade: ((lists.grades == grade) & filled).sum(axis=1) for grade in (ANSWER, SOFT, HARD)}
    same_id, same_text = _answers_among_negatives(data, lists)
    ordered = np.sort(lists.rows, axis=1)
    return {
        "lists": len(lists),
        "candidates": int(filled.sum()),
        "answers": int(counts[ANSWER].sum()),
        "soft_negatives": int(counts[SOFT].sum()),
        "hard_negatives": int(counts[HARD].sum()),
        "lists_with_soft": float((counts[SOFT] > 0).mean()),
        "lists_with_hard": float((counts[HARD] > 0).mean()),
        "answers_retrieved": float(lists.is_retrieved().mean()),
        "median_rank_soft": _median_rank(lists, SOFT),
        "median_rank_hard": _median_rank(lists, HARD),
        "false_negatives_left_out": int(mined.false_negatives.sum()),
        "lists_with_false_negatives": float((mined.false_negatives > 0).mean()),
        "equal_by_id": same_id,
        "equal_by_text": same_text,
        "repeated": int(((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] != EMPTY)).sum()),
    }


def _answers_among_negatives(data: PreparedDataset, lists: Lists) -> tuple[int, int]:
    """Negatives that are an answer of their own query, by id and by normalised text."""
    rows = np.unique(lists.rows[lists.filled])
    label = dict(zip(rows.tolist(), [normalised(text) for text in data.documents(rows)], strict=True))
    by_id = by_text = 0
    for row_C, grade_C in zip(lists.rows.tolist(), lists.grades.tolist(), strict=True):
        own = {row for row, grade in zip(row_C, grade_C, strict=True) if grade == ANSWER and row != EMPTY}
        texts = {label[row] for row in own}
        others = [row for row, grade in zip(row_C, grade_C, strict=True) if grade != ANSWER and row != EMPTY]
        by_id += sum(row in own for row in others)
        by_text += sum(label[row] in texts for row in others)
    return by_id, by_text


def _median_rank(lists: Lists, grade: int) -> float | None:
    ranks = lists.ranks[(lists.grades == grade) & lists.filled & (lists.ranks > 0)]
    return float(np.median(ranks)) if len(ranks) else None


def _by_rank(retrieved: Lists) -> str:
    """Share of answers, soft and hard negatives at each of the first stage's ranks, on the test queries."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["rank", "answer", "soft", "hard"])
    for rank in range(1, retrieved.rows.shape[1] + 1):
        grades = retrieved.grades[(retrieved.ranks == rank) & retrieved.filled]
        shares = [float((grades == grade).mean()) if len(grades) else 0.0 for grade in (ANSWER, SOFT, HARD)]
        writer.writerow([rank, *shares])
    return text.getvalue()


def _page(quality: Mapping[str, Any]) -> str:
    """The facts as a Markdown table, a column for each split."""
    splits = quality["splits"]
    names = list(next(iter(splits.values())))
    lines = [
        "# Candidate lists: quality of the mined negatives",
        "",
        "Answers have relevance 2, soft negatives (related: same module, article or page) 1, hard negatives 0.",
        "Likely answers that nobody judged (near copies of an answer) are left out of the lists.",
        "",
        f"| | {' | '.join(splits)} |",
        f"|---|{'---|' * len(splits)}",
        *(
            f"| {name.replace('_', ' ')} | {' | '.join(_shown(split[name]) for split in splits.values())} |"
            for name in names
        ),
        "",
        f"No negative equals an answer: {_yes(quality['negatives_distinct'])}. "
        f"Hard and soft negatives balanced: {_yes(quality['negatives_balanced'])} (at least {WITH_SOFT_MIN:.0%} of the "
        f"lists hold a soft negative, {WITH_HARD_MIN:.0%} a hard one).",
        "",
    ]
    return "\n".join(lines)


def _shown(value: float | int | None) -> str:
    return "-" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def _yes(answer: bool) -> str:
    return "yes" if answer else "NO"
