import json
import shutil

import numpy as np
import pytest

from interlock.errors import StageError
from interlock.lanes.reranker.lists import ANSWER, EMPTY, HARD, SOFT, read_lists
from interlock.lanes.retrieval.datasets.prepared import PreparedDataset

SPLITS = ("train", "validation", "test")


def opened(root):
    data = PreparedDataset.open(root / "prepare")
    return data, {split: read_lists(root / "prepare" / f"lists_{split}.parquet") for split in SPLITS}


def pages(data, rows):
    return {data.doc_ids[row].partition("_")[0] for row in rows}


def test_every_list_holds_its_answers_once_and_is_as_long_as_asked(finished):
    data, lists = opened(finished)
    for split, found in lists.items():
        positives = data.positives(split)
        assert found.rows.shape == (len(data.queries(split)), 12)
        for query, rows in enumerate(found.rows):
            answers = positives.doc_row[positives.query_row == query]
            assert set(rows[found.grades[query] == ANSWER]) == set(answers)
            assert len(set(rows)) == len(rows)


def test_grades_follow_the_pages(finished):
    data, lists = opened(finished)
    for found in lists.values():
        for rows, grades in zip(found.rows, found.grades, strict=True):
            own = pages(data, rows[grades == ANSWER])
            assert all(pages(data, [row]) <= own for row in rows[grades == SOFT])
            assert not own & pages(data, rows[grades == HARD])
    assert (lists["test"].grades == SOFT).any()


def test_answers_of_later_splits_are_no_candidates_earlier(finished):
    data, lists = opened(finished)
    answers = {split: set(data.positives(split).doc_row.tolist()) for split in SPLITS}
    for split, later in (("train", ("validation", "test")), ("validation", ("test",))):
        for other in later:
            assert not (set(lists[split].rows.ravel().tolist()) - answers[split]) & answers[other]


def test_no_negative_is_easier_than_the_first_stages_own_results(finished):
    """Negatives are its nearest, in order: ranks have no gap but answers and likely answers."""
    _, lists = opened(finished)
    quality = json.loads((finished / "prepare" / "quality.json").read_text())
    assert quality["splits"]["test"]["false_negatives_left_out"] == 0
    found = lists["test"]
    for ranks, grades in zip(found.ranks, found.grades, strict=True):
        taken = set(ranks[ranks > 0].tolist())
        assert taken >= set(range(1, int((grades != ANSWER).sum())))


def test_scores_of_the_lists_are_the_first_stages(finished, first_stage, tiny_reranker):
    import torch

    from interlock.lanes.query_tower.encoders import load_tower
    from interlock.lanes.query_tower.inputs import DOCUMENT, QUERY

    data, lists = opened(finished)
    tower = load_tower(first_stage[1].lane, first_stage[1].trained, workspace=finished)
    cpu = torch.device("cpu")
    queries = tower.encode(data.queries("test").texts, QUERY, device=cpu)
    for query, rows in enumerate(lists["test"].rows[:5]):
        expected = tower.encode(data.documents(rows), DOCUMENT, device=cpu) @ queries[query]
        np.testing.assert_allclose(lists["test"].scores[query], expected, atol=1e-5)


def test_the_own_results_hold_nothing_but_what_was_retrieved(finished):
    own = read_lists(finished / "prepare" / "retrieved_test.parquet")
    assert (own.rows != EMPTY).all()
    assert all(sorted(ranks) == list(range(1, 13)) for ranks in own.ranks.tolist())
    by_rank = np.take_along_axis(own.scores, np.argsort(own.ranks, axis=1), axis=1)
    assert (np.diff(by_rank, axis=1) <= 0).all()


def test_a_near_copy_of_an_answer_is_left_out_and_counted(tiny_reranker, tmp_path):
    tiny_reranker.write_beir(tmp_path / "beir")
    lines = [json.loads(line) for line in (tmp_path / "beir" / "corpus.jsonl").read_text().splitlines()]
    copies = [{**line, "_id": f"copy_{line['_id']}", "page": "copies"} for line in lines]
    (tmp_path / "beir" / "corpus.jsonl").write_text("".join(json.dumps(record) + "\n" for record in lines + copies))
    tower = tiny_reranker.run_tower(tmp_path)
    tiny_reranker.run("prepare", tmp_path, tiny_reranker.body(), {"first_stage": tower})
    data, lists = opened(tmp_path)
    quality = json.loads((tmp_path / "prepare" / "quality.json").read_text())
    assert quality["splits"]["test"]["lists_with_false_negatives"] > 0.5
    assert quality["negatives_distinct"]
    for rows, grades in zip(lists["test"].rows, lists["test"].grades, strict=True):
        (answer,) = rows[grades == ANSWER]
        assert f"copy_{data.doc_ids[answer]}" not in {data.doc_ids[row] for row in rows}


# --- the quality check sees what is wrong -----------------------------------------------------------------------------


def test_the_quality_check_counts_what_must_not_be(finished, tiny_reranker):
    from dataclasses import replace

    from interlock.lanes.reranker.mining import Mined
    from interlock.lanes.reranker.quality import checked

    data, lists = opened(finished)
    good = lists["test"]
    rows, grades = good.rows.copy(), good.grades.copy()
    place = int(np.flatnonzero(grades[0] == ANSWER)[0])
    other = (place + 1) % rows.shape[1]
    rows[0, other] = rows[0, place]
    none = np.zeros(len(good), dtype=np.int64)
    bad = Mined(lists=replace(good, rows=rows), retrieved=good, false_negatives=none)
    found = checked(data, {"test": bad})
    assert (found["equal_by_id"], found["equal_by_text"], found["repeated"]) == (1, 1, 1)
    assert not found["negatives_distinct"]
    alone = Mined(
        lists=replace(good, grades=np.where(grades == SOFT, HARD, grades)), retrieved=good, false_negatives=none
    )
    assert not checked(data, {"test": alone})["negatives_balanced"]


def test_the_quality_page_shows_every_fact(finished):
    page = (finished / "prepare" / "quality.md").read_text()
    facts = json.loads((finished / "prepare" / "quality.json").read_text())["splits"]["test"]
    assert all(name.replace("_", " ") in page for name in facts)
    assert "No negative equals an answer: yes." in page


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_a_tower_of_another_dataset_is_refused(tiny_reranker, first_stage, tmp_path):
    tower = first_stage[1]
    tiny_reranker.write_beir(tmp_path / "beir", topics=50)
    with pytest.raises(StageError, match="trained on another dataset") as caught:
        tiny_reranker.run("prepare", tmp_path, tiny_reranker.body(), {"first_stage": tower})
    assert caught.value.key == "lane.inputs.first_stage"
    assert "train the tower again" in caught.value.hint


def test_a_missing_tower_is_refused(tiny_reranker, tmp_path):
    tiny_reranker.write_beir(tmp_path / "beir")
    with pytest.raises(StageError, match="needs a query tower"):
        tiny_reranker.run("prepare", tmp_path, tiny_reranker.body(), {})


def test_the_same_run_elsewhere_gives_the_same_bytes(finished, first_stage, tiny_reranker, tmp_path):
    from interlock.provenance.digest import files_under, sha256_file

    shutil.copytree(finished / "beir", tmp_path / "beir")
    tiny_reranker.run("prepare", tmp_path, tiny_reranker.body(), {"first_stage": first_stage[1]})
    names = files_under(finished / "prepare")
    assert names == files_under(tmp_path / "prepare")
    assert [sha256_file(finished / "prepare" / n) for n in names] == [
        sha256_file(tmp_path / "prepare" / n) for n in names
    ]
