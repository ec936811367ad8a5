import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from interlock.lanes.reranker.lists import ANSWER, HARD, SOFT
from interlock.lanes.reranker.model import NOWHERE
from interlock.lanes.reranker.ranking import RerankTraining, graded_losses


def loss(scores, grades, *, filled=None, soft_weight=1.0):
    filled = [[True] * len(row) for row in scores] if filled is None else filled
    tensors = torch.tensor(scores, dtype=torch.float32), torch.tensor(grades), torch.tensor(filled)
    return graded_losses(*tensors, soft_weight=soft_weight).item()


def test_an_even_list_costs_the_logarithm_of_its_length():
    assert loss([[0.0] * 4], [[ANSWER, HARD, HARD, HARD]], soft_weight=0.0) == pytest.approx(math.log(4))


def test_answers_do_not_compete_with_each_other():
    one = loss([[1.0, 0.0]], [[ANSWER, HARD]], soft_weight=0.0)
    assert loss([[1.0, 1.0, 0.0]], [[ANSWER, ANSWER, HARD]], soft_weight=0.0) == pytest.approx(one)


def test_soft_before_hard_by_hand():
    expected = math.log(1 + math.exp(-(2.0 - 0.5)))
    without = loss([[3.0, 2.0, 0.5]], [[ANSWER, SOFT, HARD]], soft_weight=0.0)
    assert loss([[3.0, 2.0, 0.5]], [[ANSWER, SOFT, HARD]], soft_weight=2.0) == pytest.approx(without + 2 * expected)


def test_empty_places_change_nothing():
    short = loss([[3.0, 2.0, 0.5]], [[ANSWER, SOFT, HARD]])
    padded = loss([[3.0, 2.0, 0.5, NOWHERE]], [[ANSWER, SOFT, HARD, 0]], filled=[[True, True, True, False]])
    assert padded == pytest.approx(short)


@given(st.lists(st.floats(-50, 50, width=32), min_size=3, max_size=6), st.floats(0.5, 5.0, width=32))
def test_a_higher_answer_and_a_lower_hard_negative_never_cost_more(scores, step):
    grades = [ANSWER, SOFT, *[HARD] * (len(scores) - 2)]
    before = loss([scores], [grades])
    assert loss([[scores[0] + step, *scores[1:]]], [grades]) <= before + 1e-4
    assert loss([[*scores[:-1], scores[-1] - step]], [grades]) <= before + 1e-4


def test_gradients_are_finite_where_places_are_empty():
    scores = torch.tensor([[1.0, 0.0, NOWHERE], [NOWHERE] * 3], requires_grad=True)
    filled = torch.tensor([[True, True, False], [False] * 3])
    graded_losses(scores, torch.tensor([[2, 0, 0], [0, 0, 0]]), filled, soft_weight=1.0).sum().backward()
    assert torch.isfinite(scores.grad).all()


def test_lists_count_by_their_weight(tiny_reranker):
    scores = torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 0.0]])
    body = tiny_reranker.body()
    module = RerankTraining(torch.nn.Identity(), optimizer=body.optimizer, trainer=body.trainer)
    module.network.forward = lambda part: scores[: len(part["weight"])]

    def part(*weight):
        filled = torch.ones(len(weight), 2, dtype=torch.bool)
        return {"grades": torch.tensor([[2, 0]] * len(weight)), "filled": filled, "weight": torch.tensor(weight)}

    alone = module.loss(part(1.0))
    assert module.loss(part(1.0, 1e-9)).item() == pytest.approx(alone.item())
    assert module.weight(part(1.0, 0.5), 2) == 1.5
    expected = (math.log(1 + math.exp(-1)) + 0.5 * math.log(1 + math.e) + 0.25 * math.log(2)) / 1.75
    assert module.loss(part(1.0, 0.5, 0.25)).item() == pytest.approx(expected)
