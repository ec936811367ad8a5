import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from interlock.lanes.training.config import AdamW
from interlock.lanes.training.optimizers import learning_rate_factor


def test_a_floor_without_decay_is_refused():
    with pytest.raises(ValidationError, match=r"lr_floor 0\.1 has no effect with schedule: constant"):
        AdamW(kind="adamw", lr=1e-3, schedule="constant", lr_floor=0.1)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("constant", [1 / 3, 2 / 3, 1, 1, 1, 1, 1, 1]),
        ("linear", [1 / 3, 2 / 3, 1, 5 / 6, 4 / 6, 3 / 6, 2 / 6, 1 / 6]),
    ],
)
def test_exact_factors(schedule, expected):
    factor = learning_rate_factor(AdamW(kind="adamw", lr=1.0, schedule=schedule, warmup=0.25), 8)
    assert [factor(step) for step in range(8)] == pytest.approx(expected)


@given(
    st.sampled_from(["constant", "linear", "cosine"]),
    st.floats(min_value=0, max_value=0.9),
    st.integers(min_value=1, max_value=500),
)
def test_every_step_has_a_positive_rate_of_at_most_the_peak(schedule, warmup, total):
    factor = learning_rate_factor(AdamW(kind="adamw", lr=1.0, schedule=schedule, warmup=warmup), total)
    assert all(0.0 < factor(step) <= 1.0 for step in range(total))
