import numpy as np
import pytest
import torch
from torch import nn

from interlock.errors import DataError
from interlock.lanes.query_tower.echo_head import VectorReference, load_reference, set_echo_head
from interlock.lanes.query_tower.model import TowerNetwork


def network(width, reference):
    return TowerNetwork(nn.Identity(), dimensions=width, reference_dimensions=reference)


def test_a_linear_map_is_found_again():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(500, 6)).astype(np.float32)
    reference = (vectors @ random.normal(size=(6, 3)) + 0.5).astype(np.float32)
    tower = network(6, 3)
    set_echo_head(tower, vectors, reference, ridge=1e-6)
    decoded = tower.decode(torch.from_numpy(vectors)).numpy()
    np.testing.assert_allclose(decoded, reference, atol=1e-3)


def test_texts_without_meaning_are_left_out():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(50, 4)).astype(np.float32)
    reference = random.normal(size=(50, 2)).astype(np.float32)
    first, second = network(4, 2), network(4, 2)
    set_echo_head(first, vectors, reference, ridge=1.0)
    set_echo_head(
        second, np.concatenate([vectors, np.full((9, 4), 7, np.float32)]),
        np.concatenate([reference, np.zeros((9, 2), np.float32)]), ridge=1.0,
    )  # fmt: skip
    assert torch.equal(first.echo_head.weight, second.echo_head.weight)


def test_more_ridge_means_smaller_weights():
    random = np.random.default_rng(0)
    vectors, reference = (random.normal(size=(50, 4)).astype(np.float32) for _ in range(2))
    norms = []
    for ridge in (0.1, 10.0, 1000.0):
        tower = network(4, 4)
        set_echo_head(tower, vectors, reference, ridge=ridge)
        norms.append(tower.echo_head.weight.norm().item())
    assert norms == sorted(norms, reverse=True)


def test_a_missing_reference_is_named(tiny, tmp_path):
    with pytest.raises(DataError, match="reference"):
        load_reference(tiny.body(), tmp_path)


def test_the_reference_of_vectors_is_centred():
    training = np.array([[1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    reference = VectorReference(training.mean(axis=0))
    np.testing.assert_allclose(reference.vectors(training), np.array([[1, -1], [-1, 1]]) / np.sqrt(2), atol=1e-6)
