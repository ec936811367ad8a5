"""The judge: refusals by name, properties that no input may break, exact rows and sentences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged_world import FILE, GATES, World, at_least, healthy, hits, over, yes

from interlock.contracts.gate import ThresholdGate
from interlock.contracts.measurement import Bins, ScoresRef
from interlock.contracts.verdict import Cause, Verdict, fold
from interlock.gates.judge import seed_of


@pytest.fixture(scope="module", autouse=True)
def _few_resamples():
    """A tenth of the resamples: what is tested here does not hang on their number."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("interlock.gates.bootstrap.NUM_RESAMPLES", 999)
        yield


PINNED = {"pinned": over(n_min=200, baseline_sha256="0" * 64)}


def test_the_healthy_twin_passes():
    rows = healthy().judge(**GATES)
    assert {row.gate: row.verdict for row in rows} == dict.fromkeys(GATES, Verdict.PASS)
    assert [row.gate for row in rows] == sorted(GATES)
    assert {row.gate: row.method for row in rows} == {
        "recall": "wilson",
        "gain": "tango",
        "echo": "bca-t",
        "speed": "bca-t",
        "calibrated": "ece",
        "latency": "order-statistic",
        "finite": "plain",
        "loss": "plain",
    }


def without(attribute, name):
    def break_it(world):
        getattr(world, attribute).pop(name)

    return break_it


def changed(name, /, **fields):
    return lambda world: world.change(name, **fields)


def unknown(field):
    return lambda world: world.change("r_at_5", **{field: None}).change("bm25.r_at_5", **{field: None})


def scored(name, make):
    def break_it(world):
        world.scores[name] = make(world.scores[name])

    return break_it


def itemised(name, make):
    def break_it(world):
        world.items[name] = make(world.items[name])

    return break_it


def columns(name, make):
    def break_it(world):
        world.scores[name] = np.stack(make(*world.scores[name].T), axis=1)

    return break_it


SAME_PLACE = {"name": "r_at_5", "unit": "ratio"}


def with_nan(scores):
    return np.r_[scores[:-1], np.nan]


