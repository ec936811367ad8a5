"""Temperature scaling: one number, fitted on validation pairs, that makes stated probabilities come true.

Guo et al. 2017 (https://arxiv.org/abs/1706.04599). It changes no answer, only how sure it sounds. Test pairs never
enter. Does not measure calibration: that is `interlock.gates.calibration`.
"""

import math

import numpy as np
from numpy.typing import NDArray

TEMPERATURE_MIN, TEMPERATURE_MAX = 0.05, 20.0
"""Between them the temperature is looked for; a score of no worth at all ends at the largest."""


def fit_temperature(scores: NDArray[np.float64]) -> float:
    """The temperature with the least mean of -log sigmoid(score / temperature) over forward pairs [P >= 1]."""
    from scipy.optimize import minimize_scalar

    def loss(log_temperature: float) -> float:
        return float(np.logaddexp(0.0, -scores / math.exp(log_temperature)).mean())

    bounds = (math.log(TEMPERATURE_MIN), math.log(TEMPERATURE_MAX))
    found = minimize_scalar(loss, bounds=bounds, method="bounded", options={"xatol": 1e-6})
    return math.exp(float(found.x))
