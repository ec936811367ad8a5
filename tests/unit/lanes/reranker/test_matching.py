"""The sparse form that training uses and the dense form inside the exported graph say the same."""

import numpy as np
import pytest
import torch

from interlock.lanes.query_tower.fitting import HashedFront
from interlock.lanes.reranker.config import Interaction
from interlock.lanes.reranker.lists import EMPTY, Lists
from interlock.lanes.reranker.matching import FEATURES, match
from interlock.lanes.reranker.model import NOWHERE, InteractionNetwork
from interlock.lanes.retrieval.ragged import pad, pad_kinds
from interlock.lanes.retrieval.text import HashedFeatures
from interlock.lanes.retrieval.weighting import Weighting

BUCKETS = 512
TEXTS = ["read the csv file of a table", "writing one row", "csv readers read tables", "", "unrelated entirely"]
FRONT = HashedFront(
    HashedFeatures(buckets=BUCKETS), (Weighting(count_max=2.0), Weighting(k1=1.0, b=0.5, mean_length=9))
)


@pytest.fixture
def network():
    torch.manual_seed(0)
    network = InteractionNetwork(Interaction(kind="interaction"), buckets=BUCKETS).eval()
    network.take_words(torch.rand(BUCKETS) + 0.5, torch.tensor(1.7))
    for parameter in network.parameters():  # the last layers start at zero, which would hide any difference
        torch.nn.init.normal_(parameter, std=0.5)
    return network


def lists_of(rows):
    rows = np.array(rows, dtype=np.int64)
    zeros = np.zeros(rows.shape)
    return Lists(rows=rows, grades=zeros.astype(np.int8), scores=zeros.astype(np.float32), ranks=zeros.astype(np.int32))


def matched(network, queries, rows):
    return match(
        FRONT.inputs(queries, 0).features, FRONT.inputs(TEXTS, 1).features, lists_of(rows),
        idf_K=network.idf_K.numpy(), pivot=float(network.pivot),
    )  # fmt: skip


def dense(network, query, documents):
    asked, found = FRONT.inputs([query], 0).features, FRONT.inputs(documents, 1).features
    sides = [(*map(torch.from_numpy, pad(side)), torch.from_numpy(pad_kinds(side))) for side in (asked, found)]
    return tuple(part[0] for part in sides[0]), sides[1]


@pytest.mark.parametrize("query", ["read csv tables", "zzz", ""])
def test_both_forms_match_alike(network, query):
    found = matched(network, [query], [[0, 1, 2, 3, 4]])
    features, similarity = network._matched(*dense(network, query, TEXTS))
    np.testing.assert_allclose(found.features[0], features.numpy(), atol=1e-5)
    np.testing.assert_allclose(found.similarity[0], similarity.numpy(), atol=1e-3)


def test_both_forms_score_alike(network):
    found = matched(network, ["read csv tables"], [[0, 1, 2, 3, 4]])
    batch = {
        "features": torch.from_numpy(found.features),
        "similarity": torch.from_numpy(found.similarity.astype(np.float32)),
        "filled": torch.from_numpy(found.filled),
    }
    network.fit(batch)
    with torch.inference_mode():
        sparse, padded = network(batch)[0], network.padded(*dense(network, "read csv tables", TEXTS))
    torch.testing.assert_close(padded, sparse, atol=5e-3, rtol=0)
    assert sparse.std() > 0.1


def test_features_by_hand(network):
    network.take_words(torch.ones(BUCKETS), torch.tensor(0.0))
    found = matched(network, ["csv"], [[2, 4]])
    named = dict(zip(FEATURES, found.features[0].T, strict=True))
    assert named["coverage"].tolist() == [1.0, 0.0]
    assert named["word"][0] > 0
    assert named["word"][1] == 0
    lengths = [len(FRONT.features.encode([TEXTS[row]]).ids) for row in (2, 4)]
    np.testing.assert_allclose(named["log_length"], np.log(lengths), rtol=1e-6)


def test_a_candidate_resembles_itself_in_no_way_and_its_copy_wholly(network):
    found = matched(network, ["csv"], [[0, 0, 4]])
    assert np.diagonal(found.similarity[0]).tolist() == [0.0, 0.0, 0.0]
    assert found.similarity[0, 0, 1] == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_array_equal(found.similarity[0], found.similarity[0].T)


def batch_of(network, queries, rows):
    found = matched(network, queries, rows)
    return {
        "features": torch.from_numpy(found.features),
        "similarity": torch.from_numpy(found.similarity.astype(np.float32)),
        "filled": torch.from_numpy(found.filled),
    }


def test_empty_places_change_no_score(network):
    with torch.inference_mode():
        short = network(batch_of(network, ["csv"], [[0, 1, 2]]))[0]
        padded = network(batch_of(network, ["csv"], [[0, 1, 2, EMPTY, EMPTY]]))[0]
    torch.testing.assert_close(padded[:3], short)
    assert padded[3:].tolist() == [NOWHERE, NOWHERE]


def test_the_order_of_a_list_changes_no_score(network):
    with torch.inference_mode():
        there = network(batch_of(network, ["read csv"], [[0, 1, 2, 4]]))[0]
        back = network(batch_of(network, ["read csv"], [[4, 2, 1, 0]]))[0]
    torch.testing.assert_close(back.flip(0), there)


def test_one_candidate_alone_gets_a_score(network):
    with torch.inference_mode():
        assert torch.isfinite(network.padded(*dense(network, "csv", TEXTS[:1]))).all()


def test_fitting_leaves_constant_features_alone(network):
    batch = batch_of(network, ["read csv tables", "writing"], [[0, 1, 2], [2, 3, 4]])
    network.fit(batch)
    identifier = FEATURES.index("identifier")  # not counted here, so always 0
    assert network.scale_F[identifier] == 1.0
    assert (network.scale_F > 0).all()
