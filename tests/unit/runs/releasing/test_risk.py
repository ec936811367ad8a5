"""The composite risk: its bounds, its weights, and what is unknown."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.contracts.release import RiskWeights
from interlock.contracts.verdict import Verdict
from interlock.runs.releasing.risk import Part, composite, dependency_score, latency_score, level

NAMES = ("schema_drift", "dependencies", "latency", "output")
WEIGHTS = RiskWeights()


def parts(*scores):
    return [Part(name=name, score=score, why="so") for name, score in zip(NAMES, scores, strict=True)]


SCORE = st.one_of(st.none(), st.floats(0.0, 1.0))


@given(st.lists(SCORE, min_size=4, max_size=4), st.integers(0, 3))
def test_risk_is_a_share_and_knowing_less_never_lowers_it(scores, index):
    risk = composite(parts(*scores), WEIGHTS)
    assert 0.0 <= risk <= 1.0
    known = composite(parts(*scores), WEIGHTS, unknown=0.0)
    assert known <= risk
    without = [*scores[:index], None, *scores[index + 1 :]]
    assert composite(parts(*without), WEIGHTS) >= risk


@pytest.mark.parametrize(
    ("scores", "risk"),
    [((0, 0, 0, 0), 0.0), ((1, 0, 0, 0), 0.4), ((0, 1, 0, 0), 0.3), ((0, 0, 1, 0), 0.2), ((0, 0, 0, 1), 0.1),
     ((1, 1, 1, 1), 1.0), ((0.5, 0.25, None, 0.5), 0.525)],
)  # fmt: skip
def test_the_weights_are_those_of_the_table(scores, risk):
    assert composite(parts(*scores), WEIGHTS) == risk


@pytest.mark.parametrize("wrong", [parts(0, 0, 0, 0)[:3], [*parts(0, 0, 0, 0)[:3], parts(0, 0, 0, 0)[0]]])
def test_every_weight_needs_its_part_once(wrong):
    with pytest.raises(ValueError, match="the weights are of"):
        composite(wrong, WEIGHTS)


@pytest.mark.parametrize("score", [-0.1, 1.1, float("nan")])
def test_a_score_outside_is_refused(score):
    with pytest.raises(ValueError, match=r"outside 0\.\.1"):
        composite(parts(score, 0, 0, 0), WEIGHTS)


@pytest.mark.parametrize(
    ("risk", "measured", "found"),
    [
        (0.0, 0.0, ("Low", Verdict.PASS)),
        (0.299, 0.299, ("Low", Verdict.PASS)),
        (0.3, 0.3, ("Medium", Verdict.INCONCLUSIVE)),
        (0.599, 0.0, ("Medium", Verdict.INCONCLUSIVE)),
        (0.6, 0.6, ("High", Verdict.FAIL)),
        (0.6, 0.599, ("High", Verdict.INCONCLUSIVE)),  # what nobody measured is no proof of a fault
    ],
)
def test_the_edges_of_the_levels(risk, measured, found):
    assert level(risk, measured=measured, medium_from=0.3, high_from=0.6) == found


def test_dependencies():
    versions = {"python": ("3.11", "3.11"), "torch": ("2.1", "2.2"), "numpy": ("2", "2"), "faiss": ("1", "2")}
    assert dependency_score(same_lock=True, versions=versions) == 0.0
    assert dependency_score(same_lock=False, versions=versions) == 0.5
    assert dependency_score(same_lock=False, versions={"python": ("3", "3")}) == 0.25
    assert dependency_score(same_lock=False, versions={}) == 1.0


@pytest.mark.parametrize(
    ("drift", "limit", "score"), [(-3.0, 5.0, 0.0), (1.0, 5.0, 0.2), (9.0, 5.0, 1.0), (0.1, 0.0, 1.0)]
)
def test_latency(drift, limit, score):
    assert latency_score(drift, drift_ms_max=limit) == score


def test_weights_that_do_not_add_up_are_refused():
    with pytest.raises(ValueError, match=r"add up to 1\.1"):
        RiskWeights(schema_drift=0.5)
