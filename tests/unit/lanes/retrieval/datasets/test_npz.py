"""Vector files: what is refused before and while reading, what is kept."""

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from interlock.errors import DataError
from interlock.lanes.retrieval.datasets.config import SPLITS

N, Q, D = 30, 20, 4


def arrays(**changes: Any) -> dict[str, Any]:
    """A good file, with changes; None takes an array out."""
    rng = np.random.default_rng(1)
    good = {
        "doc_ids": np.array([f"d{n}" for n in range(N)]),
        "doc_vectors": rng.normal(size=(N, D)).astype(np.float32),
        "query_ids": np.arange(Q),
        "query_vectors": rng.normal(size=(Q, D)),
        "qrels": np.array([(n, n) for n in range(Q)]),
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def save(tmp_path: Path, **changes: Any) -> Path:
    path = tmp_path / "vectors.npz"
    np.savez(path, **arrays(**changes))
    return path


def refusal(prepare: Any, path: Path, **fields: Any) -> str:
    with pytest.raises(DataError) as caught:
        prepare.npz(path, **fields)
    assert list(prepare.folder.iterdir()) == []
    return str(caught.value)


def with_value(name: str, index: Any, value: Any) -> dict[str, Any]:
    changed = arrays()[name].copy()
    changed[index] = value
    return {name: changed}


SPLIT = np.array(["train"] * 12 + ["validation"] * 3 + ["test"] * 5)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"doc_ids": np.array([f"d{n}" for n in range(N)], object)}, "doc_ids.npy: an object array (a pickle"),
        ({"qrels": None}, "missing array (1): qrels (P, 2); its arrays: doc_ids, doc_vectors, query_ids"),
        ({"query_vector": np.ones(3), "query_vectors": None}, "'query_vector', did you mean 'query_vectors'?"),
        ({"extra": np.ones(3)}, "unknown array (1): 'extra'"),
        ({"doc_vectors": np.ones((N, D), np.int32)}, "wrong type (1): doc_vectors is int32"),
        ({"doc_vectors": np.ones(N)}, "wrong shape (1): doc_vectors is (30,)"),
        ({"doc_ids": np.array([], str)}, "wrong shape (1): doc_ids is (0,)"),
        ({"doc_ids": np.array(["a", "b"])}, "doc_ids is (2,), doc_vectors is (30, 4)"),
        ({"query_vectors": np.ones((Q, D + 1))}, "query_vectors is (20, 5), doc_vectors is (30, 4)"),
        ({"qrels": np.zeros((5, 3), int)}, "wrong shape (1): qrels is (5, 3)"),
        ({"qrels": np.zeros((5, 2))}, "wrong type (1): qrels is float64"),
        ({"query_split": SPLIT[:-1]}, "query_split is (19,), query_ids is (20,)"),
        ({"query_split": np.where(SPLIT == "test", "eval", SPLIT)}, "unknown split (5): query_split row 15: 'eval'"),
        (with_value("doc_vectors", (slice(3, 8), 1), np.nan), "(5): doc_vectors row 3; doc_vectors row 4; doc"),
        (with_value("query_vectors", (2, 0), 1e300), "NaN or infinity (1): query_vectors row 2"),
        (with_value("doc_vectors", 7, 0.0), "zero vector, which has no direction (1): doc_vectors row 7"),
        (with_value("doc_ids", 9, "d4"), "duplicate id (1): doc_ids row 9: 'd4', first in row 4"),
        (with_value("doc_ids", 9, ""), "empty id (1): doc_ids row 9"),
        (with_value("qrels", (4, 1), N), "qrels name an unknown document (1): qrels row 4 is [4, 30], document rows"),
        (with_value("qrels", (4, 0), -1), "unknown query (1): qrels row 4 is [-1, 4], query rows go to"),
        ({"doc_ids": np.array(["\ud800"] * N)}, "doc_ids: not valid Unicode"),
    ],
)
def test_wrong_arrays_are_refused(prepare: Any, tmp_path: Path, changes: dict[str, Any], expected: str) -> None:
    path = save(tmp_path, **changes)
    message = refusal(prepare, path)
    assert message.startswith(f"{path}: ")
    assert expected in message
    assert "way out: " in message


def test_vectors_without_queries_are_refused_with_an_explanation(prepare: Any, tmp_path: Path) -> None:
    path = tmp_path / "wiki.npz"
    np.savez(path, ids=np.arange(3), vectors=np.ones((3, 2)))
    message = refusal(prepare, path)
    assert "vectors without queries: nothing can be learned from or tested on them" in message
    assert "its arrays: ids, vectors" in message
    assert "add query_ids (Q,), query_vectors (Q, D) and qrels (P, 2)" in message


