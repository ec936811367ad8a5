"""The single items (queries) that say most about a run: lost and gained against a baseline first, then plain misses.

Pure. A table of all items would be large and mostly dull; what a person looks for is where the model and the baseline
part. Each kind gets an equal share of the rows, and what one kind leaves over goes to the next.
"""

from collections.abc import Mapping, Sequence

from interlock.contracts.tracking import Cell, Table

PER_ITEM = "per_item"
_KINDS = ("lost", "gained", "missed", "same")
Scores = Mapping[str, float]
"""Score by item."""


def per_item_table(
    columns: Mapping[str, Scores],
    *,
    metric: str,
    baseline: str | None,
    limit: int,
    texts: Mapping[str, str] | None = None,
    greater_is_better: bool = True,
) -> Table:
    """At most `limit` rows of `columns` (scores by name), the most telling items of `metric` against `baseline` first.

    `missed` are items with the worst score that there is. `texts` adds what the item says.
    """
    sign = 1.0 if greater_is_better else -1.0
    own, other = columns[metric], columns[baseline] if baseline else {}
    gains = {item: sign * (score - other[item]) if item in other else 0.0 for item, score in own.items()}
    worst = min((sign * score for score in own.values()), default=0.0)
    best = max((sign * score for score in own.values()), default=0.0)
    kinds: dict[str, list[str]] = {kind: [] for kind in _KINDS}
    for item in sorted(own, key=lambda item: (-abs(gains[item]), item)):
        is_missed = sign * own[item] == worst < best
        kinds[_kind(gains[item], is_missed=is_missed)].append(item)
    rest = sorted(name for name in columns if name not in (metric, baseline))
    names = [metric, *([baseline] if baseline else []), *rest]
    has_texts = bool(texts)
    rows: list[tuple[Cell, ...]] = []
    for kind, item in _shared_out(kinds, limit):
        text: tuple[Cell, ...] = ((texts or {}).get(item, ""),) if has_texts else ()
        rows.append((item, *text, kind, gains[item], *(columns[name].get(item) for name in names)))
    head = ("item", *(("text",) if has_texts else ()), "outcome", "gain", *names)
    return Table(name=PER_ITEM, columns=head, rows=tuple(rows))


def _kind(gain: float, *, is_missed: bool) -> str:
    if gain:
        return "lost" if gain < 0 else "gained"
    return "missed" if is_missed else "same"


def _shared_out(kinds: Mapping[str, Sequence[str]], limit: int) -> list[tuple[str, str]]:
    """Rows in the order of the kinds: a third for each telling kind, then whatever is left."""
    share = limit // 3
    taken = {kind: min(len(items), share if kind != "same" else 0) for kind, items in kinds.items()}
    for kind, items in kinds.items():
        taken[kind] += min(len(items) - taken[kind], limit - sum(taken.values()))
    return [(kind, item) for kind, items in kinds.items() for item in items[: taken[kind]]]
