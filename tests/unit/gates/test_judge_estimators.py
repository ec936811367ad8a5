"""Ratios, calibration errors and pinned baselines as rows of the judge."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_world import GATES, World, at_least, at_most, healthy, over

from interlock.contracts.measurement import Bins, ScoresRef
from interlock.contracts.verdict import Cause, Verdict


@pytest.fixture(scope="module", autouse=True)
def _few_resamples():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("interlock.gates.bootstrap.NUM_RESAMPLES", 999)
        yield


class TestTwoColumns:
    """Ratios and calibration errors say their numbers like all others."""

    def test_a_ratio(self):
        row = next(row for row in healthy().judge(**GATES) if row.gate == "speed")
        assert (row.unit, row.method, row.n) == ("tokens/s", "bca-t", 400)
        assert row.bound < row.observed < row.other_bound
        assert row.observed == pytest.approx(8.983, abs=1e-3)

    def test_a_calibration_error_is_judged_without_its_bias(self):
        """The reason names the plain value, which everybody else computes, beside the one that is judged."""
        row = healthy().judge(at_most(0.1, "ece"))[0]
        assert row.reason.startswith("ece (plain 0.012 over 15 equal-width bins) debiased 0.003 (95 % bound 0.0")
        assert row.observed < 0.012 < row.bound

    def test_a_plain_comparison_takes_the_bias_off_too(self):
        """100 items of a perfect model: the plain value of many a sample lies over 0.1."""
        random = np.random.default_rng(5)
        confidence = random.uniform(0.5, 1.0, 100)
        world = World().add_two("ece", random.random(100) < confidence, confidence, estimator="calibration")
        assert world.measurements["ece"].value > 0.1
        row = world.judge(at_most(0.1, "ece", confidence=None))[0]
        assert (row.verdict, row.method) == (Verdict.PASS, "plain")


class TestPinnedBaseline:
    """The digest of a row pins the next release's baseline to what it was compared with."""

    def test_the_digest_of_a_row_is_the_pin(self):
        world = healthy()
        (row,) = world.judge(over())
        (pinned,) = world.judge(over(baseline_sha256=row.baseline_sha256))
        assert (pinned.verdict, pinned.baseline_sha256) == (Verdict.PASS, row.baseline_sha256)

    @pytest.mark.parametrize("index", [0, 999])
    def test_one_changed_score_is_another_baseline(self, index):
        world = healthy()
        pin = world.judge(over())[0].baseline_sha256
        scores = world.scores["bm25.r_at_5"].copy()
        scores[index] = 1 - scores[index]
        world.add("bm25.r_at_5", scores)
        row = world.judge(over(baseline_sha256=pin))[0]
        assert (row.verdict, row.cause) == (Verdict.BLOCKED, Cause.BASELINE_CHANGED)
        assert world.judge(over())[0].verdict is Verdict.PASS

    def test_neither_the_order_of_items_nor_the_file_matters(self):
        world = healthy()
        pin = world.judge(over())[0].baseline_sha256
        world.scores["bm25.r_at_5"] = world.scores["bm25.r_at_5"][::-1]
        world.items["bm25.r_at_5"] = world.items["bm25.r_at_5"][::-1]
        world.change("bm25.r_at_5", scores=ScoresRef(file="champion.parquet", column="r_at_5", sha256="d" * 64))
        assert world.judge(over(baseline_sha256=pin))[0].verdict is Verdict.PASS

    def test_the_same_scores_of_other_items_are_another_baseline(self):
        world = healthy()
        pin = world.judge(over())[0].baseline_sha256
        for name in ("r_at_5", "bm25.r_at_5"):
            world.items[name] = [f"other-{item}" for item in world.items[name]]
        assert world.judge(over())[0].verdict is Verdict.PASS
        assert world.judge(over(baseline_sha256=pin))[0].cause is Cause.BASELINE_CHANGED


anything = st.floats() | st.sampled_from([0.0, 1.0, 0.5])


class TestNothingInTheDataRaises:
    @settings(max_examples=100, deadline=None)
    @given(
        estimator=st.sampled_from(["ratio", "calibration", "rate", "mean"]),
        scores=st.lists(st.tuples(anything, anything), max_size=30) | st.lists(anything, max_size=30),
        value=st.none() | anything,
        target=st.floats(-1e6, 1e6),
        family=st.sampled_from([None, "kpi"]),
    )
    def test_and_what_does_not_hold_together_never_passes(self, estimator, scores, value, target, family):
        world = World().add_two("m", [1.0, 0.0], [1.0, 1.0], estimator="ratio")
        world.change("m", estimator=estimator, value=value, n=len(scores))
        world.scores["m"], world.items["m"] = scores, range(len(scores))
        for row in world.judge(at_least(target, "m", family=family), at_most(target, "m", family=family)):
            if row.verdict is Verdict.PASS:
                given = np.array(scores)
                assert np.isfinite(given).all()
                assert given.ndim == 1 + (estimator in ("ratio", "calibration"))

    @settings(max_examples=100, deadline=None)
    @given(
        pairs=st.lists(st.tuples(st.floats(-1e30, 1e30), st.floats(0.0, 1e30)), min_size=1, max_size=40),
        target=st.floats(-1e9, 1e9),
        confidence=st.sampled_from([None, 0.6, 0.95, 0.999999]),
    )
    def test_ratios_of_any_size(self, pairs, target, confidence):
        first, second = np.array(pairs).T
        if second.sum() > 1e-60:
            world = World().add_two("m", first, second, estimator="ratio")
            row = world.judge(at_least(target, "m", confidence=confidence))[0]
            assert row.verdict is Verdict.BLOCKED or row.observed is not None
            if None not in (row.bound, row.observed, row.other_bound):
                assert row.bound <= row.observed <= row.other_bound

    @settings(max_examples=50, deadline=None)
    @given(
        pairs=st.lists(st.tuples(st.booleans(), st.floats(0.0, 1.0)), min_size=1, max_size=60),
        target=st.floats(0.0, 1.0),
        layout=st.sampled_from(["equal_width", "equal_mass"]),
    )
    def test_calibrations_of_any_shape(self, pairs, target, layout):
        first, second = np.array(pairs, dtype=float).T
        world = World().add_two("m", first, second, estimator="calibration", bins=Bins(count=7, layout=layout))
        row = world.judge(at_most(target, "m"))[0]
        assert 0 <= row.other_bound <= row.observed <= row.bound <= 1
        assert row.verdict is not Verdict.BLOCKED


def test_only_two_rates_are_paired_as_rates():
    """Shares of a hit against hit or miss: the differences are fractions, so the bootstrap has to bound them."""
    world = healthy()
    world.add("bm25.r_at_5", np.random.default_rng(1).uniform(0.0, 0.9, 1000), estimator="mean")
    assert world.judge(over())[0].method == "bca-t"
