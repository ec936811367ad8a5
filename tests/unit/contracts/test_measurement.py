"""Measurements refuse what cannot be a measurement."""

import pytest
from pydantic import ValidationError

from interlock.contracts.measurement import Measurement, Measurements

FIELDS = {"name": "m", "value": 0.5, "unit": "ratio", "n": 4, "estimator": "rate", "evidence": "metrics.json#/m"}


@pytest.mark.parametrize(
    "changes",
    [
        {"value": float("nan")},
        {"value": float("inf")},
        {"value": "0.5"},
        {"n": -1},
        {"n": True},
        {"estimator": "guess"},
        {"estimator": "quantile"},
        {"quantile": 0.9},
        {"estimator": "quantile", "quantile": 1.0},
        {"score_range": (1.0, 0.0)},
        {"split_sha256": "abc"},
        {"surprise": 1},
    ],
    ids=str,
)
def test_refused(changes):
    with pytest.raises(ValidationError):
        Measurement(**(FIELDS | changes))


def test_survives_json():
    whole = Measurement(**FIELDS, score_range=(0.0, 1.0))
    assert Measurement.model_validate_json(whole.model_dump_json()) == whole


def test_a_name_is_measured_once():
    one = Measurement(**FIELDS)
    with pytest.raises(ValidationError, match="measured more than once: m"):
        Measurements(run_id="r", items=(one, one))