BROKEN = [
    # gate, cause, a number or word of the reason, what is broken
    ("recall", Cause.MISSING, "not among the 7 measurements", without("measurements", "r_at_5")),
    ("recall", Cause.MISNAMED, "is named bm25.r_at_5", changed("r_at_5", name="bm25.r_at_5")),
    (
        "recall",
        Cause.NO_VALUE,
        "no finite value (n=1000): out of memory",
        changed("r_at_5", value=None, reason="out of memory"),
    ),
    ("recall", Cause.NO_VALUE, "no finite value", changed("r_at_5", value=float("nan"))),
    ("recall", Cause.NO_VALUE, "no finite value", changed("r_at_5", value=float("inf"))),
    ("recall", Cause.TOO_FEW, "n=0", changed("r_at_5", n=0)),
    ("recall", Cause.UNIT, "measured in percent", changed("r_at_5", unit="percent")),
    ("recall", Cause.OUT_OF_RANGE, "70 lies outside 0 .. 1", changed("r_at_5", value=70.0)),
    ("recall", Cause.OUT_OF_RANGE, "not 0.5 (n=1000)", scored("r_at_5", lambda s: s * 0.5)),
    ("recall", Cause.SCORES_MISSING, "per_query.parquet, column r_at_5", without("scores", "r_at_5")),
    ("recall", Cause.SCORES_MISSING, "were not found", without("items", "r_at_5")),
    ("recall", Cause.NO_INTERVAL, "95 % bound", changed("r_at_5", scores=None)),
    ("recall", Cause.SCORES_INVALID, "1 of 1000 scores are not finite", scored("r_at_5", with_nan)),
    ("recall", Cause.SCORES_INVALID, "of shape (10, 100)", scored("r_at_5", lambda s: s.reshape(10, 100))),
    ("recall", Cause.SCORES_INVALID, "<U3", scored("r_at_5", lambda s: s.astype(str))),
    ("recall", Cause.SCORES_INVALID, "object", scored("r_at_5", lambda s: s.astype(object))),
    ("recall", Cause.SCORES_INVALID, "one number per item", scored("r_at_5", lambda s: [[1.0], [1.0, 2.0]])),
    ("recall", Cause.SCORES_INVALID, "one text", itemised("r_at_5", lambda ids: "q" * len(ids))),
    ("recall", Cause.SCORES_DISAGREE, "0.75 is stated, its 1000 scores give 0.7", changed("r_at_5", value=0.75)),
    ("recall", Cause.SCORES_DISAGREE, "scores give 0.3", scored("r_at_5", lambda s: 1 - s)),
    ("recall", Cause.SCORES_DISAGREE, "n=2000 is stated, 1000 scores", changed("r_at_5", n=2000)),
    ("recall", Cause.SCORES_DISAGREE, "999 scores of 1000 items", scored("r_at_5", lambda s: s[1:])),
    ("recall", Cause.SCORES_DISAGREE, "1000 scores of 999 items", itemised("r_at_5", lambda ids: ids[1:])),
    (
        "recall",
        Cause.DUPLICATE_ITEMS,
        "1 of 1000 items are counted again, first 'q1'",
        itemised("r_at_5", lambda i: ["q1", *i[1:]]),
    ),
    ("echo", Cause.OUT_OF_RANGE, "outside -1 .. 1", changed("echo_loop", value=1.4)),
    ("echo", Cause.OUT_OF_RANGE, "outside -1 .. 1", scored("echo_loop", lambda s: np.r_[s[0] + 3, s[1:]])),
    ("echo", Cause.SCORES_DISAGREE, "its 500 scores give", changed("echo_loop", value=0.95)),
    ("latency", Cause.SCORES_DISAGREE, "its 1500 scores give", changed("latency_p95", value=0.1)),
    ("latency", Cause.SCORES_DISAGREE, "its 1500 scores give", changed("latency_p95", quantile=0.5)),
    ("loss", Cause.MISSING, "loss", without("measurements", "loss")),
    ("gain", Cause.MISSING, "bm25.r_at_5: not among", without("measurements", "bm25.r_at_5")),
    ("gain", Cause.NO_VALUE, "bm25.r_at_5", changed("bm25.r_at_5", value=None)),
    ("gain", Cause.UNIT, "one is in ratio, the other in percent", changed("bm25.r_at_5", unit="percent")),
    (
        "gain",
        Cause.SPLIT_DIFFERS,
        "aaaaaaaaaaaa is not known to be ffffffffffff",
        changed("bm25.r_at_5", split_sha256="f" * 64),
    ),
    ("gain", Cause.SPLIT_DIFFERS, "unknown", changed("bm25.r_at_5", split_sha256=None)),
    ("gain", Cause.SPLIT_DIFFERS, "unknown is not known to be unknown", unknown("split_sha256")),
    ("gain", Cause.EVALUATOR_DIFFERS, "unknown is not known to be unknown", unknown("evaluator_sha256")),
    ("gain", Cause.EVALUATOR_DIFFERS, "bbbbbbbbbbbb", changed("bm25.r_at_5", evaluator_sha256="f" * 64)),
    ("gain", Cause.EVALUATOR_DIFFERS, "unknown", changed("r_at_5", evaluator_sha256=None)),
    ("gain", Cause.ITEMS_DIFFER, "not the same items", itemised("bm25.r_at_5", lambda ids: ["other", *ids[1:]])),
    ("gain", Cause.NOT_COMPARABLE, "without per-item scores", changed("bm25.r_at_5", scores=None)),
    (
        "gain",
        Cause.NOT_COMPARABLE,
        "the same scores",
        lambda w: w.change("bm25.r_at_5", scores=w.measurements["r_at_5"].scores),
    ),
    (
        "gain",
        Cause.NOT_COMPARABLE,
        "a ratio with per-item scores",
        lambda w: (
            w.measurements.update({"r_at_5": w.measurements["speed"].model_copy(update=SAME_PLACE)})
            or w.scores.update({"r_at_5": w.scores["speed"]})
            or w.items.update({"r_at_5": w.items["speed"]})
        ),
    ),
    ("pinned", Cause.BASELINE_CHANGED, "the gate is pinned to 000000000000", lambda w: None),
    ("speed", Cause.DENOMINATOR, "400 denominators add up to 0", columns("speed", lambda y, x: (y, 0 * x))),
    ("speed", Cause.DENOMINATOR, "a denominator is -1, under 0", columns("speed", lambda y, x: (y, np.r_[-1, x[1:]]))),
    ("speed", Cause.SCORES_DISAGREE, "its 400 scores give", columns("speed", lambda y, x: (x, y))),
    ("speed", Cause.SCORES_INVALID, "not two numbers per item", scored("speed", lambda s: s[:, 0])),
    ("speed", Cause.SCORES_INVALID, "scores are not finite", columns("speed", lambda y, x: (y, with_nan(x)))),
    ("recall", Cause.SCORES_INVALID, "not one number per item", scored("r_at_5", lambda s: np.stack([s, s], axis=1))),
    ("calibrated", Cause.OUT_OF_RANGE, "confidences", columns("ece", lambda y, c: (y, c + 0.2))),
    ("calibrated", Cause.OUT_OF_RANGE, "being correct is 0 and 1", columns("ece", lambda y, c: (y / 2, c))),
    ("calibrated", Cause.OUT_OF_RANGE, "1.2 lies outside 0 .. 1", changed("ece", value=1.2)),
    ("calibrated", Cause.SCORES_DISAGREE, "its 2000 scores give", changed("ece", bins=Bins(count=3))),
    ("calibrated", Cause.SCORES_DISAGREE, "its 2000 scores give", columns("ece", lambda y, c: (1 - y, c))),
    ("finite", Cause.MISSING, "no_nan_inf", without("measurements", "no_nan_inf")),
    ("finite", Cause.NO_VALUE, "no_nan_inf", changed("no_nan_inf", value=None)),
    ("finite", Cause.TOO_FEW, "n=0", changed("no_nan_inf", n=0)),
    ("finite", Cause.NOT_A_CHECK, "0.5 bool", changed("no_nan_inf", value=0.5)),
    ("finite", Cause.NOT_A_CHECK, "1 ratio", changed("no_nan_inf", unit="ratio")),
    ("finite", Cause.OUT_OF_RANGE, "2 lies outside", changed("no_nan_inf", value=2.0)),
]


