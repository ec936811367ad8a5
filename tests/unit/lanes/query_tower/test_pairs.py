from functools import partial

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.errors import DataError
from interlock.lanes.query_tower.contrast import contrastive_loss
from interlock.lanes.query_tower.inputs import MatrixInputs
from interlock.lanes.query_tower.pairs import Pairs, mined_negatives, nearest_rivals
from interlock.lanes.retrieval.index import MemoryIndex

EYE = np.eye(4, dtype=np.float32)


def pairs(query_row, document_row, **changes):
    return Pairs(
        queries=MatrixInputs(EYE), documents=MatrixInputs(EYE), query_row=np.array(query_row),
        document_row=np.array(document_row), **changes,
    )  # fmt: skip


def test_other_answers_of_a_query_are_masked():
    batch = pairs([0, 0, 1, 2], [0, 1, 2, 2]).__getitems__([0, 1, 2, 3])
    expected = torch.tensor([
        [False, True, False, False],
        [True, False, False, False],
        [False, False, False, True],
        [False, False, True, False],
    ])  # fmt: skip
    assert torch.equal(batch["masked"], expected)


def test_an_answer_among_the_mined_negatives_is_masked():
    batch = pairs([0, 1], [0, 1], negatives=np.array([[1], [0], [0], [0]]), draws=1).__getitems__([0, 1])
    assert batch["documents"][0]["vectors"].shape == (4, 4)
    assert batch["masked"].tolist() == [[False, False, False, True], [False, False, True, False]]


def test_draws_follow_from_seed_and_batch_alone():
    pool = np.arange(40).reshape(4, 10) % 4
    first, again, other = (
        pairs([0, 1, 2], [0, 1, 2], negatives=pool, draws=3, seed=seed).__getitems__([2, 0])["documents"][0]["vectors"]
        for seed in (1, 1, 2)
    )
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_mined_negatives_are_the_nearest_that_do_not_answer():
    documents = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 1]], dtype=np.float32)
    queries = np.array([[1, 0], [0, 1]], dtype=np.float32)
    found = Pairs(
        queries=MatrixInputs(queries), documents=MatrixInputs(documents), query_row=np.array([0, 0, 1]),
        document_row=np.array([0, 2, 3]),
    )  # fmt: skip
    search = partial(MemoryIndex(documents).search, queries)
    rivals = nearest_rivals(found, lambda k: search(k)[1], count=9)
    assert rivals.tolist() == [[1, 3], [2, 1]]
    assert mined_negatives(rivals, pool=2, skip=0).tolist() == [[1, 3], [2, 1]]
    assert mined_negatives(rivals, pool=1, skip=1).tolist() == [[3], [1]]


def test_a_pool_larger_than_the_data_is_refused():
    with pytest.raises(DataError, match="too few training documents") as caught:
        mined_negatives(np.zeros((2, 3), dtype=np.int64), pool=3, skip=1)
    assert "3 beside the answers, 4 needed" in caught.value.hint


def test_without_a_document_to_spare_there_are_no_rivals():
    assert nearest_rivals(pairs([0, 0, 0, 0], [0, 1, 2, 3]), pytest.fail, count=5).shape == (4, 0)


@given(st.data())
@settings(deadline=None, max_examples=60)
def test_the_mask_of_a_batch_is_every_answer_but_the_own(data):
    answers = sorted(data.draw(st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1)))
    pool = np.array(data.draw(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=4, max_size=4)))
    found = pairs(*zip(*answers, strict=True), negatives=pool, draws=2)
    chosen = data.draw(st.lists(st.integers(0, len(answers) - 1), min_size=1, max_size=6))
    batch = found.__getitems__(chosen)
    candidates = batch["documents"][0]["vectors"].argmax(1).tolist()
    for i, pair in enumerate(chosen):
        expected = [(answers[pair][0], document) in answers for document in candidates]
        expected[i] = False
        assert batch["masked"][i].tolist() == expected


def test_the_loss_of_two_pairs_by_hand():
    scores = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    mask = torch.zeros(2, 2, dtype=torch.bool)
    assert contrastive_loss(scores, mask, 1.0).item() == pytest.approx(np.log(1 + np.exp(-1)))
    assert contrastive_loss(scores, ~torch.eye(2, dtype=torch.bool), 1.0).item() == 0.0


def test_masked_candidates_do_not_matter_and_get_no_gradient():
    scores = torch.randn(3, 6, requires_grad=True)
    mask = torch.zeros(3, 6, dtype=torch.bool)
    mask[0, 4] = mask[2, 1] = True
    loss = contrastive_loss(scores, mask, 0.1)
    loss.backward()
    assert scores.grad[mask].tolist() == [0.0, 0.0]
    changed = scores.detach().masked_fill(mask, 1e6)
    assert contrastive_loss(changed, mask, 0.1).item() == loss.item()


def test_a_limit_keeps_whole_pairs() -> None:
    import numpy as np

    from interlock.lanes.query_tower.examples import SplitTexts, limited

    texts = SplitTexts(
        queries=[f"q{row}" for row in range(300)],
        documents=[f"d{row}" for row in range(300)],
        query_row=np.arange(300),
        document_row=np.arange(300)[::-1].copy(),
    )
    few = limited(texts, 120, seed=1)
    found = {(few.queries[q], few.documents[d]) for q, d in zip(few.query_row, few.document_row, strict=True)}
    assert len(found) == 120
    assert found <= {(f"q{row}", f"d{299 - row}") for row in range(300)}
    assert limited(texts, 120, seed=1).queries == few.queries
    assert limited(texts, 120, seed=2).queries != few.queries
    assert limited(texts, None, seed=1) is texts
