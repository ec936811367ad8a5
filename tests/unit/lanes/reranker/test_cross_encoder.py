"""Real loading of a real (tiny, made here) transformer; needs the extra `hf`."""

import numpy as np
import pytest
import torch

from interlock.errors import StageError
from interlock.lanes.reranker.config import CrossEncoder
from interlock.lanes.reranker.cross_encoder import load_cross_encoder
from interlock.lanes.reranker.model import NOWHERE

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "read", "csv", "file", "write", "row", "table"]


@pytest.fixture(scope="module")
def tiny_model(tmp_path_factory):
    """A BERT of two layers with random weights, saved as Hugging Face does."""
    transformers = pytest.importorskip("transformers")
    folder = tmp_path_factory.mktemp("models")
    (folder / "vocab.txt").write_text("\n".join(WORDS))
    config = transformers.BertConfig(
        vocab_size=len(WORDS), hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64, num_labels=1,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.BertForSequenceClassification(config).save_pretrained(folder / "tiny", safe_serialization=True)
    transformers.BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder / "tiny")
    return folder


def config(**values):
    return CrossEncoder(kind="transformer", name=values.pop("name", "tiny"), **values)


def test_a_missing_model_is_refused_with_the_way_out(tmp_path):
    pytest.importorskip("transformers")
    with pytest.raises(StageError, match="cannot be loaded") as caught:
        load_cross_encoder(config(name="not-here"), tmp_path)
    assert caught.value.key == "lane.model.name"
    assert "local cache" in caught.value.hint


def test_pairs_are_scored_where_there_are_candidates(tiny_model):
    network, tokenize = load_cross_encoder(config(max_tokens=16), tiny_model)
    tokens = tokenize(["read csv"] * 3, ["csv file", "write row", "table"])
    filled = torch.tensor([[True, True], [True, False]])
    scores = network.eval()({**tokens, "filled": filled})
    assert scores.shape == (2, 2)
    assert scores[1, 1] == NOWHERE
    alone = network({**tokenize(["read csv"], ["table"]), "filled": torch.tensor([[True]])})
    torch.testing.assert_close(scores[1, 0], alone[0, 0], atol=1e-5, rtol=0)
    scores[filled].sum().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_long_documents_are_cut(tiny_model):
    _, tokenize = load_cross_encoder(config(max_tokens=8), tiny_model)
    assert tokenize(["read"], ["csv " * 50])["token.input_ids"].shape == (1, 8)


def test_a_cross_encoder_trains_on_drawn_candidates_and_is_evaluated(tiny_model, tiny_reranker, first_stage, tmp_path):
    import shutil

    root, tower = first_stage
    shutil.copytree(root / "beir", tmp_path / "beir")
    shutil.copytree(tiny_model / "tiny", tmp_path / "tiny")
    model = {"kind": "transformer", "name": "tiny", "max_tokens": 16}
    lane = tiny_reranker.body(model=model, trainer__epochs=1, trainer__candidates_per_step=4, trainer__limit_queries=20)
    for stage in ("prepare", "train", "evaluate", "export"):
        tiny_reranker.run(stage, tmp_path, lane, {"first_stage": tower})
    table = (tmp_path / "evaluate" / "recall.csv").read_text()
    assert "reranker" in table
    assert "not exported to ONNX" in (tmp_path / "export" / "measurements.json").read_text()


def test_drawn_candidates_hold_the_answers_and_follow_from_the_seed(finished):
    from interlock.lanes.reranker.fronts import GradedLists
    from interlock.lanes.reranker.lists import ANSWER, read_lists

    class Places:
        def __init__(self):
            self.asked = []

        def take(self, queries, places_BC):
            self.asked.append(places_BC)
            return {}

    lists, seen = read_lists(finished / "prepare" / "lists_train.parquet"), Places()
    graded = GradedLists(inputs=seen, lists=lists, weight=np.ones(len(lists), np.float32), draws=4, seed=3)
    first, again, other = graded.__getitems__([0, 5]), graded.__getitems__([0, 5]), graded.__getitems__([5, 0])
    assert (first["grades"] == ANSWER).sum(dim=1).tolist() == [1, 1]
    np.testing.assert_array_equal(seen.asked[0], seen.asked[1])
    assert not np.array_equal(seen.asked[0][::-1], seen.asked[2])
    assert first["grades"].shape == other["grades"].shape == (2, 4)
    assert torch.equal(first["grades"], again["grades"])