@pytest.mark.parametrize(
    ("gate", "cause", "words", "break_it"), BROKEN, ids=[f"{g}-{c}-{i}" for i, (g, c, _, _) in enumerate(BROKEN)]
)
def test_blocked_by_name(gate, cause, words, break_it):
    world = healthy()
    break_it(world)
    row = world.judge(**{gate: (GATES | PINNED)[gate]})[0]
    assert (row.verdict, row.cause) == (Verdict.BLOCKED, cause)
    assert words in row.reason
    assert row.observed is None


def test_every_cause_is_tested():
    elsewhere = {Cause.FAMILY, Cause.NOT_EXPORTED}  # test_judge_families, test_judge_export
    assert {cause for _, cause, _, _ in BROKEN} == set(Cause) - elsewhere


def test_without_an_interval_a_comparison_is_checked_all_the_same():
    """`confidence: null` drops the interval and none of the checks."""
    world = healthy()
    assert world.judge(over(confidence=None))[0].verdict is Verdict.PASS
    world.change("bm25.r_at_5", split_sha256=None)
    assert world.judge(over(confidence=None))[0].cause is Cause.SPLIT_DIFFERS


def test_a_plain_value_has_no_interval_unless_the_gate_says_so():
    world = World().plain("loss", 0.2, unit="nats")
    gate = ThresholdGate(kind="threshold", metric="loss", direction="at_most", target=0.5, unit="nats")
    row = world.judge(gate)[0]
    assert row.cause is Cause.NO_INTERVAL
    assert row.reason.endswith("measure them, or compare plainly with confidence: null")


@pytest.mark.parametrize(("n_min", "verdict"), [(1000, Verdict.PASS), (1001, Verdict.BLOCKED)])
def test_n_min_is_a_floor(n_min, verdict):
    row = healthy().judge(at_least(0.5, n_min=n_min), over(n_min=n_min))
    assert [r.verdict for r in row] == [verdict, verdict]


def test_n_min_blocks_even_what_would_fail():
    row = World().add("r_at_5", hits(0, 50)).judge(at_least(0.5, n_min=51))[0]
    assert row.cause is Cause.TOO_FEW
    assert row.reason == "r_at_5: n=50 is under the n_min of 51"


