"""The toy lane as a drive composes it, in a temporary folder; the code is this checkout's."""

from pathlib import Path

import pytest

from interlock.commands.drive import composer

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def compose(tmp_path, monkeypatch):
    """Gives a composer of the toy lane with further overrides."""
    monkeypatch.setenv("INTERLOCK_HOME", str(tmp_path / "home"))

    def make(*overrides):
        return composer(ROOT, ["lane=toy", *overrides])

    return make
