"""A card that somebody edited is refused wherever it would be shown, judged or recorded anew."""

import shutil
from pathlib import Path

import pytest
from forger import Forger
from lane_folders import LaneFolder

from interlock.commands.compare import difference
from interlock.commands.records import judge
from interlock.errors import InterlockError, ProvenanceError
from interlock.provenance.digest import files_under
from interlock.registry.archive import read_card
from interlock.registry.derive import rebuild
from interlock.registry.events import events_path, read_events
from interlock.registry.queries import show_run
from interlock.runs.review.facts import run_facts
from interlock.runs.sync import sync, sync_lane
from interlock.runs.tracked.results import gathered

ROOT = Path(__file__).resolve().parents[3]
RUN = "aaaa000000000001"
SENTENCE = "the run card is not the one that the event log recorded"


@pytest.fixture
def edited(runs, monkeypatch):
    """A home whose first run says that its seed was another one."""
    home, run_id, other = runs
    monkeypatch.setenv("INTERLOCK_HOME", str(home))
    Forger(home, run_id).change("models/run_card.json", lambda card: card.update(seed=7))
    return home, run_id, other


def everything(home):
    return {name: (home / name).read_bytes() for name in files_under(home) if not name.startswith("state/")}


@pytest.mark.parametrize(
    "ask",
    [
        lambda home, run_id, other: read_card(home, run_id, verify=True),
        lambda home, run_id, other: show_run(home, run_id),
        lambda home, run_id, other: difference(ROOT, other, run_id),
        lambda home, run_id, other: judge(ROOT, run_id, [], as_json=False),
        lambda home, run_id, other: rebuild(home),
        lambda home, run_id, other: gathered(home, run_id),
    ],
    ids=["read", "show", "diff", "judge", "rebuild", "track"],
)
def test_an_edited_card_is_refused_with_the_way_out_and_nothing_is_kept(edited, ask):
    home, run_id, _ = edited
    before = everything(home)
    with pytest.raises(InterlockError, match=SENTENCE) as caught:
        ask(*edited)
    assert f"interlock verify {run_id}" in str(caught.value)
    assert "dvc" not in str(caught.value)
    assert {name for name, data in everything(home).items() if before.get(name) != data} <= {
        "registry/index.sqlite", "registry/index.sqlite-shm", "registry/index.sqlite-wal",
    }  # fmt: skip


def test_a_page_says_so_instead_of_a_number(edited):
    home, run_id, other = edited
    facts = run_facts(home, run_id, workspace=ROOT)
    assert SENTENCE in facts.problem
    assert facts.view.card is None
    assert not run_facts(home, other, workspace=ROOT).problem


def test_a_changed_file_is_not_looked_for_in_dvc(runs):
    home, run_id, _ = runs
    Forger(home, run_id).write("models/metrics.json", b"{}")
    with pytest.raises(ProvenanceError, match="differs from its recorded digest") as caught:
        read_card(home, run_id, verify=True)
    assert "teammate's archive" in caught.value.hint
    assert "dvc" not in caught.value.hint


@pytest.fixture
def synced(tmp_path):
    """An archived run that waits for its export: `(workspace, home, lane)`."""
    lane = LaneFolder(tmp_path / "artifacts" / "lanes" / "tower", run_id=RUN)
    lane.finish(verdict="fail", export="skipped")
    sync_lane(lane.folder, workspace=tmp_path, home=tmp_path / "home")
    return tmp_path, tmp_path / "home", lane


def test_sync_does_not_record_what_somebody_wrote_into_a_card(synced):
    workspace, home, _ = synced
    Forger(home, RUN).change("models/run_card.json", lambda card: card.update(seed=7))
    recorded = read_events(home)
    (problem,) = sync(workspace, home).problems.values()
    assert SENTENCE in str(problem)
    assert read_events(home) == recorded


@pytest.mark.parametrize("lines", [0, 1], ids=["first card", "card of an export"])
def test_sync_goes_on_where_it_was_killed_between_a_card_and_its_event(synced, lines, monkeypatch):
    workspace, home, lane = synced
    if lines:
        lane.finish(verdict="pass", export="completed")
        with monkeypatch.context() as killed:
            killed.setattr("interlock.runs.sync.news", lambda *args: 0)
            killed.setattr("interlock.runs.sync.sign_archived", lambda *args, **kept: None)
            sync_lane(lane.folder, workspace=workspace, home=home)
    else:
        events_path(home).write_text("")
    with pytest.raises(ProvenanceError, match="event"):
        read_card(home, RUN, verify=True)
    assert not sync(workspace, home).problems
    assert read_card(home, RUN, verify=True).export == ("completed" if lines else "skipped")


def test_every_card_that_a_run_had_is_its_own(synced):
    workspace, home, lane = synced
    provisional = shutil.copy(home / "runs" / RUN / "models" / "run_card.json", workspace / "card.json")
    lane.finish(verdict="pass", export="completed")
    sync_lane(lane.folder, workspace=workspace, home=home)
    assert read_card(home, RUN, verify=True).export == "completed"
    Forger(home, RUN).write("models/run_card.json", Path(provisional).read_bytes())
    assert read_card(home, RUN, verify=True).export == "skipped"
