import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from interlock.lanes.retrieval.ragged import RaggedFeatures, offsets_of, pad, pad_kinds

TEXTS = st.lists(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 3)), max_size=5), min_size=1, max_size=5)


def ragged(texts):
    flat = [feature for text in texts for feature in text]
    return RaggedFeatures(
        np.array([number for number, _ in flat], np.int32), np.array([number for number, _ in flat], np.float32),
        np.array([kind for _, kind in flat], np.uint8), offsets_of(np.array([len(text) for text in texts])),
    )  # fmt: skip


@given(TEXTS, st.integers(0, 3))
def test_one_kind_of_every_text(texts, kind):
    found = ragged(texts).of_kind(kind)
    expected = ragged([[feature for feature in text if feature[1] == kind] for text in texts])
    for name in ("ids", "weights", "kinds", "offsets"):
        assert getattr(found, name).tolist() == getattr(expected, name).tolist()


@given(TEXTS)
def test_kinds_stand_where_the_padded_form_has_its_features(texts):
    block = ragged(texts)
    ids, weights = pad(block)
    kinds = pad_kinds(block)
    assert kinds.shape == ids.shape
    assert kinds[weights > 0].tolist() == block.kinds.tolist()
    assert not kinds[weights == 0].any()
