"""A composer over this checkout's real `conf/`, remembering what it composed."""

from pathlib import Path

import pytest

from interlock.commands.job import ConfComposer
from interlock.provenance.canonical import canonical_json

ROOT = Path(__file__).resolve().parents[4]
_kept: dict[tuple[str, str], object] = {}


class Remembering(ConfComposer):
    """Composing takes a tenth of a second; the same settings give the same configuration."""

    _choices = None

    def choices(self):
        Remembering._choices = Remembering._choices or super().choices()
        return Remembering._choices

    def compose(self, lane, settings):
        key = (lane, canonical_json(settings))
        if key not in _kept:
            _kept[key] = super().compose(lane, settings)
        return _kept[key]


@pytest.fixture
def composer():
    return Remembering(ROOT)


@pytest.fixture
def root():
    return ROOT
