import builtins

import pytest
import torch
from tiny_stages import run_stage

from interlock.errors import StageError
from interlock.lanes.query_tower.config import TransformerEncoder
from interlock.lanes.query_tower.inputs import DOCUMENT, QUERY
from interlock.lanes.query_tower.transformer import load_transformer


def config(**changes):
    return TransformerEncoder(kind="transformer", name="tiny-model", **changes)


def test_a_missing_extra_names_the_command(tmp_path, monkeypatch):
    real = builtins.__import__

    def refuse(name, *args, **kwargs):
        if name.startswith("sentence_transformers"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refuse)
    with pytest.raises(StageError, match="not installed") as caught:
        load_transformer(config(), tmp_path)
    assert "pip install 'interlock[hf]'" in caught.value.hint


@pytest.fixture(scope="module")
def hf():
    return pytest.importorskip("sentence_transformers", reason="needs the extra hf")


def test_a_model_that_is_not_there_is_one_clear_error(hf, tmp_path):
    with pytest.raises(StageError, match="cannot be loaded") as caught:
        load_transformer(config(), tmp_path)
    assert caught.value.key == "lane.model.encoder.name"
    assert "offline=false" in caught.value.hint


def test_a_folder_that_holds_no_model_is_one_clear_error(hf, tmp_path):
    (tmp_path / "tiny-model").mkdir()
    (tmp_path / "tiny-model" / "config.json").write_text("{}")
    with pytest.raises(StageError, match="cannot be loaded"):
        load_transformer(config(), tmp_path)


@pytest.fixture(scope="module")
def tiny_model(hf, tmp_path_factory):
    """A BERT of two layers and 32 dimensions with random weights, saved as a sentence-transformers folder."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("workspace")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "read", "csv", "file", "write", "query", "passage", ":"]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    torch.manual_seed(0)
    sizes = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64)
    BertModel(BertConfig(vocab_size=len(words), **sizes)).save_pretrained(folder / "plain")
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]").save_pretrained(
        folder / "plain"
    )
    hf.SentenceTransformer(str(folder / "plain"), device="cpu").save(str(folder / "tiny-model"))
    return folder


@pytest.mark.parametrize("name", ["tiny-model", "plain"])
def test_a_folder_is_loaded_and_gives_unit_vectors(tiny_model, name):
    network, front = load_transformer(TransformerEncoder(kind="transformer", name=name), tiny_model)
    batch = front.inputs(["read csv file", "write"], QUERY).take([0, 1])
    vectors = network(batch, QUERY)
    assert vectors.shape == (2, network.dimensions) == (2, 32)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))
    vectors.sum().backward()
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in network.parameters())


def test_roles_have_their_prefix(tiny_model):
    settings = config(query_prefix="query: ", document_prefix="passage: ")
    _, front = load_transformer(settings, tiny_model)
    assert front.inputs(["read"], QUERY).texts == ["query: read"]
    assert front.inputs(["read"], DOCUMENT).texts == ["passage: read"]


def test_a_transformer_tower_trains_and_is_evaluated(tiny_model, tiny, tmp_path):
    import shutil

    tiny.write_beir(tmp_path / "beir")
    shutil.copytree(tiny_model / "tiny-model", tmp_path / "tiny-model")
    encoder = {"kind": "transformer", "name": "tiny-model", "max_tokens": 16}
    lane = tiny.body(model__encoder=encoder, trainer__epochs=2, optimizer__lr=1e-4)
    for stage in ("prepare", "train", "evaluate"):
        run_stage(stage, tmp_path, lane)
    assert (tmp_path / "train" / "model.safetensors").is_file()
    assert (tmp_path / "evaluate" / "measurements.json").is_file()
