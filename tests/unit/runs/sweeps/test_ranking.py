"""Ties are told: overlapping intervals, seeds that spread, a single seed."""

import pytest

from interlock.contracts.sweep import Objective, PlannedJob, RankedRun, SweepJob, SweepManifest
from interlock.contracts.verdict import Verdict
from interlock.runs.sweeps.ranking import _best, _overlap, _seed_groups, rank


def planned(number, *, seed, configuration):
    return PlannedJob(
        number=number,
        overrides=(),
        varies=(f"seed={seed}", f"lr={configuration}"),
        lane="toy",
        seed=seed,
        params_sha256="0" * 64,
        unseeded_sha256=f"{configuration:064x}",
    )


def grouped(values, *, tied=(), larger_is_better=True):
    """Groups of `{configuration: [value of seed 1, of seed 2, ...]}`."""
    flat = [(key, seed, value) for key, found in values.items() for seed, value in enumerate(found, start=1)]
    jobs = {n: planned(n, seed=seed, configuration=key) for n, (key, seed, _) in enumerate(flat)}
    runs = [
        RankedRun(
            rank=1, number=n, run_id=str(n), label="", seed=seed, verdict=Verdict.PASS, value=value,
            low=value - 0.02, high=value + 0.02, ties_with_best=n in tied,
        )
        for n, (_, seed, value) in enumerate(flat)
    ]  # fmt: skip
    return _seed_groups(runs, jobs, larger_is_better=larger_is_better)


@pytest.mark.parametrize(
    ("one", "other", "overlaps"),
    [
        ((0.1, 0.2), (0.2, 0.3), True),
        ((0.1, 0.2), (0.21, 0.3), False),
        ((0.0, 1.0), (0.4, 0.5), True),
        (None, (0.0, 1.0), False),
    ],
)
def test_overlap(one, other, overlaps):
    assert _overlap(one, other) is overlaps
    assert _overlap(other, one) is overlaps


def test_configurations_are_compared_over_seeds():
    best, second = grouped({1: [0.50, 0.51, 0.52], 2: [0.80, 0.81, 0.82]})
    assert (best.label, best.numbers, best.mean) == ("lr=2", (3, 4, 5), pytest.approx(0.81))
    assert best.deviation == pytest.approx(0.01)
    # Student's t, 2 degrees of freedom: 4.302653 (any table of quantiles, 0.975)
    assert best.high - best.mean == pytest.approx(4.302653 * 0.01 / 3**0.5, rel=1e-6)
    assert (second.rank, second.ties_with_best) == (2, False)


def test_a_spread_over_seeds_makes_ties():
    _, second = grouped({1: [0.70, 0.82, 0.76], 2: [0.80, 0.81, 0.82]})
    assert second.ties_with_best


def test_the_luck_of_the_items_makes_ties_too():
    values = {1: [0.80, 0.80, 0.80], 2: [0.81, 0.81, 0.81]}
    assert [group.ties_with_best for group in grouped(values)] == [True, False]
    assert [group.ties_with_best for group in grouped(values, tied=(0, 3))] == [True, True]


def test_a_single_seed_has_the_spread_of_its_items():
    """0.02 either side, as the runs of these tests have."""
    assert [group.ties_with_best for group in grouped({1: [0.1], 2: [0.80, 0.81, 0.82]})] == [True, False]
    groups = grouped({1: [0.79], 2: [0.80, 0.81, 0.82]})
    assert [group.ties_with_best for group in groups] == [True, True]
    assert groups[1].deviation is None


def test_smaller_can_be_better():
    assert [group.label for group in grouped({1: [5, 6], 2: [1, 2]}, larger_is_better=False)] == ["lr=2", "lr=1"]


def test_without_several_seeds_there_are_no_groups():
    assert grouped({1: [0.1], 2: [0.2]}) == ()


def test_the_best_objective_is_the_first_of_equals():
    jobs = [
        SweepJob(
            number=n, overrides=(), lane="toy", params_sha256="0" * 64, status="finished", objective=value, duration_s=1
        )
        for n, value in enumerate([0.5, 0.2, 0.2, None])
    ]
    assert _best(jobs, Objective(metric="x", goal="minimize")) == 1
    assert _best(jobs, Objective(metric="x", goal="maximize")) == 0
    assert _best(jobs[3:], Objective(metric="x", goal="minimize")) is None


@pytest.mark.parametrize(
    ("running", "begun"), [(False, "interrupted; the same command goes on"), (True, "running now")]
)
def test_what_has_begun_is_told_from_what_has_not(tmp_path, running, begun):
    manifest = SweepManifest(
        sweep_id="a" * 16, experiment="x", command=(), sweeper="basic", context_sha256="0" * 64, ranked_by={},
        jobs=(planned(0, seed=1, configuration=1), planned(1, seed=2, configuration=1)),
    )  # fmt: skip
    others = rank(manifest, {}, tmp_path, begun={0}, running=running).others
    assert [other.reason for other in others] == [begun, "has not run; the same command runs it"]
