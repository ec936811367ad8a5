import json

import pytest

from interlock.errors import DataError
from interlock.lanes.retrieval.datasets.config import BeirData, DocstringsData
from interlock.lanes.retrieval.datasets.relations import document_groups


def beir(tmp_path, records, **values):
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    (tmp_path / "queries.jsonl").write_text('{"_id": "q", "text": "why"}\n')
    (tmp_path / "qrels" / "train.tsv").write_text("query-id\tcorpus-id\tscore\nq\ta\t1\n")
    values = {"splits": {"train": "train", "validation": None, "test": None}, "group_field": "page"} | values
    text = json.dumps({"kind": "beir", "path": str(tmp_path), "name": "tiny", **values})
    return BeirData.model_validate_json(text)


RECORDS = [
    {"_id": "a", "text": "one", "page": "x"},
    {"_id": "b", "text": "two", "page": "y"},
    {"_id": "c", "text": "three", "page": "x"},
    {"_id": "d", "text": "four"},
    {"_id": "x", "text": "five", "page": ""},
]


def test_docstrings_of_one_module_belong_together(tmp_path):
    config = DocstringsData(kind="docstrings", packages=("rich",))
    ids = ["rich.text:Text", "rich.text:Text.append", "rich.text", "rich.table:Table"]
    assert document_groups(config, ids, root=tmp_path) == ["rich.text"] * 3 + ["rich.table"]


def test_beir_documents_share_a_field_and_others_stand_alone(tmp_path):
    names = document_groups(beir(tmp_path, RECORDS), list("abcdx"), root=tmp_path)
    assert names[0] == names[2]
    assert len(set(names)) == 4  # a document named like a page is no page


def test_without_a_field_every_document_stands_alone(tmp_path):
    assert len(set(document_groups(beir(tmp_path, RECORDS, group_field=None), list("abcdx"), root=tmp_path))) == 5


def test_a_source_that_is_gone_is_said(tmp_path):
    config = beir(tmp_path, RECORDS)
    (tmp_path / "corpus.jsonl").unlink()
    with pytest.raises(DataError, match="corpus"):
        document_groups(config, ["a"], root=tmp_path)
