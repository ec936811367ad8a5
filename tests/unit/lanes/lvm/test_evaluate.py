import numpy as np
import pytest

from interlock.lanes.lvm.evaluate import COSINE, RECALL, next_scores

EYE = np.eye(8, dtype=np.float32)


def scores(predicted, answers, candidates=EYE):
    answers = np.array(answers)
    found = next_scores(np.array(predicted, np.float32), candidates[answers], candidates, answers)
    return found[COSINE].tolist(), found[RECALL].tolist()


def test_the_right_one_is_found_among_the_five_nearest():
    near = np.arange(8, 0, -1, dtype=np.float32)  # candidate 0 is nearest, 7 farthest
    near /= np.linalg.norm(near)
    cosine, found = scores([near, near, near], [0, 4, 5])
    assert found == [1.0, 1.0, 0.0]
    assert cosine == pytest.approx([near[0], near[4], near[5]])


def test_equal_candidates_count_against():
    assert scores([EYE[0]], [0])[1] == [1.0]
    assert scores([EYE[0]], [1])[1] == [0.0]  # seven others share its score of 0 or beat it
    assert scores([np.zeros(8)], [3]) == ([0.0], [0.0])


def test_a_target_without_direction_is_a_miss():
    candidates = EYE.copy()
    candidates[2] = 0.0
    assert scores([EYE[2]], [2], candidates) == ([0.0], [0.0])
