"""The rows that say most: every kind gets its share, nothing is shown twice, the limit holds."""

from hypothesis import given
from hypothesis import strategies as st

from interlock.runs.tracked.items import per_item_table

SCORES = st.dictionaries(st.text("abcdef", min_size=1, max_size=3), st.sampled_from([0.0, 0.5, 1.0]), min_size=1)


def outcomes(**options: object) -> list[tuple[object, object, object]]:
    own = {"a": 1.0, "b": 0.0, "c": 0.0, "d": 1.0, "e": 0.0}
    rival = {"a": 1.0, "b": 1.0, "c": 0.0, "d": 0.0, "e": 0.0}
    table = per_item_table(
        {"r_at_5": own, "bm25.r_at_5": rival}, metric="r_at_5", baseline="bm25.r_at_5", **{"limit": 9, **options}
    )
    assert table.columns[:5] == ("item", "outcome", "gain", "r_at_5", "bm25.r_at_5")
    return [row[:3] for row in table.rows]


def test_losses_come_first_then_gains_then_misses() -> None:
    assert outcomes() == [
        ("b", "lost", -1.0),
        ("d", "gained", 1.0),
        ("c", "missed", 0.0),
        ("e", "missed", 0.0),
        ("a", "same", 0.0),
    ]


def test_each_kind_has_its_share_of_few_rows() -> None:
    assert [kind for _, kind, _ in outcomes(limit=3)] == ["lost", "gained", "missed"]


def test_where_less_is_better_a_lower_score_is_a_gain() -> None:
    found = {item: kind for item, kind, _ in outcomes(greater_is_better=False)}
    assert (found["b"], found["d"]) == ("gained", "lost")


def test_texts_stand_beside_the_items() -> None:
    table = per_item_table({"m": {"q1": 1.0, "q2": 0.0}}, metric="m", baseline=None, limit=5, texts={"q1": "who?"})
    assert table.columns == ("item", "text", "outcome", "gain", "m")
    assert table.rows == (("q2", "", "missed", 0.0, 0.0), ("q1", "who?", "same", 0.0, 1.0))


@given(own=SCORES, rival=SCORES, limit=st.integers(0, 20))
def test_any_scores(own: dict[str, float], rival: dict[str, float], limit: int) -> None:
    table = per_item_table({"m": own, "b.m": rival}, metric="m", baseline="b.m", limit=limit)
    items = [row[0] for row in table.rows]
    assert len(items) == len(set(items)) == min(limit, len(own))
    for item, kind, gain, score, other in table.rows:
        assert score == own[str(item)]
        assert other == rival.get(str(item))
        assert kind == ("lost" if gain < 0 else "gained" if gain > 0 else kind)
