"""Two runs are compared on the same items or not at all, and the difference is the second less the first."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.contracts.measurement import Measurement, ScoresRef
from interlock.contracts.verdict import Cause
from interlock.gates.sample import BlockedError
from interlock.runs.review.comparing import changes, flipped, flipped_from, paired_bounds
from interlock.stages.verdicts import Measured

A, B = "a" * 16, "b" * 16
SPLIT, EVALUATOR = "1" * 64, "2" * 64


def measured(run_id, columns, *, items=None, **say):
    """A run with a column of scores per metric; a number instead of scores is a single value."""
    measurements, scores, ids = {}, {}, {}
    for name, column in columns.items():
        common = {"name": name, "unit": "ratio", "evidence": "", "split_sha256": SPLIT, "evaluator_sha256": EVALUATOR}
        if not hasattr(column, "__len__"):
            measurements[name] = Measurement(value=float(column), n=1, estimator="value", **common)
            continue
        values = np.asarray(column, dtype=float)
        estimator = "rate" if set(values) <= {0.0, 1.0} else "mean"
        reference = ScoresRef(file="per_query.parquet", column=name, sha256="3" * 64)
        measurements[name] = Measurement(
            value=float(values.mean()), n=len(values), estimator=estimator, scores=reference, **common | say
        )
        scores[name], ids[name] = values, items or [f"q{index:04d}" for index in range(len(values))]
    return Measured(run_id=run_id, measurements=measurements, scores=scores, items=ids)


def rates(seed, n=400, share=0.6):
    return np.random.default_rng(seed).random(n) < share


def test_the_difference_is_b_less_a_and_swapping_turns_it():
    a, b = measured(A, {"r": rates(1)}), measured(B, {"r": rates(2, share=0.75)})
    forward, backward = (paired_bounds(*pair, "r", confidence=0.975) for pair in ((a, b), (b, a)))
    assert forward.estimate == pytest.approx(b.measurements["r"].value - a.measurements["r"].value)
    assert forward.lower > 0, "a clear gain"
    assert (backward.estimate, backward.lower) == pytest.approx((-forward.estimate, -forward.upper), abs=0.01)
    assert paired_bounds(a, b, "r", confidence=0.975) == forward, "no chance in it"


def test_pairing_is_narrower_than_two_intervals_of_their_own():
    hits = rates(1, n=1000)
    better = hits.copy()
    better[np.flatnonzero(~hits)[:20]] = True
    bounds = paired_bounds(measured(A, {"r": hits}), measured(B, {"r": better}), "r", confidence=0.975)
    assert bounds.lower > 0
    assert bounds.upper - bounds.lower < 0.02


def test_equal_scores_of_two_runs_are_no_proof_of_equality():
    bounds = paired_bounds(measured(A, {"r": rates(1)}), measured(B, {"r": rates(1)}), "r", confidence=0.975)
    assert bounds.estimate == 0
    assert bounds.lower < 0 < bounds.upper


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        ({"split_sha256": "9" * 64}, Cause.SPLIT_DIFFERS),
        ({"evaluator_sha256": "9" * 64}, Cause.EVALUATOR_DIFFERS),
        ({"unit": "cosine"}, Cause.UNIT),
        ({"items": [f"x{index}" for index in range(400)]}, Cause.ITEMS_DIFFER),
    ],
)
def test_what_was_not_measured_alike_has_no_bounds_and_says_why(change, cause):
    a, b = measured(A, {"r": rates(1)}), measured(B, {"r": rates(2)}, **change)
    with pytest.raises(BlockedError) as caught:
        paired_bounds(a, b, "r", confidence=0.975)
    assert caught.value.cause is cause
    (found,) = changes(a, b)
    assert found.difference is None
    assert found.why_unpaired
    assert found.before is not None
    assert found.after is not None


def test_single_values_and_metrics_of_one_run_are_shown_without_bounds():
    found = {item.metric: item for item in changes(measured(A, {"old": 1.0, "loss": 2.0}), measured(B, {"loss": 1.5}))}
    assert (found["loss"].before, found["loss"].after, found["loss"].difference) == (2.0, 1.5, None)
    assert "single values" in found["loss"].why_unpaired
    assert (found["old"].before, found["old"].after) == (1.0, None)
    with pytest.raises(BlockedError, match=f"old: not measured in run {B}"):
        paired_bounds(measured(A, {"old": 1.0}), measured(B, {"loss": 1.5}), "old", confidence=0.975)


def test_scores_that_do_not_give_the_stated_value_are_not_compared():
    a, b = measured(A, {"r": rates(1)}), measured(B, {"r": rates(2)})
    b.scores["r"][:100] = 1.0
    with pytest.raises(BlockedError, match="is stated"):
        paired_bounds(a, b, "r", confidence=0.975)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_flips_are_the_items_that_differ(pairs):
    a, b = (measured(run, {"r": [float(pair[side]) for pair in pairs]}) for side, run in enumerate((A, B)))
    found = flipped(a, b, "r")
    assert found.gained == tuple(f"q{index:04d}" for index, pair in enumerate(pairs) if pair == (False, True))
    assert found.lost == tuple(f"q{index:04d}" for index, pair in enumerate(pairs) if pair == (True, False))
    assert (len(found.gained) - len(found.lost)) / found.n == pytest.approx(
        b.measurements["r"].value - a.measurements["r"].value
    )


def test_a_mean_does_not_flip_and_a_baseline_of_the_same_run_can_be_flipped_from():
    a, b = measured(A, {"m": [0.1, 0.5]}), measured(B, {"m": [0.2, 0.5]})
    with pytest.raises(BlockedError, match="nothing can flip"):
        flipped(a, b, "m")
    own = measured(A, {"r": [1.0, 0.0, 1.0], "bm25.r": [0.0, 1.0, 1.0]})
    found = flipped_from(own, "r", "bm25.r")
    assert (found.gained, found.lost, found.n) == (("q0000",), ("q0001",), 3)
