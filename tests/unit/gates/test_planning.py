"""What an inconclusive row says of what it would take; and that it would."""

import numpy as np
import pytest
from judged_world import World, at_least, at_most, hits, over

from interlock.contracts.measurement import Bins
from interlock.contracts.verdict import Verdict
from interlock.gates.calibration import calibration_curve, gaps
from interlock.gates.planning import calibration_plan
from interlock.gates.power import detectable_difference, items_needed


@pytest.fixture(scope="module", autouse=True)
def _few_resamples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("interlock.gates.bootstrap.NUM_RESAMPLES", 499)
        patch.setattr("interlock.gates.calibration.NUM_RESAMPLES", 1999)
        yield


def rng(seed=0):
    return np.random.default_rng(seed)


def inconclusive(world, gate):
    row = world.judge(gate)[0]
    assert row.verdict is Verdict.INCONCLUSIVE
    return row


def same(n, value=0.0, **extra):
    return World().add("r_at_5", np.full(n, value), estimator="mean", **extra)


class TestWhereNoNumberWould:
    def test_the_estimate_on_the_target(self):
        row = inconclusive(World().add("r_at_5", hits(100, 200)), at_least(0.5))
        assert (row.n_needed, row.detectable) == (None, pytest.approx(0.0874, abs=1e-3))
        assert row.reason.endswith("; this many can tell a distance of 0.087, no n would decide: "
                                   "the estimate lies on the target")  # fmt: skip

    def test_identical_systems(self):
        base = hits(200, 400)
        row = inconclusive(World().add("r_at_5", base).add("bm25.r_at_5", base), over())
        assert (row.n_needed, row.detectable) == (None, pytest.approx(0.0067, abs=1e-4))
        assert "no n would decide: the estimate lies on the target" in row.reason

    def test_all_the_same_in_an_unknown_range(self):
        row = inconclusive(same(300, 0.9), at_least(0.5))
        assert (row.n_needed, row.detectable) == (None, None)
        assert "no distance is known that n=300 can tell" in row.reason
        assert row.reason.endswith("all items score the same, and how far others could lie is not known")

    def test_a_target_without_room(self):
        row = inconclusive(World().add("r_at_5", hits(50, 50)), at_least(0.99))
        assert row.detectable is None
        assert row.n_needed == 270  # zero misses of 268 put a 95 % Wilson bound over 0.99

    def test_one_common_ratio(self):
        x = rng().gamma(4.0, 1.0, 50)
        row = inconclusive(World().add_two("speed", 8 * x, x, estimator="ratio"), at_least(7.0, "speed"))
        assert "hardly any item differs from the common ratio" in row.reason


class TestWhereItWould:
    def test_all_the_same_in_a_known_range_follows_the_rule_of_three(self):
        """No error in 100 items: about 300 put a bound under 0.01 (pitfall: 299 requests)."""
        row = inconclusive(same(100, score_range=(0.0, 1.0)), at_most(0.01, "r_at_5"))
        assert row.n_needed == 300
        assert row.detectable == pytest.approx(1 - 0.05 ** (1 / 100))

    @pytest.mark.parametrize(("over", "target"), [(0.0, 0.1), (0.25, 0.15)])
    def test_a_calibration_error_has_to_overcome_the_noise_of_its_bins(self, over, target):
        """Whichever side of the target it lies on, more items are asked for than a mean of this spread would take."""
        confidence = rng(1).uniform(0.5, 1.0, 100)
        correct = (rng(2).random(100) < confidence - over).astype(float)
        found = gaps(correct, confidence, Bins())
        bounds = calibration_curve(correct, confidence, Bins(), rng=rng())(0.95)
        plain = items_needed(bounds.estimate, target, spread=float(found.signed.std()), confidence=0.95)
        plan = calibration_plan(found, bounds, target)
        assert plan.needed > 1.5 * plain
        assert plan.detectable > 1.2 * detectable_difference(100, spread=float(found.signed.std()), confidence=0.95)

    def test_a_quantile_without_a_bound_needs_the_items_that_give_one(self):
        scores = rng().exponential(1.0, 40)
        world = World().add("p95", scores, estimator="quantile", quantile=0.95, unit="ms")
        row = inconclusive(world, at_most(1000.0, "p95", unit="ms"))
        assert row.bound is None
        assert row.n_needed == 59


def shares(n, seed, target):
    """A sample of n on which the gate is asked, for every kind of gate with a plan."""
    random = rng([seed, n])
    match target:
        case "rate":
            return World().add("m", hits(random.binomial(n, 0.56), n)), at_least(0.5, "m")
        case "mean":
            return World().add("m", random.exponential(1.0, n), estimator="mean"), at_least(0.8, "m")
        case "quantile":
            world = World().add("m", random.exponential(1.0, n), estimator="quantile", quantile=0.9, unit="ms")
            return world, at_most(2.8, "m", unit="ms")
        case "ratio":
            x = random.gamma(4.0, 1.0, n)
            y = 8 * x + random.exponential(4.0, n)
            return World().add_two("m", y, x, estimator="ratio"), at_least(8.85, "m")
        case "calibration":
            confidence = random.uniform(0.5, 1.0, n)
            world = World().add_two("m", random.random(n) < confidence - 0.04, confidence, estimator="calibration")
            return world, at_most(0.1, "m")
        case "baseline":
            change = random.choice([-1.0, 0.0, 1.0], p=[0.06, 0.82, 0.12], size=n)
            base = np.where(change == 0, random.random(n) < 0.5, change < 0).astype(float)
            return World().add("m", base + change).add("base", base), over(0.0, metric="m", baseline="base")


# Sizes at which the plan of the true model says that the gate decides four times in five.
PLANNED = {"rate": 427, "mean": 155, "quantile": 310, "ratio": 343, "calibration": 550, "baseline": 307}


@pytest.mark.parametrize("kind", PLANNED)
def test_plans_agree_with_the_size_they_name(kind):
    """Samples of the planned size, whatever their verdict, ask for about that size."""
    from interlock.gates.question import Facts, baseline_question, threshold_question

    asked = []
    for seed in range(60):
        world, gate = shares(PLANNED[kind], seed, kind)
        facts = Facts(measurements=world.measurements, scores=world.scores, items=world.items, seed=0)
        question = (baseline_question if kind == "baseline" else threshold_question)(gate, facts)
        asked.append(question.plan(question.own_bounds()).needed or 10**9)
    assert 0.9 * PLANNED[kind] < np.median(asked) < 1.4 * PLANNED[kind]


@pytest.mark.slow
@pytest.mark.parametrize("kind", PLANNED)
def test_planned_numbers_reach_their_power(kind):
    decided = [world.judge(gate)[0].verdict for world, gate in (shares(PLANNED[kind], s, kind) for s in range(600))]
    share = np.mean([verdict is Verdict.PASS for verdict in decided])
    assert 0.74 <= share <= 0.9