class TestFourStates:
    def test_pass_says_its_numbers(self):
        row = World().add("r_at_5", hits(642, 1000)).judge(at_least(0.5))[0]
        assert row.reason == "r_at_5 0.642 (95 % bound 0.617) >= 0.500, n=1000"
        assert (row.observed, row.target, row.comparison, row.n) == (0.642, 0.5, ">=", 1000)
        assert (row.bound, row.other_bound) == (pytest.approx(0.6167, abs=1e-4), pytest.approx(0.6665, abs=1e-4))

    def test_fail_says_its_numbers(self):
        row = World().add("r_at_5", hits(300, 1000)).judge(at_least(0.5))[0]
        assert row.verdict is Verdict.FAIL
        assert row.reason == "r_at_5 0.300 (95 % bound 0.324) < 0.500, n=1000"

    def test_inconclusive_says_what_would_decide(self):
        """A true 0.48 model at 200 queries passes a point check 31 % of the time; here it is told to measure more."""
        row = World().add("r_at_5", hits(104, 200)).judge(at_least(0.5))[0]
        assert row.verdict is Verdict.INCONCLUSIVE
        assert row.reason == (
            "r_at_5 0.520 between: lower 0.462, upper 0.577 straddle 0.500, n=200; "
            "this many can tell a distance of 0.087, about n=3900 would decide"
        )
        assert row.n_needed == 3900

    def test_at_most_is_the_mirror_image(self):
        scores = np.random.default_rng(0).gamma(4.0, 1.0, 1500)
        world = World().add("latency_p95", scores, estimator="quantile", quantile=0.95, unit="ms")
        verdicts = [
            world.judge(
                ThresholdGate(kind="threshold", metric="latency_p95", direction="at_most", target=t, unit="ms")
            )[0]
            for t in (10.0, 7.7, 5.0)
        ]
        assert [row.verdict for row in verdicts] == [Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.FAIL]
        assert " <= 10.000, n=1500" in verdicts[0].reason
        assert " > 5.000, n=1500" in verdicts[2].reason
        assert verdicts[1].n_needed > 1500

    def test_exactly_on_target_passes_plainly(self):
        world = World().plain("lift", 0.5, unit="ratio")
        assert (
            world.judge(at_least(0.5, "lift", confidence=None))[0].reason
            == "lift 0.500 >= 0.500 (plain comparison), n=1"
        )

    def test_baseline_is_judged_on_pairs(self):
        """Unpaired, these two would not differ; item by item one is never worse and often better."""
        random = np.random.default_rng(1)
        hard = random.normal(0.0, 5.0, 200)
        world = World().add("r_at_5", hard + random.normal(0.3, 0.1, 200), estimator="mean")
        row = world.add("bm25.r_at_5", hard, estimator="mean").judge(over())[0]
        assert row.verdict is Verdict.PASS
        assert row.reason.startswith("r_at_5 - bm25.r_at_5 0.29")
        assert row.target == 0.0

    def test_a_check_says_yes_or_no(self):
        world = World().plain("a", 1.0, n=96).plain("b", 0.0, reason="step 12 is NaN")
        assert [row.reason for row in world.judge(yes("a"), yes("b"))] == [
            "a is yes, n=96",
            "b is no, n=1: step 12 is NaN",
        ]
        assert [row.verdict for row in world.judge(yes("a"), yes("b"))] == [Verdict.PASS, Verdict.FAIL]

    def test_numbers_that_differ_never_read_the_same(self):
        world = World().plain("lift", 0.49996, unit="ratio")
        assert world.judge(at_least(0.5, "lift", confidence=None))[0].reason.startswith("lift 0.49996 < 0.50000")


class TestFailOpenElsewhere:
    """What other systems let through (Kayenta, Argo, TFX, Flagger)."""

    def test_identical_data_proves_no_gain(self):
        same = hits(500, 1000)
        row = World().add("r_at_5", same).add("bm25.r_at_5", same).judge(over())[0]
        assert row.verdict is Verdict.INCONCLUSIVE

    def test_single_valued_scores_prove_nothing_in_an_unknown_range(self):
        world = World().add("r_at_5", np.full(500, 0.9), estimator="mean")
        assert world.judge(at_least(0.5))[0].verdict is Verdict.INCONCLUSIVE

    def test_one_item_proves_nothing(self):
        assert World().add("r_at_5", [1.0]).judge(at_least(0.5))[0].verdict is Verdict.INCONCLUSIVE

    def test_no_gates_and_advisory_gates_alone_are_blocked(self):
        assert fold(healthy().judge()) is Verdict.BLOCKED
        assert fold(healthy().judge(at_least(0.5, severity="advise"))) is Verdict.BLOCKED

    def test_no_measurements_at_all(self):
        rows = World().judge(**GATES)
        assert {row.verdict for row in rows} == {Verdict.BLOCKED}


class TestFold:
    @pytest.mark.parametrize("severity", ["block", "halt"])
    def test_one_bad_blocking_row_decides(self, severity):
        rows = healthy().judge(at_least(0.5), at_least(0.9, severity=severity))
        assert fold(rows) is Verdict.FAIL

    @pytest.mark.parametrize("target", [0.1, 0.7, 0.99])
    def test_advice_never_changes_the_verdict(self, target):
        world = healthy()
        advice = at_least(target, severity="advise")
        missing = at_least(target, "nowhere", severity="advise")
        for own in (at_least(0.5), at_least(0.7), at_least(0.9), at_least(0.5, "nowhere")):
            assert fold(world.judge(own, advice, missing)) is fold(world.judge(own))


