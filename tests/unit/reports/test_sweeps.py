"""The tables of a sweep: short labels that still tell keys apart, and notes that say what the order is worth."""

import io

import pytest
from rich.console import Console

from interlock.contracts.sweep import LaneRanking, Objective, RankedBy, RankedRun, Ranking, Unranked
from interlock.contracts.verdict import Verdict
from interlock.reports.sweeps import notes, other_table, ranking_table, shortened


def ranking(*, objective=None, split="test", by="accuracy"):
    runs = tuple(
        RankedRun(
            rank=rank, number=rank, run_id="f" * 16, label=f"lane.optimizer.lr=0.{rank}", seed=1, verdict=Verdict.PASS,
            value=0.9 - rank / 10, low=0.7, high=0.9, n=40, ties_with_best=tie, objective=0.25,
        )
        for rank, tie in ((1, True), (2, True), (3, False))
    )  # fmt: skip
    lane = LaneRanking(
        lane="toy",
        by=RankedBy(metric=by, direction="at_least", gate="g") if by else None,
        unit="ratio",
        split=split,
        runs=runs,
    )
    other = Unranked(number=4, label="seed=4", status="failed", reason="it broke")
    return Ranking(
        sweep_id="a" * 16,
        confidence=0.95,
        lanes=(lane,),
        others=(other,),
        objective=objective,
        best_number=2 if objective else None,
    )


def drawn(table, *, width=140):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(table)
    return console.file.getvalue()


@pytest.mark.parametrize(
    ("labels", "short"),
    [
        (["lane.optimizer.lr=0.000123456 seed=3"], ["lr=0.0001235 seed=3"]),
        (["a.rate=1", "b.rate=2"], ["a.rate=1", "b.rate=2"]),
        (["trainer=smoke x.y=[1.25,2]"], ["trainer=smoke y=[1.25,2]"]),
        (["-"], ["-"]),
    ],
)
def test_labels(labels, short):
    assert list(shortened(labels).values()) == short


def test_ties_and_the_chosen_one_are_marked():
    text = drawn(ranking_table(ranking().lanes[0], ranking()))
    assert [line.split()[-3] if "tie" in line or "best" in line else "" for line in text.splitlines()[2:]]
    assert text.count("tie") == 1
    assert text.count("best") == 1
    searched = ranking(objective=Objective(metric="validation_loss_best", goal="minimize"))
    (starred,) = [line for line in drawn(ranking_table(searched.lanes[0], searched)).splitlines() if "*" in line]
    assert "lr=0.2" in starred
    assert "0.250 *" in starred


@pytest.mark.parametrize(("width", "shown"), [(80, ""), (100, "f" * 8), (119, "f" * 8), (120, "f" * 16)])
def test_a_narrow_terminal_still_names_the_run(width, shown):
    table = ranking_table(ranking().lanes[0], ranking(), width=width)
    rows = [line.split() for line in drawn(table, width=width).splitlines() if "lr=" in line]
    assert [row[-1] for row in rows] == [shown or "pass"] * 3


def test_jobs_without_a_place_say_why():
    assert "it broke" in drawn(other_table(ranking()))


def test_notes_say_what_the_order_is_worth():
    said = " ".join(notes(ranking()))
    assert "1 run of toy cannot be told from the first" in said
    assert "needs fresh data" in said
    assert "fresh data" not in " ".join(notes(ranking(split="validation")))
    chosen = " ".join(notes(ranking(objective=Objective(metric="accuracy", goal="maximize"))))
    assert "looks better than it is" in chosen
    assert notes(ranking(by=None)) == []
