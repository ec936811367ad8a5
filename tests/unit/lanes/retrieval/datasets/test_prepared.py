"""The prepared folder: digests that follow content alone, tampering that shows, failures that leave nothing."""

import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.errors import DataError
from interlock.lanes.retrieval.datasets.card import CARD_NAME, read_card
from interlock.lanes.retrieval.datasets.prepared import PreparedDataset, PreparedTables
from interlock.lanes.retrieval.datasets.split_check import check_splits
from interlock.lanes.retrieval.datasets.writer import PreparedWriter, RowDigest, WordCount, dataset_sha256

words = st.text(st.characters(codec="utf-8"), max_size=12)


def write(folder: Path, cuts: list[int]) -> tuple[str, dict[str, bytes]]:
    """Write 40 rows in the batches that `cuts` make; return the digest and the files."""
    folder.mkdir(parents=True)
    ids, texts = [f"d{n}" for n in range(40)], [f"text {n} é" for n in range(40)]
    splits = ["train"] * 30 + ["validation"] * 4 + ["test"] * 6
    with PreparedWriter(folder) as writer:
        for start, stop in zip([0, *cuts], [*cuts, 40], strict=True):
            part = slice(start, stop)
            writer.add_documents(ids[part], texts[part])
            writer.add_queries(ids[part], texts[part], splits[part])
            writer.add_qrels(ids[part], ids[part], [1] * (stop - start))
        digest = dataset_sha256(writer.table_digests())
    return digest, {path.name: path.read_bytes() for path in folder.iterdir()}


@given(st.lists(st.integers(0, 40), max_size=6).map(sorted))
@settings(max_examples=20)
def test_batches_change_neither_digest_nor_bytes(tmp_path_factory: pytest.TempPathFactory, cuts: list[int]) -> None:
    folder = tmp_path_factory.mktemp("batches")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("interlock.lanes.retrieval.datasets.writer.ROW_GROUP", 16)
        assert write(folder / "cut", cuts) == write(folder / "whole", [])


@given(st.lists(st.tuples(words, words), max_size=4), st.lists(st.tuples(words, words), max_size=4))
def test_different_rows_have_different_digests(one: list[tuple[str, str]], other: list[tuple[str, str]]) -> None:
    def digest(rows: list[tuple[str, str]]) -> str:
        table = RowDigest("corpus")
        table.update([[row[0] for row in rows], [row[1] for row in rows]])
        return table.hexdigest()

    assert (digest(one) == digest(other)) == (one == other)


def test_word_statistics_exactly() -> None:
    count = WordCount()
    count.add(["a b c"] * 90 + ["a"] * 5 + ["a b c d e"] * 5)
    stats = count.stats()
    assert (stats.mean, stats.median, stats.p95, stats.max) == (3.0, 3, 3, 5)
    assert WordCount().stats().mean == 0.0


# --- reading -------------------------------------------------------------------------------------------------------


def test_an_unfinished_folder_is_refused(prepare: Any, beir_folder: Any) -> None:
    data = prepare.beir(beir_folder())
    (data.folder / CARD_NAME).unlink()
    with pytest.raises(DataError, match="no dataset card: the folder is unfinished"):
        PreparedDataset.open(data.folder)


def test_a_card_of_another_kind_is_refused(prepare: Any, beir_folder: Any) -> None:
    data = prepare.beir(beir_folder())
    path = data.folder / CARD_NAME
    path.write_text(path.read_text().replace('"documents": 24', '"documents": -1'))
    with pytest.raises(DataError, match=r"dataset_card.json: documents: not a dataset card: .*greater than or equal"):
        read_card(data.folder)


@pytest.mark.parametrize("damage", ["missing", "garbage", "other columns"])
def test_a_table_that_is_not_ours_is_refused(prepare: Any, beir_folder: Any, damage: str) -> None:
    data = prepare.beir(beir_folder())
    path = data.folder / "qrels.parquet"
    match damage:
        case "missing":
            path.unlink()
        case "garbage":
            path.write_bytes(b"PAR1 but not really")
        case "other columns":
            path.write_bytes((data.folder / "corpus.parquet").read_bytes())
    with pytest.raises(DataError, match=r"qrels.parquet: (not a readable Parquet file|columns are)"):
        PreparedDataset.open(data.folder)


def test_verify_names_the_table_that_was_exchanged(prepare: Any, beir_folder: Any, tiny: Any) -> None:
    data = prepare.beir(beir_folder())
    other = prepare.beir(beir_folder(asked=[*tiny.queries(23), {"_id": "q23", "text": "changed"}]))
    data.verify()
    (data.folder / "queries.parquet").write_bytes((other.folder / "queries.parquet").read_bytes())
    with pytest.raises(DataError, match="queries: content differs from the dataset card"):
        PreparedDataset.open(data.folder).verify()


def test_text_has_no_vectors(prepare: Any, beir_folder: Any) -> None:
    with pytest.raises(DataError, match="this dataset is text and has no vectors"):
        prepare.beir(beir_folder()).document_vectors()


def test_positives_are_rows_of_their_own_split(prepare: Any, beir_folder: Any) -> None:
    data = prepare.beir(beir_folder())
    for split in ("train", "validation", "test"):
        queries, pairs = data.queries(split), data.positives(split)
        assert (pairs.query_row.dtype, pairs.doc_row.dtype, pairs.relevance.dtype) == (np.int64, np.int64, np.int8)
        named = {(queries.ids[q], data.doc_ids[d]) for q, d in zip(pairs.query_row, pairs.doc_row, strict=True)}
        assert named == {(name, name.replace("q", "d")) for name in queries.ids}
        assert len(pairs) == len(queries) > 0


# --- the check behind `splits_correct` -------------------------------------------------------------------------------


def test_every_way_to_share_is_seen(tmp_path: Path) -> None:
    long = " ".join(f"w{n}" for n in range(40))
    texts = {"d0": f"{long} x", "d1": f"{long} y", "d2": "something else", "d3": "and another"}
    with PreparedWriter(tmp_path) as writer:
        writer.add_documents(list(texts), list(texts.values()))
        splits = ["train", "test", "train", "test"]
        writer.add_queries(["q0", "q1", "q2", "q2"], ["One?", "one", "two", "three"], splits)
        writer.add_qrels(["q0", "q1", "q0", "q1"], ["d0", "d1", "d2", "d2"], [1, 1, 1, 1])
    check = check_splits(PreparedTables(tmp_path), similarity=0.8)
    assert check.model_dump() == {
        "repeated_query_ids": 1,
        "shared_query_texts": 1,
        "shared_documents": 1,
        "shared_near_duplicates": 2,
        "empty_splits": ("validation",),
    }
    assert not check.correct


# --- failures ------------------------------------------------------------------------------------------------------


def test_a_write_that_fails_leaves_nothing(prepare: Any, beir_folder: Any) -> None:
    folder = beir_folder()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            prepare.beir(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(prepare.folder.iterdir()) == []
