"""Right, sure, and what that adds up to; temperatures; the fitted rivals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.gates.calibration import gaps
from interlock.lanes.directional_adapter import baselines
from interlock.lanes.directional_adapter.answers import BINS, Answers, reliability_rows
from interlock.lanes.directional_adapter.calibration import TEMPERATURE_MAX, fit_temperature
from interlock.lanes.directional_adapter.examples import Pairs, pairs_of
from interlock.lanes.passages.documents import Document

SCORES = st.lists(st.floats(-5, 5).filter(lambda score: abs(score) > 1e-9), min_size=1, max_size=50)


def answers(*forward, backward=None):
    scores = np.array(forward, dtype=np.float64)
    return Answers(scores, -scores if backward is None else np.array(backward, dtype=np.float64))


@given(SCORES)
def test_of_consistent_answers_f1_is_the_accuracy(scores):
    given_answers = answers(*scores)
    hits, total = given_answers.f1_parts
    assert set(given_answers.correct().tolist()) <= {0.0, 1.0}
    assert hits.sum() / total.sum() == pytest.approx(given_answers.correct().mean())


def test_whoever_always_says_forward_is_half_right_and_has_an_f1_of_two_thirds():
    always = answers(1.0, 1.0, 1.0, backward=(1.0, 1.0, 1.0))
    hits, total = always.f1_parts
    assert always.correct().tolist() == [0.5, 0.5, 0.5]
    assert hits.sum() / total.sum() == pytest.approx(2 / 3)


def test_doubt_goes_against_the_adapter_and_half_in_favour_of_a_baseline():
    assert answers(0.0).correct().tolist() == [0.0]
    assert answers(0.0).correct(undecided=0.5).tolist() == [0.5]


@given(SCORES, st.floats(0.1, 10))
def test_confidence_is_that_of_the_given_answer(scores, temperature):
    confidence = answers(*scores).confidence(temperature)
    assert ((confidence >= 0.5) & (confidence <= 1)).all()
    assert confidence == pytest.approx(answers(*[-score for score in scores]).confidence(temperature))


def test_the_diagram_shows_the_bins_of_the_measured_error():
    rng = np.random.default_rng(0)
    confidence = rng.uniform(0.5, 1.0, 400)
    correct = (rng.uniform(size=400) < confidence).astype(np.float64)
    rows = reliability_rows(correct, confidence)
    error = sum(abs(accuracy - stated) * count for stated, accuracy, count in rows) / 400
    assert sum(count for *_, count in rows) == 400
    assert error == pytest.approx(gaps(correct, confidence, BINS).plain)


def test_the_temperature_undoes_what_made_the_scores_too_sure():
    rng = np.random.default_rng(1)
    honest = rng.normal(size=20_000) * 2
    forward = np.where(rng.uniform(size=honest.size) < 1 / (1 + np.exp(-honest)), honest, -honest)
    assert fit_temperature(forward * 3.0) == pytest.approx(3.0, rel=0.05)


def test_scores_of_no_worth_become_as_unsure_as_can_be():
    scores = np.concatenate([np.ones(50), -np.ones(60)])
    assert fit_temperature(scores) == pytest.approx(TEMPERATURE_MAX, rel=0.01)


# --- pairs and rivals -------------------------------------------------------------------------------------------------


def test_pairs_are_all_consecutive_passages_named_by_their_place():
    document = Document(identifier="d@3", group="g", first=3, passages=("a", "b", "c"))
    found = pairs_of([document])
    assert (found.ids, found.first, found.second) == (["d@3#3", "d@3#4"], ["a", "b"], ["b", "c"])
    assert found.reversed().reversed() == found


def test_the_digest_of_pairs_knows_their_order_but_not_that_of_the_list():
    pairs = Pairs(["1", "2"], ["a", "b"], ["c", "d"])
    assert pairs.sha256 == Pairs(["2", "1"], ["b", "a"], ["d", "c"]).sha256
    assert pairs.sha256 != pairs.reversed().sha256


def test_a_limit_is_chosen_by_the_seed():
    pairs = Pairs([f"{n:03}" for n in range(300)], ["a"] * 300, ["b"] * 300)
    assert len(pairs.limited(100, seed=1)) == 100
    assert pairs.limited(100, seed=1) == pairs.limited(100, seed=1) != pairs.limited(100, seed=2)
    assert pairs.limited(None, seed=1) is pairs


@pytest.fixture(scope="module")
def easy():
    """The second passage is longer, and begins with `then`."""
    ids = [str(n) for n in range(60)]
    return Pairs(ids, [f"first word{n}" for n in range(60)], [f"then comes word{n} and more" for n in range(60)])


def test_rivals_learn_what_they_can_see_and_change_their_sign_with_the_order(easy):
    for scorer in (baselines.length(easy), baselines.bag(easy, easy)):
        assert (scorer(easy) > 0).all()
        assert scorer(easy.reversed()) == pytest.approx(-scorer(easy))


def test_the_majority_says_the_same_both_ways(easy):
    scorer = baselines.majority()
    assert Answers(scorer(easy), scorer(easy.reversed())).correct(undecided=0.5).tolist() == [0.5] * 60
