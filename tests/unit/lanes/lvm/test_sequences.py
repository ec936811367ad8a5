import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.errors import DataError
from interlock.lanes.lvm.sequences import Pieces


def documents_of(lengths):
    """Numbered passages: the vector of passage i of all is (i + 1, 0)."""
    rows = np.zeros((sum(lengths), 2), np.float32)
    rows[:, 0] = np.arange(1, len(rows) + 1)
    return np.split(rows, np.cumsum(lengths)[:-1])


def asked(part):
    """(read, target) numbers of every asked prediction."""
    known = part.known_BT.numpy() > 0
    return list(
        zip(part.vectors_BTD[..., 0].numpy()[known].tolist(), part.targets_BTD[..., 0].numpy()[known], strict=True)
    )


@given(st.lists(st.integers(2, 40), min_size=2, max_size=6), st.integers(2, 12))
def test_every_step_of_every_document_is_asked_once(lengths, window):
    documents = documents_of(lengths)
    pieces = Pieces.of(documents, window=window)
    assert max(len(piece) for piece in pieces.pieces) <= window + 1
    expected = [(document[i, 0], document[i + 1, 0]) for document in documents for i in range(len(document) - 1)]
    assert sorted(asked(pieces.__getitems__(range(len(pieces))))) == sorted(expected)


def test_padding_is_neither_read_nor_asked():
    part = Pieces.of(documents_of([2, 4]), window=8).__getitems__([0, 1])
    assert part.known_BT.tolist() == [[1, 0, 0], [1, 1, 1]]
    assert part.vectors_BTD[0, 1:].abs().sum() == 0


def test_a_target_without_direction_is_not_asked():
    documents = documents_of([3, 3])
    documents[0][1] = 0.0
    part = Pieces.of(documents, window=8).__getitems__([0, 1])
    assert part.known_BT.tolist() == [[0, 1], [1, 1]]


def test_too_little_is_refused():
    with pytest.raises(DataError, match="too few documents of two or more passages"):
        Pieces.of(documents_of([3]), window=8)
