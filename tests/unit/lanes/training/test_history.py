from hypothesis import given
from hypothesis import strategies as st

from interlock.lanes.training.history import (
    EpochRow,
    best_epoch,
    patience_is_over,
    rows_as_csv,
    rows_as_state,
    rows_from_state,
)

finite = st.floats(allow_nan=False, allow_infinity=False)


def history(*validation):
    return [
        EpochRow(epoch=i, step=10 * i, train_loss=1.0 / i, validation_loss=value, lr=1e-3)
        for i, value in enumerate(validation, start=1)
    ]


@given(st.lists(finite, max_size=20))
def test_rows_survive_a_state_exactly(values):
    rows = history(*values)
    assert rows_from_state(rows_as_state(rows)) == rows


def test_csv_is_exact():
    assert rows_as_csv(history(0.1)) == "epoch,step,train_loss,validation_loss,lr\n1,10,1.0,0.1,0.001\n"


def test_the_earliest_of_equal_epochs_is_best():
    assert best_epoch(history(3.0, 1.0, 1.0)) == 2
    assert best_epoch([]) == 0


def test_patience_counts_epochs_since_the_best():
    assert not patience_is_over(history(3.0, 1.0, 2.0), patience=2, min_delta=0.0)
    assert patience_is_over(history(3.0, 1.0, 2.0, 1.0), patience=2, min_delta=0.0)
    assert not patience_is_over(history(3.0, 1.0, 2.0, 0.9), patience=2, min_delta=0.0)
    assert patience_is_over(history(3.0, 1.0, 2.0, 0.9), patience=2, min_delta=0.2)
    assert not patience_is_over(history(*[1.0] * 50), patience=None, min_delta=0.0)


@given(st.lists(finite, min_size=1, max_size=20), st.integers(min_value=1, max_value=5))
def test_a_new_best_always_resets_the_patience(values, patience):
    rows = history(*values, min(values) - 1.0 - abs(min(values)) * 0.1)
    assert not patience_is_over(rows, patience=patience, min_delta=0.0)
