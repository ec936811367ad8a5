import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.errors import DataError
from interlock.lanes.retrieval.echo import derangement, echo_scores, lift

EYE = np.eye(4, dtype=np.float32)


@pytest.mark.parametrize(
    ("decoded", "reference", "message"),
    [
        (EYE, EYE[:3], "one shape"),
        (EYE[:1], EYE[:1], "at least two rows"),
        (EYE * np.float32(np.nan), EYE, "NaN or infinity"),
    ],
)
def test_unusable_vectors_are_refused(decoded: np.ndarray, reference: np.ndarray, message: str) -> None:
    with pytest.raises(DataError, match=message):
        echo_scores(decoded, reference, seed=0)


def test_perfect_echo() -> None:
    scores = echo_scores(3 * EYE, EYE, seed=0)
    assert scores.cosine.tolist() == scores.hit.tolist() == [1.0] * 4
    assert scores.chance.tolist() == [0.0] * 4
    assert scores.lift == 1.0


def test_predicting_the_mean_scores_high_but_lifts_nothing() -> None:
    """The trick that the lift is there for: one vector near all references."""
    references = EYE + np.float32(5)
    scores = echo_scores(np.ones((4, 4), np.float32), references, seed=0)
    assert scores.cosine.mean() > 0.98
    assert abs(scores.lift) < 1e-9
    assert scores.hit.tolist() == [0.0] * 4


def test_collapsed_reference_has_no_lift() -> None:
    scores = echo_scores(np.ones((4, 4), np.float32), np.ones((4, 4), np.float32), seed=0)
    assert scores.hit.tolist() == [0.0] * 4  # all equal: strictly nearer is nobody
    with pytest.raises(DataError, match="no lift is defined"):
        _ = scores.lift


def test_zero_vectors_score_zero_and_never_hit() -> None:
    decoded, reference = EYE.copy(), EYE.copy()
    decoded[0], reference[1] = 0, 0
    scores = echo_scores(decoded, reference, seed=0)
    assert scores.cosine.tolist() == scores.hit.tolist() == [0.0, 0.0, 1.0, 1.0]
    assert scores.num_zero == 2


def test_opposite_vectors_never_hit_even_beside_worse_ones() -> None:
    assert echo_scores(-EYE[:2], EYE[:2], seed=0).hit.tolist() == [0.0, 0.0]


def test_lift_by_hand() -> None:
    assert lift(0.85, 0.25) == pytest.approx(0.8)


@given(st.integers(2, 200), st.integers(0, 10**6))
def test_derangement_moves_everything(n: int, seed: int) -> None:
    partner = derangement(n, seed)
    assert sorted(partner.tolist()) == list(range(n))
    assert not (partner == np.arange(n)).any()
    assert np.array_equal(partner, derangement(n, seed))


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    decoded = rng.standard_normal((50, 6)).astype(np.float32)
    reference = (decoded + rng.standard_normal((50, 6))).astype(np.float32)
    whole = echo_scores(decoded, reference, seed=0)
    monkeypatch.setattr("interlock.lanes.retrieval.echo.BLOCK", 7)
    assert np.array_equal(whole.hit, echo_scores(decoded, reference, seed=0).hit)
    nearest = (decoded / np.linalg.norm(decoded, axis=1, keepdims=True)) @ (
        reference / np.linalg.norm(reference, axis=1, keepdims=True)
    ).T
    assert whole.hit.tolist() == (nearest.argmax(axis=1) == np.arange(50)).astype(float).tolist()
