"""Homes with real runs of the toy lane: made once, copied for every test that changes them."""

import shutil
from pathlib import Path

import pytest
from honest_runs import HonestRuns

from interlock.provenance.signing import new_key

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="session")
def key(tmp_path_factory):
    """A signing key; its public half is `<key>.pub`."""
    path = tmp_path_factory.mktemp("keys") / "key"
    new_key(path)
    return path


@pytest.fixture(scope="session")
def public(key):
    return key.with_name("key.pub")


@pytest.fixture(scope="session")
def maker(tmp_path_factory):
    return HonestRuns(tmp_path_factory.mktemp("maker"), workspace=ROOT)


@pytest.fixture(scope="session")
def honest_home(maker, tmp_path_factory):
    """A home with two runs, unsigned: `(home, run, other)`."""
    home = tmp_path_factory.mktemp("honest") / "home"
    return home, maker.run(home, seed=1, variety="resumed"), maker.run(home, seed=2, lr=0.4)


@pytest.fixture(scope="session")
def honest_signed_home(maker, key, tmp_path_factory):
    """The same, signed by sync."""
    home = tmp_path_factory.mktemp("signed") / "home"
    run_id = maker.run(home, seed=1, variety="judged again by hand", key=key)
    return home, run_id, maker.run(home, seed=2, lr=0.4, key=key)


@pytest.fixture
def runs(honest_home, tmp_path):
    shutil.copytree(honest_home[0], tmp_path / "home")
    return tmp_path / "home", *honest_home[1:]


@pytest.fixture
def signed_runs(honest_signed_home, tmp_path):
    shutil.copytree(honest_signed_home[0], tmp_path / "home")
    return tmp_path / "home", *honest_signed_home[1:]
