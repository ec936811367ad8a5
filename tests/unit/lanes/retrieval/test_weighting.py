import math

import numpy as np
import pytest

from interlock.errors import DataError
from interlock.lanes.retrieval.ragged import RaggedFeatures
from interlock.lanes.retrieval.text import HashedFeatures
from interlock.lanes.retrieval.weighting import Weighting, lengths_of


def counted() -> RaggedFeatures:
    """Two texts: counts 1, 3 of kinds word, bigram; and count 8 of kind char_ngram."""
    return RaggedFeatures(
        np.array([4, 7, 5], np.int32),
        np.array([1, 3, 8], np.float32),
        np.array([0, 2, 3], np.uint8),
        np.array([0, 2, 3]),
    )


@pytest.mark.parametrize(
    "parameters",
    [{"word": 0.0}, {"bigram": -1.0}, {"k1": 0.0}, {"count_max": math.nan}, {"b": 1.1}, {"mean_length": math.inf}],
)
def test_impossible_weightings_are_refused(parameters: dict[str, float]) -> None:
    with pytest.raises(DataError, match="impossible weighting"):
        Weighting(**parameters)


def test_defaults_change_nothing() -> None:
    assert Weighting().apply(counted()).weights.tolist() == [1, 3, 8]


def test_counts_are_capped_and_kinds_weighed() -> None:
    weighting = Weighting(count_max=2.0, bigram=0.5, char_ngram=0.25)
    assert weighting.apply(counted()).weights.tolist() == [1.0, 1.0, 0.5]


def test_saturation_is_that_of_bm25() -> None:
    weighted = Weighting(k1=2.0, b=0.9, mean_length=6.0, char_ngram=0.2).apply(counted())
    lengths = (4.0, 4.0, 8.0)
    expected = [c * 3.0 / (c + 2.0 * (0.1 + 0.9 * n / 6.0)) for c, n in zip((1.0, 3.0, 8.0), lengths, strict=True)]
    expected[2] *= 0.2
    np.testing.assert_allclose(weighted.weights, expected, rtol=1e-6)
    assert weighted.weights.dtype == np.float32


def test_lengths_are_sums_of_counts() -> None:
    assert lengths_of(counted()).tolist() == [4.0, 8.0]
    assert lengths_of(HashedFeatures().encode([])).tolist() == []


def test_a_text_weighs_the_same_alone_and_among_others() -> None:
    ragged = HashedFeatures().encode(["a short one", "a much longer text about csv files and csv readers " * 3])
    weighting = Weighting(k1=1.5, b=0.75, mean_length=9.0)
    alone = weighting.apply(ragged.rows([1])).weights
    assert weighting.apply(ragged).rows([1]).weights.tolist() == alone.tolist()


def test_parameters_survive() -> None:
    weighting = Weighting(k1=2.0, b=0.5, bigram=0.5)
    assert Weighting(**weighting.parameters()) == weighting
