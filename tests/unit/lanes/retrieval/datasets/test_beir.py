"""BEIR folders: what is refused and how, what is kept, how splits are made."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from interlock.errors import DataError
from interlock.lanes.retrieval.datasets.config import SPLITS, BeirSplits

Folder = Callable[..., Path]


def change(rows: list[Any], place: int, row: Any) -> list[Any]:
    return [*rows[:place], row, *rows[place + 1 :]]


def refusal(prepare: Any, folder: Path, **fields: Any) -> str:
    """The error's text; nothing that looks finished may be left behind."""
    with pytest.raises(DataError) as caught:
        prepare.beir(folder, **fields)
    assert list(prepare.folder.iterdir()) == []
    return str(caught.value)


# --- whole files ---------------------------------------------------------------------------------------------------


def test_a_missing_folder_is_refused(prepare: Any, tmp_path: Path) -> None:
    message = refusal(prepare, tmp_path / "nowhere")
    assert "no such file or folder" in message
    assert f"relative paths start at {tmp_path}" in message


def test_a_file_instead_of_a_folder_is_refused(prepare: Any, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    assert "not a folder" in refusal(prepare, tmp_path / "data")


def test_a_folder_without_qrels_is_refused(prepare: Any, beir_folder: Folder) -> None:
    folder = beir_folder(qrels={})
    message = refusal(prepare, folder)
    assert message.startswith(f"{folder / 'qrels'}: no qrels: nothing says which document answers which query")
    assert "add qrels/train.tsv and qrels/test.tsv" in message


def test_a_split_without_its_file_names_the_files_that_are_there(prepare: Any, beir_folder: Folder) -> None:
    message = refusal(prepare, beir_folder(), splits=BeirSplits(validation="dev"))
    assert "lane.data.splits.validation: no qrels for validation: dev.tsv is missing, there are test, train" in message


@pytest.mark.parametrize("name", ["corpus", "queries"])
def test_a_missing_part_is_refused(prepare: Any, beir_folder: Folder, name: str) -> None:
    folder = beir_folder()
    (folder / f"{name}.jsonl").unlink()
    assert f"{folder / name}.jsonl: the file is missing" in refusal(prepare, folder)


def test_plain_and_gzipped_beside_each_other_are_refused(prepare: Any, beir_folder: Folder) -> None:
    folder = beir_folder()
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress((folder / "corpus.jsonl").read_bytes()))
    assert "it is there twice, plain and gzipped" in refusal(prepare, folder)


def test_a_truncated_gzip_file_is_refused(prepare: Any, beir_folder: Folder) -> None:
    folder = beir_folder()
    plain = folder / "corpus.jsonl"
    (folder / "corpus.jsonl.gz").write_bytes(gzip.compress(plain.read_bytes())[:-20])
    plain.unlink()
    assert "not a complete gzip file" in refusal(prepare, folder)


# --- rows ----------------------------------------------------------------------------------------------------------


def test_duplicate_ids_are_counted_and_the_first_few_shown(prepare: Any, beir_folder: Folder, tiny: Any) -> None:
    corpus = tiny.documents(24)
    message = refusal(prepare, beir_folder(corpus=corpus + corpus[:5]))
    assert "corpus.jsonl: 5 faults\n  duplicate _id (5): line 25: 'd0', first on line 1;" in message
    assert "line 27: 'd2', first on line 3; and 2 more" in message
    assert "way out: give every line of corpus.jsonl an _id of its own" in message


def test_empty_documents_are_refused_unless_dropping_is_chosen(prepare: Any, beir_folder: Folder, tiny: Any) -> None:
    corpus = change(tiny.documents(24), 3, {"_id": "d3", "title": "  ", "text": "\n\t"})
    folder = beir_folder(corpus=corpus)
    message = refusal(prepare, folder)
    assert "corpus.jsonl: 1 fault\n  empty text (1): line 4: 'd3'" in message
    assert "set lane.data.empty to drop" in message

    data = prepare.beir(folder, empty="drop")
    assert data.num_documents == 23
    assert "d3" not in data.doc_ids
    assert data.card.left_out == {
        "empty text": 1,
        "judgement of an empty text": 1,
        "query whose answers are empty": 1,
    }


