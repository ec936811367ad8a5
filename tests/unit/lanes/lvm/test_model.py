import json
import math

import pytest
import torch

from interlock.lanes.lvm.config import Lvm
from interlock.lanes.lvm.model import NextVector, direction_loss


@pytest.fixture
def network(tiny, kind):
    torch.manual_seed(0)
    return NextVector(tiny.body(kind, model__layers=2).model).eval()


def test_a_prediction_depends_on_no_later_passage(network):
    vectors = torch.randn(2, 9, 8)
    changed = vectors.clone()
    changed[:, 5:] = torch.randn(2, 4, 8)
    with torch.no_grad():
        before, after = network(vectors), network(changed)
    torch.testing.assert_close(before[:, :5], after[:, :5])
    assert (before[:, 5:] - after[:, 5:]).abs().max() > 1e-3


def test_a_prediction_depends_on_every_earlier_passage(network):
    vectors = torch.randn(1, 6, 8)
    with torch.no_grad():
        whole = network(vectors)[:, -1]
        for place in range(6):
            changed = vectors.clone()
            changed[:, place] = 0.0
            assert (network(changed)[:, -1] - whole).abs().max() > 1e-5


def test_predictions_have_length_1_even_of_passages_without_direction(network):
    with torch.no_grad():
        predicted = network(torch.zeros(1, 4, 8))
    torch.testing.assert_close(predicted.norm(dim=-1), torch.ones(1, 4))


def test_every_parameter_learns(network):
    predicted = network(torch.randn(2, 5, 8))
    direction_loss(predicted, torch.nn.functional.normalize(torch.randn(2, 5, 8), dim=-1), torch.ones(2, 5)).backward()
    still = [name for name, parameter in network.named_parameters() if not parameter.grad.abs().sum() > 0]
    # a bias of the keys adds the same to every score of a row, so softmax drops it; it is a third of this tensor
    assert still == []


def test_loss_by_hand():
    predicted = torch.tensor([[[1.0, 0.0], [0.6, 0.8]], [[0.0, 1.0], [1.0, 0.0]]])
    targets = torch.tensor([[[1.0, 0.0], [1.0, 0.0]], [[0.0, -1.0], [0.0, 0.0]]])
    known = torch.tensor([[1.0, 1.0], [1.0, 0.0]])
    assert float(direction_loss(predicted, targets, known)) == pytest.approx((0.0 + 0.4 + 2.0) / 3)


def test_nothing_to_predict_is_no_loss_and_no_nan():
    loss = direction_loss(torch.ones(1, 2, 2), torch.zeros(1, 2, 2), torch.zeros(1, 2))
    assert float(loss) == 0.0
    assert math.isfinite(float(loss))


def test_configuration_survives_a_round_trip(tiny, kind):
    lane = tiny.body(kind)
    assert Lvm.model_validate_json(json.dumps(lane.model_dump(mode="json"))) == lane
