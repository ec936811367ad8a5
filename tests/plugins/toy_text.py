"""The toy lane's composed configuration as text, composed once per process for the same overrides."""

from functools import cache
from pathlib import Path

from interlock.config.compose import compose_lane
from interlock.config.params import composed_text
from interlock.config.validate import validate

ROOT = Path(__file__).resolve().parents[2]


def toy_text(*overrides: str) -> str:
    """What the compose stage writes for the toy lane; composed anew where an override asks the registry."""
    return _composed(overrides) if any("registry:" in item for item in overrides) else _kept(overrides)


def _composed(overrides: tuple[str, ...]) -> str:
    return composed_text(validate(compose_lane(ROOT / "conf", ["lane=toy", *overrides]), subject="toy"))


_kept = cache(_composed)
