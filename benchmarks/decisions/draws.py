"""Random configurations from a search space: uniform, or uniform in the logarithm, as each key's scale says."""

import math
import random
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from decisions.settings import SETTINGS

ROOT = Path(__file__).resolve().parents[2]


def draw(setting: str, rng: random.Random, *, conf: Path = ROOT / "conf") -> dict[str, float]:
    """One configuration of a setting's search space, with six significant digits."""
    return {key: _value(bounds, rng) for key, bounds in sorted(search_space(setting, conf=conf).items())}


@cache
def search_space(setting: str, *, conf: Path = ROOT / "conf") -> Mapping[str, Mapping[str, Any]]:
    """Bounds by key, as the setting is composed."""
    from interlock.config.compose import compose_lane

    return dict(compose_lane(conf, list(SETTINGS[setting])).values["lane"]["search_space"])


def _value(bounds: Mapping[str, Any], rng: random.Random) -> float:
    low, high = float(bounds["low"]), float(bounds["high"])
    is_log = bounds["scale"] == "log"
    value = math.exp(rng.uniform(math.log(low), math.log(high))) if is_log else rng.uniform(low, high)
    return round(value) if bounds["integer"] else float(f"{min(max(value, low), high):.6g}")