def test_a_missing_file_and_a_file_that_is_no_zip_are_refused(prepare: Any, tmp_path: Path) -> None:
    assert "no such file or folder" in refusal(prepare, tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("not a zip")
    assert "not a readable npz file: File is not a zip file" in refusal(prepare, tmp_path / "text.npz")
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as file:
        file.writestr("doc_ids.npy", "hello")
    assert "doc_ids.npy: not an array" in refusal(prepare, tmp_path / "other.npz")


def test_declared_sizes_are_checked_before_reading(prepare: Any, tmp_path: Path) -> None:
    path = save(tmp_path)
    assert "the arrays unpack to " in refusal(prepare, path, max_bytes=100)

    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": (2**40, 2**40)})
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("doc_vectors.npy", header.getvalue())
    assert "shape (1099511627776, 1099511627776) of float32 is " in refusal(prepare, path)
    assert "the member holds 0" in refusal(prepare, path)


def test_damaged_data_are_refused(prepare: Any, tmp_path: Path) -> None:
    path = save(tmp_path)
    data = bytearray(path.read_bytes())
    at = bytes(data).index(arrays()["doc_vectors"].tobytes())
    data[at] ^= 1
    path.write_bytes(data)
    message = refusal(prepare, path)
    assert "doc_vectors" in message
    assert "the data are damaged: Bad CRC-32" in message


def test_rows_belong_together(prepare: Any, tmp_path: Path) -> None:
    given = arrays(query_split=SPLIT, qrels=np.array([(n, (n * 7) % N) for n in range(Q)]))
    data = prepare.npz(save(tmp_path, **given))
    assert data.has_vectors
    assert data.card.dimensions == D
    assert np.array_equal(data.document_vectors(), given["doc_vectors"])
    for split in SPLITS:
        queries, pairs = data.queries(split), data.positives(split)
        rows = np.flatnonzero(split == SPLIT)
        assert queries.ids == [str(row) for row in rows]
        assert np.array_equal(data.query_vectors(split), given["query_vectors"][rows].astype(np.float32))
        assert pairs.doc_row.tolist() == [(row * 7) % N for row in rows]
    data.verify()


@pytest.mark.parametrize("form", ["fortran", "compressed", "big-endian", "byte ids"])
def test_the_encoding_of_the_arrays_does_not_matter(prepare: Any, tmp_path: Path, form: str) -> None:
    plain = prepare.npz(save(tmp_path)).card.sha256
    given = arrays()
    match form:
        case "fortran":
            given["doc_vectors"] = np.asfortranarray(given["doc_vectors"])
        case "big-endian":
            given["doc_vectors"] = given["doc_vectors"].astype(">f4")
            given["qrels"] = given["qrels"].astype(">i4")
        case "byte ids":
            given["doc_ids"] = given["doc_ids"].astype("S")
    path = tmp_path / "other.npz"
    (np.savez_compressed if form == "compressed" else np.savez)(path, **given)
    assert prepare.npz(path).card.sha256 == plain


def test_large_arrays_come_in_blocks(prepare: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path, query_split=SPLIT, qrels=np.array([(n, n) for n in range(Q)] + [(0, 15)]))
    plain = prepare.npz(path).card.sha256
    monkeypatch.setattr("interlock.lanes.retrieval.datasets.npz_arrays.BLOCK_BYTES", 50)
    blocks = prepare.npz(path)
    assert blocks.card.sha256 == plain
    assert "0" not in blocks.queries("train").ids  # a left-out row shifts the later ones, over blocks too
    broken = save(tmp_path, **with_value("doc_vectors", 17, np.inf))
    assert "NaN or infinity (1): doc_vectors row 17" in refusal(prepare, broken)


def test_queries_that_share_an_answer_stay_together(prepare: Any, tmp_path: Path) -> None:
    """Query n and n + 10 have the same answer, or answers with equal vectors."""
    vectors = arrays()["doc_vectors"]
    vectors[15:20] = vectors[5:10]
    qrels = np.array([(n, n % 10 if n < 15 else n) for n in range(Q)])
    data = prepare.npz(save(tmp_path, doc_vectors=vectors, qrels=qrels), test_fraction=0.3, validation_fraction=0.2)
    parts = [{int(name) % 10 for name in data.queries(split).ids} for split in SPLITS]
    assert [len(part) for part in parts] == [5, 2, 3]
    assert len(set.union(*parts)) == 10


def test_what_crosses_into_a_later_split_is_left_out(prepare: Any, tmp_path: Path) -> None:
    qrels = np.array([(n, n) for n in range(Q - 1)] + [(0, 15), (1, 1)])
    data = prepare.npz(save(tmp_path, query_split=SPLIT, qrels=qrels))
    assert data.queries("train").ids == [str(n) for n in range(1, 12)]
    assert data.queries("test").ids == [str(n) for n in range(15, 19)]
    assert data.query_vectors("train").shape == (11, D)
    assert data.card.left_out == {
        "judgement repeated": 1,
        "query or answer in a later split": 1,
        "query without a judgement": 1,
    }
    assert data.card.split_check.correct
    data.verify()


@pytest.mark.parametrize("name", ["doc_vectors", "query_vectors", "doc_ids", "query_ids", "qrels"])
def test_the_digest_changes_with_any_value(prepare: Any, tmp_path: Path, name: str) -> None:
    before = prepare.npz(save(tmp_path)).card.sha256
    value = {"doc_ids": "other", "query_ids": 99, "qrels": (19, 25)}.get(name, 0.5)
    assert prepare.npz(save(tmp_path, **with_value(name, -1, value))).card.sha256 != before
