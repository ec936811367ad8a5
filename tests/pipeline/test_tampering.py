"""Every kind of forgery is found in a signed home, and every way to work honestly is left in peace.

The same kinds at a larger scale, with and without signatures: `benchmarks/tampering.py`.
"""

import random
import shutil
from pathlib import Path

import pytest
from forger import Forger
from forgeries import KINDS
from honest_runs import VARIETIES, HonestRuns

from interlock.provenance.signing import new_key
from interlock.runs.proof.prove import prove_home

ROOT = Path(__file__).resolve().parents[2]
SEEN_WITHOUT_A_SIGNATURE = {
    "edited metric",
    "edited metric and the card's digest of it",
    "edited prepared data",
    "forged lock digest",
    "forged code digest",
    "edited configuration on record",
    "flipped verdict",
    "swapped card",
    "edited registry",
}
"""Careful forgeries that do not fit themselves: the run id, the scores or the gates give them away."""


@pytest.fixture(scope="module")
def public(tmp_path_factory):
    path = tmp_path_factory.mktemp("keys") / "key"
    new_key(path)
    return path.with_name("key.pub")


@pytest.fixture(scope="module")
def bases(tmp_path_factory, public):
    """One signed home for each variety that is forged: `(home, run, other)`."""
    root = tmp_path_factory.mktemp("bases")
    maker, key = HonestRuns(root, workspace=ROOT), public.with_name("key")
    made = {}
    for number, variety in enumerate(sorted({kind.variety for kind in KINDS})):
        home = root / str(number)
        run_id = maker.run(home, seed=1, variety=variety, key=key)
        made[variety] = (home, run_id, maker.run(home, seed=2, lr=0.4, key=key))
    return made


@pytest.mark.parametrize("careful", [False, True], ids=["careless", "careful"])
@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_a_forgery_is_found(bases, public, tmp_path, kind, careful):
    base, run_id, other = bases[kind.variety]
    home = shutil.copytree(base, tmp_path / "home")
    kind.forge(Forger(home, run_id), other, careful, random.Random(f"{kind.name}{careful}"))
    found = prove_home(home, public_key=public)
    assert not found.ok
    if not careful or kind.name in SEEN_WITHOUT_A_SIGNATURE:
        for folder in (home / "runs").glob("*/signatures"):
            shutil.rmtree(folder)
        assert not prove_home(home).ok


def test_honest_runs_of_all_varieties_are_left_in_peace(public, tmp_path):
    maker = HonestRuns(tmp_path, workspace=ROOT)
    for key in (None, public.with_name("key")):
        home = tmp_path / f"home-{key is not None}"
        for seed, variety in enumerate(VARIETIES):
            maker.run(home, seed=seed, variety=variety, key=key)
        found = prove_home(home, workspace=ROOT, public_key=public if key else None)
        assert [str(run.first_broken) for run in found.runs if not run.ok] == []
        assert found.ok
        assert len(found.runs) == len(VARIETIES)
