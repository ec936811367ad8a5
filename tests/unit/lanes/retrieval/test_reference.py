import json
from pathlib import Path

import numpy as np
import pytest

from interlock.errors import DataError
from interlock.lanes.retrieval.reference import VOCABULARY_FILE, WEIGHTS_FILE, LsaReference, _sign_fixed

SUBJECTS = ["read csv files", "sort table rows", "plot line charts", "train deep networks", "open network sockets"]
TRAIN = [f"{a} and {b} number {i}" for i in range(8) for a in SUBJECTS for b in SUBJECTS if a != b]


@pytest.fixture(scope="module")
def reference() -> LsaReference:
    return LsaReference.fit(TRAIN, dimensions=6, seed=3)


def test_too_little_text_is_refused() -> None:
    with pytest.raises(DataError, match="too little training text"):
        LsaReference.fit(["csv file", "csv file"], dimensions=2, seed=0)


def test_vectors_have_length_one_and_mean_near_zero(reference: LsaReference) -> None:
    vectors_ND = reference.encode(TRAIN)
    assert vectors_ND.dtype == np.float32
    assert vectors_ND.shape == (len(TRAIN), 6)
    np.testing.assert_allclose(np.linalg.norm(vectors_ND, axis=1), 1.0, rtol=1e-5)
    assert np.abs(vectors_ND.mean(axis=0)).max() < 0.05


def test_text_without_known_words_is_zero_and_others_do_not_matter(reference: LsaReference) -> None:
    vectors_ND = reference.encode(["", "read csv", "unheard wörds"])
    assert not vectors_ND[[0, 2]].any()
    assert np.array_equal(vectors_ND[1], reference.encode(["read csv"])[0])


def test_fit_is_reproducible_and_sees_only_its_texts(reference: LsaReference) -> None:
    again = LsaReference.fit(list(TRAIN), dimensions=6, seed=3)
    assert again.digest == reference.digest
    assert LsaReference.fit(TRAIN[:-1], dimensions=6, seed=3).digest != reference.digest
    assert "unheard" not in reference.words


def test_signs_are_fixed(reference: LsaReference) -> None:
    fitted = reference.components.astype(np.float64)
    assert np.array_equal(_sign_fixed(-fitted), fitted)
    assert _sign_fixed(np.array([[-0.5, 0.1, 0.5 + 1e-12]])).tolist() == [[0.5, -0.1, -0.5 - 1e-12]]


def test_agrees_with_the_definition(reference: LsaReference) -> None:
    """The same by hand: (1 + ln tf) * idf, unit row, projected, unit, minus mean, unit."""
    counts = {"read": 2, "csv": 1}
    weights = np.zeros(len(reference.words))
    for word, count in counts.items():
        frequency = sum(word in text.split() for text in TRAIN)
        idf = np.log((1 + len(TRAIN)) / (1 + frequency)) + 1
        weights[reference.words.index(word)] = (1 + np.log(count)) * idf
    projected = reference.components @ (weights / np.linalg.norm(weights))
    centred = projected / np.linalg.norm(projected) - reference.mean
    expected = centred / np.linalg.norm(centred)
    np.testing.assert_allclose(reference.encode(["read csv read"])[0], expected, atol=1e-6)


def test_saved_and_loaded(reference: LsaReference, tmp_path: Path) -> None:
    reference.save(tmp_path / "a")
    reference.save(tmp_path / "b")
    for name in (WEIGHTS_FILE, VOCABULARY_FILE):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    loaded = LsaReference.load(tmp_path / "a")
    assert loaded.digest == reference.digest
    assert np.array_equal(loaded.encode(TRAIN[:9]), reference.encode(TRAIN[:9]))


def test_damage_is_refused(reference: LsaReference, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        LsaReference.load(tmp_path)
    reference.save(tmp_path)
    data = bytearray((tmp_path / WEIGHTS_FILE).read_bytes())
    data[-1] ^= 1
    (tmp_path / WEIGHTS_FILE).write_bytes(bytes(data))
    with pytest.raises(DataError, match="differs from its digest"):
        LsaReference.load(tmp_path)
    reference.save(tmp_path)
    text = json.loads((tmp_path / VOCABULARY_FILE).read_text())
    (tmp_path / VOCABULARY_FILE).write_text(json.dumps({**text, "words": text["words"][::-1]}))
    with pytest.raises(DataError, match="differs from its digest"):
        LsaReference.load(tmp_path)
    (tmp_path / WEIGHTS_FILE).write_bytes(b"\x80\x04pickle")
    with pytest.raises(DataError, match="cannot read"):
        LsaReference.load(tmp_path)
