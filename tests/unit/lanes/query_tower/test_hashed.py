import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.lanes.query_tower.config import HashedEncoder
from interlock.lanes.query_tower.fitting import HashedFront, fit_hashed
from interlock.lanes.query_tower.hashed import idf_of
from interlock.lanes.query_tower.inputs import DOCUMENT, QUERY
from interlock.lanes.query_tower.lexical import heaviest_buckets, lexical_rows
from interlock.lanes.retrieval.ragged import pad, pad_kinds

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
    """With gains on the features of queries, as if they had been learned."""
    network, front = fit_hashed(CONFIG, texts(40, 30, 0), texts(40, 5, 1), seed=7)
    network.gain_K.copy_(torch.randn(CONFIG.buckets, generator=torch.Generator().manual_seed(3)) / 2)
    return network, front


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
    features = front.inputs(sources, role).features
    ids, weights, kinds = (torch.from_numpy(part) for part in (*pad(features), pad_kinds(features)))
    with torch.no_grad():
        padded = network.padded(ids, weights, kinds, role_B=torch.full((len(sources),), role))
    torch.testing.assert_close(padded, vectors(fitted, sources, role), atol=1e-5, rtol=0)


def test_a_text_does_not_depend_on_its_neighbours(fitted):
    sources = texts(9, 12, 2)
    alone = torch.cat([vectors(fitted, [source], DOCUMENT) for source in sources])
    torch.testing.assert_close(vectors(fitted, sources, DOCUMENT), alone, atol=1e-6, rtol=0)


def test_gains_change_queries_alone_and_leave_the_learned_part(fitted):
    network, front = fitted
    plain = copy.deepcopy(network)
    plain.gain_K.zero_()
    sources = texts(5, 12, 6)
    for role, same in ((QUERY, False), (DOCUMENT, True)):
        batch = front.inputs(sources, role).take(range(5))
        assert torch.equal(network.lexical(batch, role), plain.lexical(batch, role)) is same
        assert torch.equal(network.semantic(batch, dropout=0.0), plain.semantic(batch, dropout=0.0))


def test_equal_gains_change_nothing(fitted):
    network, front = fitted
    raised, plain = copy.deepcopy(network), copy.deepcopy(network)
    raised.gain_K.fill_(1.5)
    plain.gain_K.zero_()
    batch = front.inputs(texts(5, 12, 6), QUERY).take(range(5))
    torch.testing.assert_close(raised.lexical(batch, QUERY), plain.lexical(batch, QUERY))


def test_a_bucket_with_a_column_of_its_own_never_collides(fitted):
    network = fitted[0]
    own = (network.signs_KC == 1.0).nonzero()[:, 0]
    assert len(own) == CONFIG.lexical.own_columns == 512
    assert sorted(network.columns_KC[own, 0].tolist()) == list(range(512))
    assert network.signs_KC[own, 1:].eq(0).all()
    others = torch.ones(CONFIG.buckets, dtype=torch.bool)
    others[own] = False
    assert network.columns_KC[others].min() >= 512
    assert network.signs_KC[others].square().sum(1).eq(1).all()


def test_the_heaviest_buckets_have_columns_of_their_own(fitted):
    network, front = fitted
    block = front.inputs(texts(40, 30, 0), DOCUMENT).features
    rows = lexical_rows(block, network.idf_K.numpy(), pivot=network.pivot.item())
    assert set((network.signs_KC == 1.0).nonzero()[:, 0].tolist()) == set(heaviest_buckets(rows, 512).tolist())


def test_without_a_share_no_bucket_has_its_own_column():
    lexical = CONFIG.lexical.model_copy(update={"own_share": 0.0})
    network, _ = fit_hashed(CONFIG.model_copy(update={"lexical": lexical}), texts(20, 30, 0), texts(20, 5, 1), seed=7)
    assert set(network.signs_KC.unique().tolist()) == {-0.5, 0.5}
    assert network.columns_KC.min() == 0


def test_a_pair_in_the_bucket_of_a_word_is_no_word(fitted):
    network, front = fitted
    batch = front.inputs(["read csv table"], DOCUMENT).take([0])
    word = int(batch["ids"][batch["kinds"] == 0][0])
    alone = network.semantic({name: value[batch["kinds"] == 0] if name != "offsets" else value
                              for name, value in batch.items()}, dropout=0.0)  # fmt: skip
    crowded = {**batch, "ids": torch.where(batch["kinds"] == 0, batch["ids"], word)}
    torch.testing.assert_close(network.semantic(crowded, dropout=0.0), alone)


def test_training_reads_words_alone_and_scores_the_same(fitted):
    network, front = fitted
    whole = [front.inputs(texts(4, 20, seed), role) for role, seed in ((QUERY, 5), (DOCUMENT, 6))]
    words = [front.trained_part(inputs) for inputs in whole]
    assert all(set(inputs.features.kinds) == {0} for inputs in words)
    network.eval()
    for role, inputs in ((QUERY, 0), (DOCUMENT, 1)):
        vectors, expected = (network.training_vectors(texts[inputs].take(range(4)), role) for texts in (words, whole))
        assert torch.equal(vectors, expected)


def test_the_sketch_keeps_the_pivoted_tfidf_similarity(fitted):
    network, front = copy.deepcopy(fitted)
    network.gain_K.zero_()
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
    assert [name for name, value in network.named_parameters() if value.requires_grad] == ["table_WS"]
    batch = front.inputs(["read csv table"], DOCUMENT).take([0])
    network.zero_grad()
    network.semantic(batch, dropout=0.0).sum().backward()
    touched = network.table_WS.grad.abs().sum(1).nonzero().ravel()
    assert touched.tolist() == sorted(network.row_K[batch["ids"][batch["kinds"] == 0]].tolist())
    assert len(touched) == 3
    assert 0 not in touched
    network.zero_grad()


def test_the_start_follows_from_texts_and_seed_alone():
    documents, queries = texts(40, 30, 0), texts(40, 5, 1)
    first, again, other = (fit_hashed(CONFIG, documents, queries, seed=seed)[0].state_dict() for seed in (7, 7, 8))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert [name for name in first if not torch.equal(first[name], other[name])] == ["table_WS"]


def test_the_front_survives_its_json_form(fitted):
    front = fitted[1]
    again = HashedFront.from_parameters(front.parameters())
    sources = texts(5, 20, 9)
    for role in (QUERY, DOCUMENT):
        assert np.array_equal(
            again.inputs(sources, role).features.weights, front.inputs(sources, role).features.weights
        )


def test_dropout_acts_in_training_alone(fitted):
    semantic = CONFIG.semantic.model_copy(update={"dropout": 0.5})
    network, front = fit_hashed(
        CONFIG.model_copy(update={"semantic": semantic}), texts(40, 30, 0), texts(40, 5, 1), seed=7
    )
    batch = front.inputs(texts(4, 20, 5), DOCUMENT).take(range(4))
    network.eval()
    assert torch.equal(*(network.training_vectors(batch, DOCUMENT) for _ in range(2)))
    network.train()
    assert not torch.equal(*(network.training_vectors(batch, DOCUMENT) for _ in range(2)))


def test_idf_falls_and_stays_positive():
    weights = idf_of(np.arange(0, 101), 100, 0.65)
    assert (np.diff(weights) < 0).all()
    assert weights[-1] > 0
