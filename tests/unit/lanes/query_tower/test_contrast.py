"""The tower under training: micro-batches have the negatives, and so the gradient, of the whole batch."""

import numpy as np
import pytest
import torch

from interlock.lanes.query_tower.config import HashedEncoder, TowerTrainer
from interlock.lanes.query_tower.contrast import TowerTraining
from interlock.lanes.query_tower.fitting import fit_hashed
from interlock.lanes.query_tower.inputs import DOCUMENT, QUERY, MatrixInputs
from interlock.lanes.query_tower.model import TowerNetwork
from interlock.lanes.query_tower.pairs import Pairs
from interlock.lanes.query_tower.vectors import VectorsNetwork
from interlock.lanes.training.batches import Fetched
from interlock.lanes.training.config import AdamW

HASHED = (
    '{"kind": "hashed", "buckets": 1024, "lexical": {"dimensions": 64}, "semantic": {"dimensions": 8, "dropout": %s}}'
)
ROWS = list(range(11))


def texts(words, seed):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(["read", "csv", "plot", "axis", "tensor", "layer", "merge"], words)) for _ in ROWS]


def hashed(dropout=0.0):
    sources = texts(12, 0), texts(4, 1)
    network, front = fit_hashed(HashedEncoder.model_validate_json(HASHED % dropout), *sources, seed=7)
    network.table_WS.data.normal_(generator=torch.Generator().manual_seed(2))
    documents, queries = (front.inputs(source, role) for source, role in zip(sources, (DOCUMENT, QUERY), strict=True))
    return network, front.trained_part(queries), front.trained_part(documents)


def vectors(dropout=0.0):
    random = np.random.default_rng(3)
    network = VectorsNetwork(6)
    network.residual_RVV.data.normal_(generator=torch.Generator().manual_seed(2))
    return network, *(MatrixInputs(random.normal(size=(11, 6)).astype(np.float32)) for _ in range(2))


def step(encoder, micro_batch, *, dropout=0.0, double=False):
    """Loss and gradient of one step; two mined negatives for each of 11 pairs, three answers to one query."""
    network, queries, documents = encoder(dropout)
    negatives = np.random.default_rng(4).integers(0, 11, size=(11, 5))
    examples = Pairs(
        queries=queries, documents=documents, query_row=np.array([0, 0, 0, *range(3, 11)]),
        document_row=np.arange(11), negatives=negatives, draws=2, seed=5,
    )  # fmt: skip
    trainer = TowerTrainer(epochs=1, batch_size=11, micro_batch=micro_batch)
    tower = TowerNetwork(network, dimensions=network.dimensions, reference_dimensions=2)
    module = TowerTraining(tower, optimizer=AdamW(kind="adamw", lr=1e-3), trainer=trainer)
    batch = Fetched(examples, micro_batch=trainer.micro_batch).__getitems__(ROWS)
    if double:
        module.double()
        for side in ("queries", "documents"):
            for part in batch.parts[0][side]:
                part.update({name: value.double() for name, value in part.items() if value.is_floating_point()})
    torch.manual_seed(1)
    loss = module.training_step(batch, 0)
    loss.backward()
    (gradient,) = [parameter.grad for parameter in network.parameters()]
    return loss.item(), gradient, batch


@pytest.mark.parametrize("encoder", [hashed, vectors])
@pytest.mark.parametrize("size", [1, 3, 5, 11])
def test_the_gradient_is_that_of_the_whole_batch(encoder, size):
    for double in (False, True):
        expected, whole, _ = step(encoder, None, double=double)
        loss, found, _ = step(encoder, size, double=double)
        assert loss == pytest.approx(expected, rel=1e-6)
        assert (found - whole).norm() <= 1e-6 * whole.norm()


def test_negatives_of_other_parts_count():
    """The same parts on their own, as plain accumulation would take them, have another gradient."""
    _, whole, _ = step(vectors, None)
    _, found, batch = step(vectors, 5)
    assert [len(part["vectors"]) for part in batch.parts[0]["queries"]] == [5, 5, 1]
    assert [len(part["vectors"]) for part in batch.parts[0]["documents"]] == [15, 15, 3]
    assert batch.parts[0]["masked"].shape == (11, 33)
    assert torch.allclose(found, whole, rtol=1e-4, atol=1e-6)


def test_a_micro_batch_of_the_whole_is_the_whole():
    assert torch.equal(step(hashed, 11, dropout=0.5)[1], step(hashed, None, dropout=0.5)[1])


def test_dropout_is_drawn_once_for_each_step(monkeypatch):
    loss, found, _ = step(hashed, 3, dropout=0.5)
    monkeypatch.setattr(
        TowerTraining, "encoded", lambda self, encode, parts: torch.cat([encode(part) for part in parts])
    )
    kept_loss, kept, _ = step(hashed, 3, dropout=0.5)
    assert loss == kept_loss
    assert torch.allclose(found, kept, rtol=1e-6, atol=1e-9)
