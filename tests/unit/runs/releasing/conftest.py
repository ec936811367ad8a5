"""One home with a version in production and a better candidate, made once and copied by tests that change it."""

import os
import shutil
from contextlib import contextmanager

import pytest
from release_homes import ReleaseHome


@contextmanager
def _quick():
    """Nothing here outlives its tests; what survives a power cut is tested where files are written."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", lambda descriptor: None)
        yield


@pytest.fixture(autouse=True)
def _without_waiting_for_the_disk():
    with _quick():
        yield


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """A home, the run in production, and the candidate."""
    home = ReleaseHome(tmp_path_factory.mktemp("release"))
    with _quick():
        production = home.archive(hits=range(0, 240))
        home.into_production(production)
        return home, production, home.archive(hits=range(0, 330))


@pytest.fixture(scope="session")
def candidates(made):
    """Gives the run of a candidate with these options beside the same production; each is archived once."""
    home, known = made[0], {}

    def candidate(**options):
        key = repr(sorted(options.items()))
        if key not in known:
            known[key] = home.archive(**options)
        return known[key]

    return candidate


@pytest.fixture(scope="session")
def fresh(tmp_path_factory):
    """A home of a lane that was never released, and a candidate."""
    home = ReleaseHome(tmp_path_factory.mktemp("first"))
    with _quick():
        return home, home.archive()


@pytest.fixture
def world(made, tmp_path):
    """The same in folders of its own."""
    source, production, candidate = made
    home = ReleaseHome.at(tmp_path)
    shutil.copytree(source.home, home.home)
    return home, production, candidate