def test_broken_utf8_names_line_and_byte_offset(prepare: Any, beir_folder: Folder) -> None:
    folder = beir_folder()
    path = folder / "corpus.jsonl"
    data = path.read_bytes()
    at = data.index(b"lynx3sleeps")
    path.write_bytes(data[:at] + b"\xff" + data[at + 1 :])
    message = refusal(prepare, folder)
    assert f"{path}: 1 fault\n  broken UTF-8 (1): line 4, byte offset {at}: ff" in message
    assert "iconv" in message


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ('{"_id": "d3", "text": ', "malformed JSON (1): line 4: Expecting value"),
        ("[" * 100_000, "malformed JSON (1): line 4: "),
        ('["d3", "text"]', "not an object (1): line 4: got ['d3', 'text']"),
        ({"id": "d3", "text": "x"}, "missing key (1): line 4: '_id', the line has ['id', 'text']"),
        ({"_id": "d3", "body": "x"}, "missing key (1): line 4: 'text', the line has ['_id', 'body']"),
        ({"_id": 3, "text": "x"}, "not a string (1): line 4: '_id' is 3"),
        ({"_id": "d3", "text": None}, "not a string (1): line 4: 'text' is None"),
        ({"_id": "", "text": "x"}, "empty _id (1): line 4: '_id' is ''"),
        ('{"_id": "d3", "text": "\\ud800"}', "lone surrogate (1): line 4: 'text' holds an escape"),
    ],
)
def test_wrong_rows_are_refused(prepare: Any, beir_folder: Folder, tiny: Any, row: Any, expected: str) -> None:
    message = refusal(prepare, beir_folder(corpus=change(tiny.documents(24), 3, row)))
    assert expected in message
    assert "way out: write " in message


def test_faults_of_several_kinds_come_in_one_error(prepare: Any, beir_folder: Folder, tiny: Any) -> None:
    corpus = change(change(tiny.documents(24), 1, "{"), 2, {"_id": "d2", "text": ""})
    message = refusal(prepare, beir_folder(corpus=corpus))
    assert "2 faults" in message
    assert "malformed JSON (1): line 2" in message
    assert "empty text (1): line 3" in message


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["q0\td0\t1", "q1\td99\t1"], "unknown corpus-id (1): line 3: 'd99' is not in corpus.jsonl"),
        (["q0\td0\t1", "q99\td0\t1"], "unknown query-id (1): line 3: 'q99' is not in queries.jsonl"),
        (["q0\td0\tyes"], "score is not an integer up to 127 (1): line 2: score is 'yes'"),
        (["q0\td0\t0.5"], "score is not an integer up to 127 (1): line 2: score is '0.5'"),
        (["q0\td0\t128"], "score is not an integer up to 127 (1): line 2: score is '128'"),
        (["q0\td0"], "missing columns (1): line 2: 'q0\\td0'"),
        (["q0\td0\t1", "q0\td0\t2"], "contradicting scores (1): line 3: 'q0', 'd0' is 2, on line 2 it is 1"),
    ],
)
def test_wrong_judgements_are_refused(
    prepare: Any, beir_folder: Folder, tiny: Any, rows: list[str], expected: str
) -> None:
    folder = beir_folder(qrels={"train": rows, "test": tiny.judgements(range(16, 24))})
    message = refusal(prepare, folder)
    assert message.startswith(f"{folder / 'qrels' / 'train.tsv'}: 1 fault\n  {expected}")
    assert "way out: " in message


def test_a_qrels_file_without_header_is_refused(prepare: Any, beir_folder: Folder) -> None:
    folder = beir_folder()
    (folder / "qrels" / "test.tsv").write_text("q16\td16\t1\n")
    message = refusal(prepare, folder)
    assert "line 1: missing columns query-id, corpus-id, score (got 'q16\\td16\\t1')" in message
    assert "the first line names the columns" in message


@pytest.mark.parametrize("rows", [[], ["q16\td16\t0"]])
def test_zero_test_queries_are_refused(prepare: Any, beir_folder: Folder, tiny: Any, rows: list[str]) -> None:
    folder = beir_folder(qrels={"train": tiny.judgements(range(16)), "test": rows})
    assert "test.tsv: no test queries: no judgement has a score above zero" in refusal(prepare, folder)


