"""Gates of one family: passed jointly, failed alone, and never easier to pass for being in it."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_world import World, at_least, at_most, hits, over

from interlock.contracts.verdict import Cause, Verdict


@pytest.fixture(scope="module", autouse=True)
def _few_resamples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("interlock.gates.bootstrap.NUM_RESAMPLES", 499)
        patch.setattr("interlock.gates.calibration.NUM_RESAMPLES", 499)
        yield


def rates(**successes):
    world = World()
    for name, number in successes.items():
        world.add(name, hits(number, 1000))
    return world


def verdicts(rows):
    return {row.gate: row.verdict for row in rows}


def test_a_pass_of_a_family_needs_more_than_a_pass_alone():
    """0.527 passes 0.5 at 95 % (bound 0.501) and not at the 97.5 % that two open gates ask for."""
    world = rates(a=527, b=500)
    alone = world.judge(a=at_least(0.5, "a"), b=at_least(0.5, "b"))
    jointly = world.judge(a=at_least(0.5, "a", family="kpi"), b=at_least(0.5, "b", family="kpi"))
    assert [row.verdict for row in alone] == [Verdict.PASS, Verdict.INCONCLUSIVE]
    assert [row.verdict for row in jointly] == [Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE]
    row = jointly[0]
    assert row.bound < 0.5 < alone[0].bound
    assert row.other_bound == alone[0].other_bound
    assert (row.family, row.confidence, alone[0].confidence) == ("kpi", pytest.approx(0.975), 0.95)
    assert row.reason.endswith("; in family kpi a pass needs 97.5 % (Holm)")


def test_what_passes_first_makes_room_for_the_rest():
    world = rates(a=527, b=900)
    rows = world.judge(a=at_least(0.5, "a", family="kpi"), b=at_least(0.5, "b", family="kpi"))
    assert verdicts(rows) == {"a": Verdict.PASS, "b": Verdict.PASS}
    assert [row.confidence for row in rows] == [0.95, pytest.approx(0.975)]
    assert rows[0].reason == "a 0.527 (95 % bound 0.501) >= 0.500, n=1000; in family kpi a pass needs 95 % (Holm)"


def test_a_family_never_hides_a_fail():
    """At 97.5 % the other bound would reach 0.5 again; a fail is judged as if the gate stood alone."""
    world = rates(a=472, b=500, c=500)
    for families in ({}, {"family": "kpi"}):
        row = world.judge(**{name: at_least(0.5, name, **families) for name in "abc"})[0]
        assert row.verdict is Verdict.FAIL
        assert row.reason.startswith("a 0.472 (95 % bound 0.498) < 0.500, n=1000")


def test_a_blocked_gate_counts_and_waits():
    world = rates(a=527)
    assert world.judge(a=at_least(0.5, "a", family="kpi"))[0].verdict is Verdict.PASS
    rows = world.judge(a=at_least(0.5, "a", family="kpi"), b=at_least(0.5, "nowhere", family="kpi"))
    assert verdicts(rows) == {"a": Verdict.INCONCLUSIVE, "b": Verdict.BLOCKED}
    assert rows[1].family == "kpi"


def test_families_do_not_meet():
    world = rates(a=527, b=500)
    rows = world.judge(a=at_least(0.5, "a", family="one"), b=at_least(0.5, "b", family="two"))
    assert verdicts(rows) == {"a": Verdict.PASS, "b": Verdict.INCONCLUSIVE}


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"confidence": 0.9}, "ask for confidence 0.9 and 0.95"), ({"phase": "shipped"}, "known only after export")],
)
def test_gates_that_cannot_be_judged_jointly_are_blocked(fields, words):
    world = rates(a=900, b=900)
    rows = world.judge(a=at_least(0.5, "a", family="kpi"), b=at_least(0.5, "b", family="kpi", **fields))
    assert [(row.verdict, row.cause) for row in rows] == [(Verdict.BLOCKED, Cause.FAMILY)] * 2
    assert words in rows[0].reason


def mixed_world(seed):
    """One measurement of every kind, all near the targets of `mixed_gates`."""
    random = np.random.default_rng(seed)
    base = random.random(120) < 0.5
    world = World().add("rate", np.where(random.random(120) < 0.2, 1.0, base)).add("base", base.astype(float))
    world.add("mean", random.normal(0.5, 1.0, 80), estimator="mean")
    world.add("p90", random.exponential(1.0, 150), estimator="quantile", quantile=0.9, unit="ms")
    world.add_two("speed", random.gamma(9.0, 8.0, 60), random.gamma(9.0, 1.0, 60), estimator="ratio")
    confidence = random.uniform(0.5, 1.0, 300)
    return world.add_two("ece", random.random(300) < confidence - 0.03, confidence, estimator="calibration")


def mixed_gates(**fields):
    return {
        "rate": at_least(0.5, "rate", **fields),
        "gain": over(0.0, metric="rate", baseline="base", **fields),
        "mean": at_least(0.2, "mean", **fields),
        "latency": at_most(3.0, "p90", unit="ms", **fields),
        "speed": at_least(7.0, "speed", **fields),
        "calibrated": at_most(0.12, "ece", **fields),
        "gone": at_least(0.5, "nowhere", **fields),
    }


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 10**6), order=st.permutations(sorted(mixed_gates())), confidence=st.sampled_from([0.8, 0.95])
)
def test_a_family_passes_nothing_that_does_not_pass_alone(seed, order, confidence):
    world = mixed_world(seed)
    alone = verdicts(world.judge(**mixed_gates(confidence=confidence)))
    gates = mixed_gates(confidence=confidence, family="all")
    rows = world.judge(**{name: gates[name] for name in order})
    assert rows == world.judge(**gates)
    for row in rows:
        both = {row.verdict, alone[row.gate]}
        assert row.verdict is alone[row.gate] or both == {Verdict.PASS, Verdict.INCONCLUSIVE}
        assert row.verdict is not Verdict.PASS or alone[row.gate] is Verdict.PASS


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), levels=st.tuples(st.floats(0.51, 0.999), st.floats(0.51, 0.999)))
def test_more_confidence_decides_less(seed, levels):
    """It may take a pass or a fail away; it never gives one, and never turns one into the other."""
    world = mixed_world(seed)
    low, high = (verdicts(world.judge(**mixed_gates(confidence=level))) for level in sorted(levels))
    for name, verdict in high.items():
        assert verdict in (low[name], Verdict.INCONCLUSIVE)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10**6), family=st.sampled_from([None, "all"]))
def test_every_inconclusive_row_says_what_it_would_take(seed, family):
    for row in mixed_world(seed).judge(**mixed_gates(confidence=0.99, family=family)):
        if row.verdict is Verdict.INCONCLUSIVE:
            assert row.detectable is not None
            assert row.detectable > 0
            assert f"can tell a distance of {row.detectable:.2g}" in row.reason
            assert (row.n_needed is None) == ("no n would decide: " in row.reason)
            assert row.n_needed is None or f"about n={row.n_needed} would decide" in row.reason
            assert row.n_needed is None or row.n_needed > row.n
        else:
            assert (row.n_needed, row.detectable) == (None, None)
