"""Features of passages: the small words and the places at both ends count, and nothing depends on the process."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import interlock
from interlock.errors import DataError
from interlock.lanes.directional_adapter.features import EMPTY_BUCKET, PassageFeatures, words_of


def features(**changes):
    return PassageFeatures(**({"buckets": 4096, "bigrams": True, "edge_words": 2, "max_features": 1000} | changes))


def bag(text, **changes):
    found = features(**changes).encode([text])
    return dict(zip(found.ids.tolist(), found.weights.tolist(), strict=True))


def test_words_keep_small_words_and_punctuation():
    assert words_of("However, it's THE ﬁrst_one.") == ["however", ",", "it's", "the", "first", "_", "one", "."]


def test_the_same_words_in_another_order_are_another_passage():
    assert bag("this ends the text") != bag("the text ends this")
    assert bag("a b a b", bigrams=False, edge_words=0) == bag("b a b a", bigrams=False, edge_words=0)


def test_counts_weigh_less_and_less():
    weights = bag("a a a b", bigrams=False, edge_words=0).values()
    assert sorted(weights) == pytest.approx([1.0, 1.0, 1.0 + np.log(3.0)])


def test_a_passage_without_a_word_has_a_bucket_that_no_word_has():
    assert set(bag("")) == {EMPTY_BUCKET}
    assert EMPTY_BUCKET not in bag(" ".join(f"w{n}" for n in range(500)), buckets=64)


def test_the_earliest_features_are_kept():
    assert len(bag("a b c d e f", max_features=3, edge_words=0, bigrams=False)) == 3


@given(st.lists(st.text(max_size=30), min_size=1, max_size=5))
def test_a_passage_never_depends_on_its_neighbours(texts):
    together = features().encode(texts)
    for row, text in enumerate(texts):
        alone, among = features().encode([text]), together.rows([row])
        assert alone.ids.tolist() == among.ids.tolist()
        assert alone.weights.tolist() == among.weights.tolist()


def test_parameters_come_back_and_foreign_ones_are_refused():
    assert PassageFeatures.from_parameters(features().parameters()) == features()
    with pytest.raises(DataError, match="another recipe version"):
        PassageFeatures.from_parameters({**features().parameters(), "recipe": 2})
    with pytest.raises(DataError, match="unknown feature parameters"):
        PassageFeatures.from_parameters({**features().parameters(), "stems": True})


def test_counting_needs_no_torch():
    code = (
        "import sys\nimport interlock.lanes.directional_adapter.answering\n"
        "assert not {'torch', 'sklearn', 'scipy', 'pyarrow'} & set(sys.modules), sorted(sys.modules)"
    )
    source = str(Path(interlock.__file__).parents[1])
    subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": source}, check=True)
