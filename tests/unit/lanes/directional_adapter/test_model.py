"""The network: consistent answers, and the same ones in bags and padded."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.errors import NonFiniteError, StageError
from interlock.lanes.directional_adapter.adapter import FittedAdapter, features_of, load_adapter, untrained
from interlock.lanes.directional_adapter.config import Adapter
from interlock.lanes.directional_adapter.examples import Pairs
from interlock.lanes.directional_adapter.inputs import PairInputs, scores_of
from interlock.lanes.retrieval.ragged import pad

CONFIG = Adapter.model_validate(
    {"kind": "adapter", "encoder": {"kind": "hashed", "buckets": 256, "min_passages": 1}, "dimensions": 4, "hidden": 8}
)
TEXTS = st.lists(st.text(alphabet="ab c.", max_size=20), min_size=2, max_size=6)


@pytest.fixture(scope="module")
def adapter():
    torch.manual_seed(0)
    features = features_of(CONFIG)
    training = PairInputs.of(pairs(["a b", "b c . a", "c"], ["b", "a a", "c b ."]), features)
    network = untrained(CONFIG, training).eval()
    with torch.no_grad():
        network.table_KC[:, 0].normal_()
        network.temperature.fill_(2.0)
    return FittedAdapter(network, features)


def pairs(first, second):
    return Pairs([str(row) for row in range(len(first))], list(first), list(second))


def scores(adapter, inputs):
    return scores_of(adapter.network, inputs, device=torch.device("cpu"))


@settings(max_examples=25)
@given(TEXTS)
def test_turning_a_pair_round_turns_the_answer_round(adapter, texts):
    inputs = PairInputs.of(pairs(texts[:-1], texts[1:]), adapter.features)
    assert scores(adapter, inputs) == pytest.approx(-scores(adapter, inputs.reversed()), abs=1e-5)


@settings(max_examples=25)
@given(TEXTS)
def test_the_padded_form_gives_the_calibrated_probability_of_the_same_score(adapter, texts):
    inputs = PairInputs.of(pairs(texts[:-1], texts[1:]), adapter.features)
    padded = [tuple(map(torch.from_numpy, pad(side))) for side in (inputs.first, inputs.second)]
    with torch.inference_mode():
        probability = adapter.network.probability(*padded).numpy()
    assert probability == pytest.approx(1 / (1 + np.exp(-scores(adapter, inputs) / 2.0)), abs=1e-5)


def test_the_place_alone_orders_and_the_comparison_can_overrule_it(adapter):
    inputs = PairInputs.of(pairs(["a"], ["b"]), adapter.features)
    network = adapter.network
    with torch.no_grad():
        weight = network.judge.weight.clone()
        network.judge.weight.zero_()
        place_only = scores(adapter, inputs)
        network.judge.weight.copy_(weight)
    assert place_only != pytest.approx(scores(adapter, inputs))


def test_features_that_training_has_not_seen_weigh_nothing(adapter):
    known, with_unseen = (PairInputs.of(pairs(["a b"], [text]), adapter.features) for text in ("", "ωωω"))
    assert scores(adapter, known).shape == (1,)
    assert (adapter.network.idf_K[with_unseen.second.ids.astype(int)] == 0).any()


def test_an_adapter_comes_back_from_its_file(adapter, tmp_path):
    adapter.save(tmp_path / "model.safetensors")
    loaded = load_adapter(CONFIG, tmp_path)
    inputs = PairInputs.of(pairs(["a b c"], ["c ."]), loaded.features)
    assert loaded.features == adapter.features
    assert scores(loaded, inputs).tolist() == scores(adapter, inputs).tolist()


def test_a_file_that_does_not_fit_is_refused(adapter, tmp_path):
    with pytest.raises(StageError, match="the trained adapter cannot be loaded"):
        load_adapter(CONFIG, tmp_path)
    adapter.save(tmp_path / "model.safetensors")
    with pytest.raises(StageError, match="the trained adapter cannot be loaded"):
        load_adapter(CONFIG.model_copy(update={"dimensions": 5}), tmp_path)


def test_weights_that_are_not_finite_are_not_saved(adapter, tmp_path):
    network = untrained(CONFIG, PairInputs.of(pairs(["a"], ["b"]), adapter.features))
    with torch.no_grad():
        network.bias_D[0] = float("nan")
    with pytest.raises(NonFiniteError):
        FittedAdapter(network, adapter.features).save(tmp_path / "model.safetensors")
