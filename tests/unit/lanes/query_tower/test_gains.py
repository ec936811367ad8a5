import numpy as np
import pytest
import torch
from scipy import sparse

from interlock.lanes.query_tower.config import HashedEncoder
from interlock.lanes.query_tower.fitting import fit_hashed, lexically_nearest, set_gains
from interlock.lanes.query_tower.gains import Contest, fit_gains
from interlock.lanes.query_tower.inputs import DOCUMENT, QUERY
from interlock.lanes.query_tower.pairs import Pairs

KINDS = np.array([0, 0, 1, 1])
ALL = np.ones(4, dtype=bool)


def contest(num_queries=40):
    """Bucket 0 points to the answer, bucket 1 to a rival, bucket 2 to both, bucket 3 occurs in no query."""
    queries = sparse.csr_matrix(np.tile(np.float32([0.6, 0.6, 0.5, 0]), (num_queries, 1)))
    documents = sparse.csr_matrix(np.array([[0.5, 0, 0.5, 0.2], [0, 0.5, 0.5, 0.2]], dtype=np.float32))
    rows = np.arange(num_queries)
    return Contest.of(
        queries, documents, query_row=rows, document_row=np.zeros(num_queries, dtype=np.int64),
        rivals_QR=np.ones((num_queries, 1), dtype=np.int64),
    )  # fmt: skip


def fit(found, *, asked=ALL, epochs=8, seed=1):
    return fit_gains(found, KINDS, asked, epochs=epochs, lr=0.02, seed=seed)


def test_the_products_of_the_answer_come_first():
    found = contest(2)
    assert found.width == 2
    expected = np.array([[0.3, 0, 0.25, 0], [0, 0.3, 0.25, 0]])
    assert found.shared.toarray() == pytest.approx(np.concatenate([expected, expected]))


def test_what_points_to_answers_gains_and_what_points_elsewhere_loses():
    gains = fit(contest())
    assert gains[0] > 0.01 > -0.01 > gains[1]


def test_buckets_that_no_query_holds_have_what_is_common_to_their_kind():
    gains = fit(contest(), asked=np.array([False, True, False, False]))
    assert gains[2] == gains[3] != gains[0]
    assert fit(contest(), asked=~ALL)[0] == fit(contest(), asked=~ALL)[1] != gains[1]


@pytest.mark.parametrize(("width", "epochs"), [(2, 0), (1, 8)])
def test_without_epochs_or_rivals_everything_stays(width, epochs):
    found = contest()
    if width == 1:
        found = Contest(found.shared[::2].tocsr(), 1)
    assert fit(found, epochs=epochs).tolist() == [0.0] * 4


# --- on texts ---------------------------------------------------------------------------------------------------------

ENCODER = HashedEncoder.model_validate_json(
    '{"kind": "hashed", "buckets": 2048, "lexical": {"dimensions": 256}, "semantic": {"dimensions": 4}}'
)
NAMES = [f"word{number}" for number in range(60)]


def fitted(gain_epochs=8, seed=7):
    random = np.random.default_rng(0)
    documents = [" ".join(random.choice(NAMES, size=20)) for _ in range(50)]
    queries = [" ".join(random.choice(text.split(), size=4)) for text in documents[:40]]
    network, front = fit_hashed(ENCODER, documents, queries, seed=seed)
    pairs = Pairs(
        queries=front.inputs(queries, QUERY), documents=front.inputs(documents, DOCUMENT),
        query_row=np.arange(40), document_row=np.arange(40),
    )  # fmt: skip
    nearest = lexically_nearest(network, pairs, 50)
    rivals = np.stack([row[row != query][:10] for query, row in enumerate(nearest)])
    lexical = ENCODER.lexical.model_copy(update={"gain_epochs": gain_epochs})
    set_gains(network, lexical, pairs, rivals, seed=seed)
    return network, pairs, nearest


def test_gains_follow_from_texts_and_seed_alone():
    first, again, other = (fitted(seed=seed)[0].gain_K for seed in (7, 7, 8))
    assert first.abs().sum() > 0
    assert torch.equal(first, again)
    assert torch.equal(first, other)  # 40 pairs fit into one batch, so the seed has nothing to shuffle


def test_without_epochs_queries_count_as_idf_says():
    assert fitted(gain_epochs=0)[0].gain_K.eq(0).all()


def test_negatives_are_mined_by_the_lexical_part_before_its_sketch():
    network, pairs, nearest = fitted()
    network.gain_K.zero_()
    batches = [inputs.take(range(len(inputs))) for inputs in (pairs.queries, pairs.documents)]
    scores = network.lexical(batches[0], QUERY) @ network.lexical(batches[1], DOCUMENT).T
    sketched = torch.take_along_dim(scores, torch.from_numpy(nearest), dim=1)
    ideal = scores.sort(dim=1, descending=True).values
    assert (ideal[:, :5].mean() - sketched[:, :5].mean()) < 0.05
    network.table_WS.data.zero_()
    assert np.array_equal(lexically_nearest(network, pairs, 50), nearest)
