"""Waivers: only after `inconclusive`, never a pass, void after any other judgement, and seen."""

import shutil
from datetime import UTC, datetime, timedelta

import pytest
from toy_homes import judge_by_hand, toy_run

from interlock.contracts.verdict import Verdict
from interlock.errors import ApprovalError, RegistryError, UsageError
from interlock.registry.events import union
from interlock.registry.persons import Told
from interlock.registry.promotion import Present, promote
from interlock.registry.queries import list_models, list_runs
from interlock.registry.waivers import shown_waiver, standing_waiver, waivers
from interlock.registry.waiving import waive


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    toy_run(folder / "home", folder / "work")
    return folder / "home"


@pytest.fixture
def home(archive, tmp_path):
    shutil.copytree(archive, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def undecided(home):
    """A home whose only run is inconclusive by its newest judgement, and that run."""
    run_id = list_runs(home)[0].run_id
    judge_by_hand(home, run_id, target=accuracy(home))
    assert list_runs(home)[0].verdict == "inconclusive"
    return home, run_id


def accuracy(home):
    return float(list_models(home)[0].metrics["accuracy"])


def say(home, run_id, *, now=None, **words):
    told = Told(**{"by": "Ada", "reason": "shadow will tell", "expires": "24h"} | words)
    return waive(home, run_id, told=told, now=now or datetime.now(UTC))


@pytest.mark.parametrize(
    ("target", "verdict", "way_out"), [(0.999999, "fail", "a fail stays a fail"), (0.1, "pass", "it needs none")]
)
def test_only_an_inconclusive_verdict_can_be_waived(home, target, verdict, way_out):
    run_id = list_runs(home)[0].run_id
    judge_by_hand(home, run_id, target=target)
    before = union(home)
    with pytest.raises(RegistryError, match=f"this run's is {verdict}\n  way out: {way_out}"):
        say(home, run_id)
    assert union(home) == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"by": "dir_models"}, "only a person"),
        ({"reason": ""}, "--reason"),
        ({"expires": "15d"}, "more than 14 days ahead"),
        ({"expires": "0m"}, "in the past"),
    ],
)
def test_words_that_are_refused(undecided, words, message):
    with pytest.raises(UsageError, match=message):
        say(*undecided, **words)
    assert waivers(undecided[0], now=datetime.now(UTC)) == ()


def test_a_waived_run_stays_inconclusive_and_goes_into_shadow_alone(undecided):
    home, run_id = undecided
    model = list_models(home)[0].id
    with pytest.raises(RegistryError, match="only a pass moves forward"):
        promote(home, model, to="shadow", by="Ada", reason="look")
    waiver = say(home, run_id)
    (row,) = list_runs(home)
    assert (row.verdict, row.waived) == ("inconclusive", shown_waiver(waiver))
    assert row.waived.startswith("WAIVED by Ada until ")
    for to in ("staging", "canary", "production"):
        with pytest.raises((RegistryError, UsageError)) as refused:
            promote(home, model, to=to, share_percent=5.0 if to == "canary" else None, by="Ada", reason="go")
        assert not isinstance(refused.value, ApprovalError)
    _, event = promote(home, model, to="shadow", by="Ada", reason="look")
    assert (event.waiver, event.judgement_id) == (waiver.id, waiver.judgement_id)
    with pytest.raises(RegistryError, match="newest verdict is inconclusive"):
        promote(home, model, to="staging", by="Ada", reason="go")


def test_it_ends(undecided):
    home, run_id = undecided
    now = datetime.now(UTC)
    say(home, run_id, now=now, expires="1h")
    later = now + timedelta(hours=1)
    assert standing_waiver(home, run_id, now=later) is None
    assert [item.state for item in waivers(home, now=later)] == ["expired"]
    with pytest.raises(RegistryError, match="only a pass moves forward"):
        promote(home, list_models(home)[0].id, to="shadow", by="Ada", reason="go", present=Present(now=later))


@pytest.mark.parametrize("target", [0.1, 0.999999, None])
def test_judging_anew_voids_it(undecided, target):
    home, run_id = undecided
    say(home, run_id)
    judge_by_hand(home, run_id, target=accuracy(home) + 0.001 if target is None else target)
    assert [item.state for item in waivers(home, now=datetime.now(UTC))] == ["void"]
    assert list_runs(home)[0].waived == ""


def test_the_verdict_of_the_archive_is_untouched(undecided):
    home, run_id = undecided
    files = {path: path.read_bytes() for path in (home / "runs").rglob("*") if path.is_file()}
    say(home, run_id)
    assert {path: path.read_bytes() for path in (home / "runs").rglob("*") if path.is_file()} == files
    assert Verdict(list_runs(home)[0].verdict) is Verdict.INCONCLUSIVE