verdict_order = {Verdict.FAIL: 0, Verdict.INCONCLUSIVE: 1, Verdict.PASS: 2}


class TestProperties:
    @settings(max_examples=8, deadline=None)
    @given(order=st.permutations(sorted(GATES)), shuffle=st.integers(0, 2**32))
    def test_neither_the_order_of_gates_nor_of_items_matters(self, order, shuffle):
        world, expected = healthy(), healthy().judge(**GATES)
        for index, name in enumerate(sorted(world.scores)):
            by = np.random.default_rng([shuffle, index]).permutation(len(world.scores[name]))
            world.scores[name] = world.scores[name][by]
            world.items[name] = [world.items[name][i] for i in by]
        world.measurements = dict(sorted(world.measurements.items(), reverse=True))
        assert world.judge(**{name: GATES[name] for name in order}) == expected

    def test_other_gates_change_nothing(self):
        world = healthy()
        alone = world.judge(echo=GATES["echo"], gain=GATES["gain"])
        assert [row for row in world.judge(**GATES) if row.gate in ("echo", "gain")] == list(alone)

    def test_one_measurement_has_one_interval(self):
        low, high = healthy().judge(*(at_least(t, "echo_loop", unit="cosine") for t in (0.2, 0.82)))
        assert (low.bound, low.other_bound) == (high.bound, high.other_bound)

    @settings(max_examples=60, deadline=None)
    @given(
        scores=st.lists(st.floats(0.0, 1.0), min_size=1, max_size=60),
        targets=st.tuples(st.floats(-2, 2), st.floats(-2, 2)),
        direction=st.sampled_from(["at_least", "at_most"]),
        confidence=st.sampled_from([None, 0.8, 0.95]),
        kind=st.sampled_from(["rate", "mean", "quantile"]),
    )
    def test_a_harder_target_never_helps(self, scores, targets, direction, confidence, kind):
        values = np.round(scores) if kind == "rate" else np.array(scores)
        world = World().add("m", values, estimator=kind, **({"quantile": 0.9} if kind == "quantile" else {}))
        low, high = (
            verdict_order[
                world.judge(
                    ThresholdGate(
                        kind="threshold", metric="m", direction=direction, target=target, confidence=confidence
                    )
                )[0].verdict
            ]
            for target in sorted(targets)
        )
        assert low >= high if direction == "at_least" else low <= high

    @settings(max_examples=60, deadline=None)
    @given(
        gains=st.lists(st.sampled_from([-1.0, 0.0, 1.0]), min_size=2, max_size=80),
        margins=st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    )
    def test_a_larger_margin_never_helps(self, gains, margins):
        base = np.array([0.0 if gain > 0 else 1.0 for gain in gains])
        world = World().add("r_at_5", base + np.clip(gains, -base, 1 - base)).add("bm25.r_at_5", base)
        low, high = (verdict_order[world.judge(over(margin))[0].verdict] for margin in sorted(margins))
        assert low >= high

    @settings(max_examples=80, deadline=None)
    @given(
        value=st.none() | st.floats(),
        n=st.integers(0, 50),
        unit=st.sampled_from(["ratio", "bool", "ms", "cosine"]),
        estimator=st.sampled_from(["rate", "mean", "quantile", "value"]),
        scores=st.lists(st.floats(), max_size=50) | st.none(),
        ids=st.lists(st.integers(0, 60), max_size=50),
    )
    def test_nothing_in_the_data_raises_or_passes_unfounded(self, value, n, unit, estimator, scores, ids):
        quantile = 0.5 if estimator == "quantile" else None
        world = (
            World()
            .plain("m", 0.0)
            .change(
                "m",
                value=value,
                n=n,
                unit=unit,
                estimator=estimator,
                quantile=quantile,
                scores=None if scores is None else ScoresRef(file="f", column="m", sha256=FILE),
            )
        )
        if scores is not None:
            world.scores["m"], world.items["m"] = scores, ids
        for row in world.judge(at_least(0.0, "m"), over(metric="m", baseline="m"), yes("m")):
            if row.verdict is Verdict.PASS:
                assert row.observed is not None
                assert n > 0
                assert row.method == "plain" or (scores is not None and len(scores) == len(set(ids)) == n)


def test_the_seed_belongs_to_the_run():
    assert seed_of("run-1") == seed_of("run-1") != seed_of("run-2")
    assert healthy().judge(**GATES, seed=1) == healthy().judge(**GATES, seed=1)
    assert healthy().judge(**GATES, seed=1) != healthy().judge(**GATES, seed=2)