def test_a_share_that_comes_out_empty_is_refused(prepare: Any, beir_folder: Folder, tiny: Any) -> None:
    corpus = [{**row, "title": "the same for all"} for row in tiny.documents(24)]
    message = refusal(prepare, beir_folder(corpus=corpus))
    assert "no validation queries are left; queries per split: train 16, validation 0, test 8" in message
    assert "validation_fraction" in message


def test_a_dataset_changed_under_its_pinned_digest_is_refused(prepare: Any, beir_folder: Folder, tiny: Any) -> None:
    pinned = prepare.beir(beir_folder()).card.sha256
    assert prepare.beir(beir_folder(), sha256=pinned).card.sha256 == pinned
    changed = change(tiny.documents(24), 5, {"_id": "d5", "title": "Article 2", "text": "something else entirely"})
    message = refusal(prepare, beir_folder(corpus=changed), sha256=pinned)
    assert "lane.data.sha256: the dataset changed: its digest is " in message
    assert f"(got '{pinned}')" in message
    assert "pin the new digest" in message


# --- splits --------------------------------------------------------------------------------------------------------


def test_no_group_and_no_near_copy_crosses_splits(prepare: Any, beir_folder: Folder) -> None:
    data = prepare.beir(beir_folder(), validation_fraction=0.3)
    articles = [{int(row) // 2 for row in data.positives(split).doc_row} for split in SPLITS]
    assert all(articles)
    assert not articles[0] & articles[1]
    assert not (articles[0] | articles[1]) & articles[2]
    assert data.card.split_check.correct


def test_what_crosses_into_test_is_left_out_of_training(prepare: Any, beir_folder: Folder, tiny: Any) -> None:
    corpus, asked = tiny.documents(24), tiny.queries(24)
    corpus[0]["text"] = f"{tiny.sentence(20)} {tiny.sentence(21)} {tiny.sentence(22)} one"
    corpus[20]["text"] = f"{tiny.sentence(20)} {tiny.sentence(21)} {tiny.sentence(22)} two"
    corpus[0]["title"] = corpus[20]["title"] = ""
    asked[1]["text"], asked[21]["text"] = "Where do otters live?", "where do OTTERS live"
    rows = {"train": [*tiny.judgements(range(16)), "q2\td22\t1", "q16\td16\t1"], "test": tiny.judgements(range(16, 24))}
    data = prepare.beir(beir_folder(corpus=corpus, asked=asked, qrels=rows))
    used = {name for split in SPLITS for name in data.queries(split).ids}
    assert used == {f"q{n}" for n in range(24)} - {"q0", "q1", "q2"}
    assert data.queries("test").ids == [f"q{n}" for n in range(16, 24)]  # the source's test set is never changed
    assert data.card.near_duplicates_removed == 3
    assert data.card.left_out == {
        "judgement of a query that a later split judges": 1,
        "query or answer in a later split": 3,
    }
    assert data.card.split_check.correct


def test_one_file_can_be_divided_into_all_three_splits(prepare: Any, beir_folder: Folder, tiny: Any) -> None:
    folder = beir_folder(qrels={"test": tiny.judgements(range(24))})
    splits = BeirSplits(train="test", validation=None, test=None)
    data = prepare.beir(folder, splits=splits, validation_fraction=0.2, test_fraction=0.25)
    assert [len(data.queries(split)) for split in SPLITS] == [12, 6, 6]
    assert data.card.split_check.correct


def test_the_held_out_share_does_not_depend_on_the_order_of_the_files(
    prepare: Any, beir_folder: Folder, tiny: Any
) -> None:
    first = prepare.beir(beir_folder(), validation_fraction=0.25)
    turned = beir_folder(
        corpus=tiny.documents(24)[::-1],
        asked=tiny.queries(24)[::-1],
        qrels={"train": tiny.judgements(range(16))[::-1], "test": tiny.judgements(range(16, 24))},
    )
    second = prepare.beir(turned, validation_fraction=0.25)
    for split in SPLITS:
        assert set(first.queries(split).ids) == set(second.queries(split).ids)


# --- what is written ------------------------------------------------------------------------------------------------


def test_a_small_folder_exactly(prepare: Any, beir_folder: Folder) -> None:
    corpus = [{"_id": f"d{n}", "title": "Cats" if n == 1 else "", "text": f"text {n}"} for n in range(4)]
    asked = [{"_id": f"q{n}", "text": f"query {n}", "metadata": {}} for n in range(5)]
    qrels = {"train": ["q2\td2\t3", "q2\td1\t1", "q2\td0\t0"], "dev": ["q1\td3\t1"], "test": ["q0\td0\t1", "q0\td0\t1"]}
    data = prepare.beir(beir_folder(corpus=corpus, asked=asked, qrels=qrels), splits=BeirSplits(validation="dev"))
    assert list(data.corpus_texts(batch_size=3)) == [["text 0", "Cats\ntext 1", "text 2"], ["text 3"]]
    assert data.doc_ids == ["d0", "d1", "d2", "d3"]
    assert data.documents([3, 0]) == ["text 3", "text 0"]
    train, pairs = data.queries("train"), data.positives("train")
    assert (train.ids, train.texts, train.rows.tolist()) == (["q2"], ["query 2"], [2])
    assert (pairs.query_row.tolist(), pairs.doc_row.tolist(), pairs.relevance.tolist()) == ([0, 0], [1, 2], [1, 3])
    assert data.queries("validation").ids == ["q1"]
    assert data.positives("test").doc_row.tolist() == [0]
    assert data.card.left_out == {"query without a judgement above zero": 2}
    assert [source.name for source in data.card.sources] == [
        "corpus.jsonl",
        "queries.jsonl",
        "qrels/train.tsv",
        "qrels/dev.tsv",
        "qrels/test.tsv",
    ]
    data.verify()


def test_gzip_line_ends_and_byte_order_mark_change_nothing(prepare: Any, beir_folder: Folder) -> None:
    plain, other = beir_folder(), beir_folder()
    for name in ("corpus", "queries"):
        path = other / f"{name}.jsonl"
        data = b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n\r\n")
        (other / f"{name}.jsonl.gz").write_bytes(gzip.compress(data))
        path.unlink()
    assert prepare.beir(plain).card.sha256 == prepare.beir(other).card.sha256


def test_the_same_folder_gives_the_same_bytes(prepare: Any, beir_folder: Folder) -> None:
    folder = beir_folder()
    runs = []
    for _ in range(2):
        prepare.beir(folder)
        runs.append({path.name: path.read_bytes() for path in prepare.folder.iterdir()})
    assert runs[0] == runs[1]
    assert sorted(runs[0]) == ["corpus.parquet", "dataset_card.json", "qrels.parquet", "queries.parquet"]


@pytest.mark.parametrize("place", ["document", "query", "relevance", "pair", "split"])
def test_the_digest_changes_with_any_content(prepare: Any, beir_folder: Folder, tiny: Any, place: str) -> None:
    corpus, asked = tiny.documents(24), tiny.queries(24)
    rows = {"train": tiny.judgements(range(16)), "test": tiny.judgements(range(16, 24))}
    before = prepare.beir(beir_folder(corpus=corpus, asked=asked, qrels=rows)).card.sha256
    match place:
        case "document":
            corpus[23]["text"] += "."
        case "query":
            asked[23]["text"] += "?"
        case "relevance":
            rows["test"][7] = "q23\td23\t2"
        case "pair":
            rows["test"].append("q23\td22\t1")
        case "split":
            rows["test"].pop(0)
    assert prepare.beir(beir_folder(corpus=corpus, asked=asked, qrels=rows)).card.sha256 != before


def test_wikipedia_questions(prepare: Any, data_dir: Path) -> None:
    data = prepare.beir(data_dir / "wikipedia_questions")
    sizes = {split: (count.queries, count.positives) for split, count in data.card.splits.items()}
    assert data.num_documents == 2067
    assert sum(queries for queries, _ in sizes.values()) == 10_570
    assert sizes["test"] == (2192, 2192)
    assert data.card.split_check.correct
    titles = {}
    with (data_dir / "wikipedia_questions" / "corpus.jsonl").open(encoding="utf-8") as file:
        for line in file:
            row = json.loads(line)
            titles[row["_id"]] = row["title"]
    articles = [{titles[data.doc_ids[row]] for row in data.positives(split).doc_row} for split in SPLITS]
    assert not articles[0] & articles[1]
    assert not (articles[0] | articles[1]) & articles[2]
    data.verify()
