import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.lanes.query_tower.config import HashedEncoder
from interlock.lanes.query_tower.fitting import HashedFront, fit_hashed
from interlock.lanes.query_tower.hashed import idf_of
from interlock.lanes.query_tower.inputs import DOCUMENT, QUERY
from interlock.lanes.retrieval.ragged import pad

CONFIG = HashedEncoder.model_validate_json(
    '{"kind": "hashed", "buckets": 4096, "lexical": {"dimensions": 2048}, "semantic": {"dimensions": 4}}'
)
WORDS = (
    "read",
    "write",
    "parse",
    "csv",
    "json",
    "table",
    "column",
    "index",
    "merge",
    "plot",
    "axis",
    "tensor",
    "layer",
)


def texts(count, words, seed):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, size=words)) for _ in range(count)]


@pytest.fixture(scope="module")
def fitted():
    return fit_hashed(CONFIG, texts(40, 30, 0), texts(40, 5, 1), seed=7)


def vectors(fitted, sources, role):
    network, front = fitted
    with torch.no_grad():
        return network(front.inputs(sources, role).take(range(len(sources))), role)


@given(st.lists(st.text(max_size=60), min_size=1, max_size=6), st.sampled_from([QUERY, DOCUMENT]))
@settings(deadline=None)
def test_any_text_gets_a_finite_vector_of_length_1(fitted, sources, role):
    found = vectors(fitted, sources, role)
    assert torch.isfinite(found).all()
    torch.testing.assert_close(found.norm(dim=1), torch.ones(len(sources)), atol=1e-5, rtol=0)


@given(st.lists(st.text(max_size=60), min_size=1, max_size=6), st.sampled_from([QUERY, DOCUMENT]))
@settings(deadline=None)
def test_the_padded_form_gives_the_same_vectors(fitted, sources, role):
    network, front = fitted
    ids, weights = pad(front.inputs(sources, role).features)
    with torch.no_grad():
        padded = network.padded(torch.from_numpy(ids), torch.from_numpy(weights), torch.full((len(sources),), role))
    torch.testing.assert_close(padded, vectors(fitted, sources, role), atol=1e-5, rtol=0)


def test_a_text_does_not_depend_on_its_neighbours(fitted):
    sources = texts(9, 12, 2)
    alone = torch.cat([vectors(fitted, [source], DOCUMENT) for source in sources])
    torch.testing.assert_close(vectors(fitted, sources, DOCUMENT), alone, atol=1e-6, rtol=0)


def test_the_sketch_keeps_the_pivoted_tfidf_similarity(fitted):
    network, front = fitted
    documents, queries = texts(12, 30, 3), texts(12, 5, 4)
    blocks = [front.inputs(queries, QUERY).features, front.inputs(documents, DOCUMENT).features]
    dense = [np.zeros((12, CONFIG.buckets)) for _ in blocks]
    for block, matrix in zip(blocks, dense, strict=True):
        matrix[np.repeat(np.arange(12), block.lengths), block.ids] = block.weights * network.idf_K.numpy()[block.ids]
    squares = [np.square(matrix).sum(1, keepdims=True) for matrix in dense]
    exact = dense[0] / np.sqrt(squares[0]) @ (dense[1] / np.sqrt(squares[1] + network.pivot.item() ** 2)).T
    sketch = [
        network.lexical(front.inputs(source, role).take(range(12)), role)
        for role, source in enumerate((queries, documents))
    ]
    error = np.abs((sketch[0] @ sketch[1].T).numpy() - exact)
    assert error.max() < 5 / np.sqrt(CONFIG.lexical.dimensions)


def test_only_the_table_learns_and_only_from_words(fitted):
    network, front = fitted
    assert [name for name, value in network.named_parameters() if value.requires_grad] == ["table_KS"]
    batch = front.inputs(["read csv table"], DOCUMENT).take([0])
    network.zero_grad()
    network.semantic(batch, dropout=0.0).sum().backward()
    touched = network.table_KS.grad.abs().sum(1).nonzero().ravel()
    kinds = dict(
        zip(batch["ids"].tolist(), front.inputs(["read csv table"], DOCUMENT).features.kinds.tolist(), strict=True)
    )
    assert 0 < len(touched) <= 3
    assert all(kinds[bucket] == 0 for bucket in touched.tolist())
    network.zero_grad()


def test_the_start_follows_from_texts_and_seed_alone():
    documents, queries = texts(40, 30, 0), texts(40, 5, 1)
    first, again, other = (fit_hashed(CONFIG, documents, queries, seed=seed)[0].state_dict() for seed in (7, 7, 8))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert [name for name in first if not torch.equal(first[name], other[name])] == ["table_KS"]


def test_the_front_survives_its_json_form(fitted):
    front = fitted[1]
    again = HashedFront.from_parameters(front.parameters())
    sources = texts(5, 20, 9)
    for role in (QUERY, DOCUMENT):
        assert np.array_equal(
            again.inputs(sources, role).features.weights, front.inputs(sources, role).features.weights
        )


def test_dropout_acts_in_training_alone(fitted):
    network, front = fitted
    batch = front.inputs(texts(4, 20, 5), DOCUMENT).take(range(4))
    network.eval()
    assert torch.equal(*(network.training_scores(batch, batch, (QUERY, DOCUMENT)) for _ in range(2)))
    network.train()
    assert not torch.equal(*(network.training_scores(batch, batch, (QUERY, DOCUMENT)) for _ in range(2)))
    network.eval()


def test_idf_falls_and_stays_positive():
    weights = idf_of(np.arange(0, 101), 100, 0.65)
    assert (np.diff(weights) < 0).all()
    assert weights[-1] > 0
