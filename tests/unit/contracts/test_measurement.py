"""Measurements refuse what cannot be a measurement."""

import pytest
from pydantic import ValidationError

from interlock.contracts.measurement import Bins, Measurement, Measurements, ScoresRef

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
        {"estimator": "calibration"},
        {"bins": Bins()},
        {"estimator": "ratio", "scores": ScoresRef(file="f", column="c", sha256="0" * 64)},
        {"scores": ScoresRef(file="f", column="c", denominator="d", sha256="0" * 64)},
        {"estimator": "calibration", "bins": Bins(), "scores": ScoresRef(file="f", column="c", sha256="0" * 64)},
        {"scores": ScoresRef(file="f", column="c", confidence="d", sha256="0" * 64)},
        {"surprise": 1},
    ],
    ids=str,
)
def test_refused(changes):
    with pytest.raises(ValidationError):
        Measurement(**(FIELDS | changes))


@pytest.mark.parametrize("bins", [{"count": 0}, {"count": 1001}, {"layout": "equal"}], ids=str)
def test_bins_are_refused(bins):
    with pytest.raises(ValidationError):
        Bins(**bins)


@pytest.mark.parametrize(
    "extra",
    [
        {"score_range": (0.0, 1.0)},
        {
            "estimator": "ratio",
            "scores": ScoresRef(file="f", column="tokens", denominator="seconds", sha256="0" * 64),
        },
        {
            "estimator": "calibration",
            "bins": Bins(count=10, layout="equal_mass"),
            "scores": ScoresRef(file="f", column="correct", confidence="p", sha256="0" * 64),
        },
    ],
    ids=str,
)
def test_survives_json(extra):
    whole = Measurement(**(FIELDS | extra))
    assert Measurement.model_validate_json(whole.model_dump_json()) == whole


def test_a_name_is_measured_once():
    one = Measurement(**FIELDS)
    with pytest.raises(ValidationError, match="measured more than once: m"):
        Measurements(run_id="r", items=(one, one))
