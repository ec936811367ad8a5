"""GateBench on the pure judge: no wrong pass, and a judge with a hole is caught by the faults that belong to it."""

from functools import cache
from itertools import permutations

import pytest
from gatebench import cases, generate, scoring
from gatebench.kinds import build

from interlock.contracts.verdict import Verdict, fold
from interlock.gates.judge import judge

PASS = Verdict.PASS


@cache
def honest():
    return scoring.run(generate.judge_cases(repetitions=1))


def some(*faults):
    return [case for case in generate.judge_cases(repetitions=1) if case.fault in faults]


def test_nothing_passes_that_must_not_and_the_healthy_twins_do():
    found = scoring.summary(honest())
    assert found["wrong_passes"] == 0, found["misses"]
    assert found["wrong_stops"] == 0, found["misses"]
    assert found["crashes"] == 0, found["misses"]
    assert found["exact_share"] >= 0.98, found["misses"]
    assert found["causes_exact"] == found["causes_asked"]


def test_it_is_as_large_as_it_says():
    found = scoring.summary(honest())
    assert found["fault_kinds"] >= 60
    assert found["cases"] >= 400
    assert len(found["gate_kinds"]) >= 12
    names = [result.case.name for result in honest()]
    assert len(names) == len(set(names))


def test_every_cause_that_the_judge_can_state_is_asked_for():
    asked = {result.case.expected.cause for result in honest()} - {None}
    assert asked == set(cases.Cause)


def test_the_same_case_is_the_same_world_each_time():
    first, again = (some("borderline", "items_duplicated") for _ in range(2))
    assert [case.world().rows() for case in first] == [case.world().rows() for case in again]


@pytest.mark.parametrize("kind", ["rate_at_least", "value", "predicate"])
def test_no_fault_hides_another(kind):
    """Two faults at once never pass: what one of them breaks, the other does not mend."""
    faults = [fault for fault in generate.JUDGE_FAULTS if kind in fault.kinds]
    passed, num_judged = [], 0
    for first, second in permutations(faults, 2):
        rng = cases.seed_of_case(first.name, second.name, kind)
        world = build(kind, rng, first.quality)
        try:
            first.apply(world, rng)
            second.apply(world, rng)
        except Exception:  # after the first there is nothing left that the second could befall
            continue
        num_judged += 1
        if fold(world.rows()) is PASS:
            passed.append((first.name, second.name))
    assert passed == []
    assert num_judged > len(faults) * (len(faults) - 1) // 2


# --- planted holes ---------------------------------------------------------------------------------------------------


def blocks_everything(gates, measurements, **given):
    return judge(gates, {}, **given)


def lets_the_blocked_pass(gates, measurements, **given):
    rows = judge(gates, measurements, **given)
    open_ = {"verdict": PASS, "cause": None, "observed": 1.0}
    return tuple(row.model_copy(update=open_) if row.verdict is Verdict.BLOCKED else row for row in rows)


def takes_undecided_for_passed(gates, measurements, **given):
    rows = judge(gates, measurements, **given)
    return tuple(
        row.model_copy(update={"verdict": PASS}) if row.verdict is Verdict.INCONCLUSIVE else row for row in rows
    )


def compares_plainly(gates, measurements, **given):
    plain = {
        name: gate.model_copy(update={"confidence": None, "family": None}) if hasattr(gate, "confidence") else gate
        for name, gate in gates.items()
    }
    return judge(plain, measurements, **given)


def knows_no_families(gates, measurements, **given):
    alone = {
        name: gate.model_copy(update={"family": None}) if hasattr(gate, "family") else gate
        for name, gate in gates.items()
    }
    return judge(alone, measurements, **given)


def counts_no_items(gates, measurements, **given):
    few = {
        name: gate.model_copy(update={"n_min": 1}) if hasattr(gate, "n_min") else gate for name, gate in gates.items()
    }
    return judge(few, measurements, **given)


def all_the_same(**fields):
    def judge_it(gates, measurements, **given):
        return judge(gates, {name: item.model_copy(update=fields) for name, item in measurements.items()}, **given)

    return judge_it


def renumbers_items(gates, measurements, *, items, **given):
    numbered = {name: list(range(len(ids))) for name, ids in items.items()}
    return judge(gates, measurements, items=numbered, **given)


HOLES = [
    # a judge with a hole, faults that must show it, faults that must still be caught
    (lets_the_blocked_pass, {"metric_missing", "no_baseline", "value_nan"}, {"borderline", "worse_than_wanted"}),
    (takes_undecided_for_passed, {"borderline", "lucky_seed", "few_perfect_items"}, {"metric_missing"}),
    (compares_plainly, {"borderline", "lucky_seed", "one_seed", "no_items_behind_it"}, {"value_nan", "no_baseline"}),
    (knows_no_families, {"best_of_five_slices", "family_of_two_confidences"}, {"borderline"}),
    (counts_no_items, {"too_few_items", "traffic_stops"}, {"sample_empty", "few_perfect_items"}),
    (all_the_same(split_sha256="0" * 64), {"split_swapped", "split_unknown"}, {"evaluator_changed", "other_items"}),
    (all_the_same(evaluator_sha256="0" * 64), {"evaluator_changed", "evaluator_unknown"}, {"split_swapped"}),
    (renumbers_items, {"items_duplicated", "sample_counted_twice", "other_items"}, {"split_swapped", "value_typed_in"}),
]


@pytest.mark.parametrize(("hole", "shown_by", "still_caught"), HOLES, ids=lambda part: getattr(part, "__name__", ""))
def test_a_judge_with_a_hole_is_caught(hole, shown_by, still_caught):
    results = scoring.run(some(*shown_by, *still_caught), judge_with=hole)
    assert {result.case.fault for result in results if result.is_wrong_pass} == shown_by


def test_a_judge_that_blocks_everything_has_every_twin_against_it():
    cases_ = some("metric_missing", "borderline")
    found = scoring.summary(scoring.run(cases_, judge_with=blocks_everything))
    assert found["wrong_passes"] == 0
    assert found["wrong_stops"] == len(cases_)
    assert found["exact_share"] <= 0.5


def test_a_judge_that_crashes_scores_nothing():
    def crashes(*arguments, **given):
        raise RuntimeError("boom")

    found = scoring.summary(scoring.run(some("value_nan"), judge_with=crashes))
    assert (found["exact_verdicts"], found["crashes"]) == (0, found["cases"])
    assert "boom" in found["misses"][0]["trouble"]
