"""What is removed is what was listed, and never anything that a card, a pointer or a resumption needs."""

import json
import os
import shutil
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_homes import toy_run

from interlock.provenance.attempts import run_lock
from interlock.registry.events import Proposal, append_new, union
from interlock.registry.garbage import Wanted, collect, find_garbage
from interlock.registry.promotion import promote
from interlock.registry.queries import list_models, list_runs
from interlock.registry.verify import verify_home

DAY_S = 86400.0
HIGH = "lane.gates.accuracy.target=0.99"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """A run that passed and two that gave no model; each was made in a folder under `work/`."""
    home = tmp_path_factory.mktemp("garbage") / "home"
    runs = {
        "passed": toy_run(home, home / "work" / "toy-1", "seed=1"),
        "failed": toy_run(home, home / "work" / "toy-2", "seed=2", HIGH),
        "other": toy_run(home, home / "work" / "toy-3", "seed=3", HIGH),
    }
    return home, runs


@pytest.fixture
def home(archive, tmp_path):
    shutil.copytree(archive[0], tmp_path / "home", symlinks=True)
    return tmp_path / "home"


@pytest.fixture
def runs(archive):
    return archive[1]


def now(days=0.0, **others):
    return Wanted(now_s=time.time() + days * DAY_S, **others)


def paths(items):
    return {item.path for item in items if not item.in_use}


def files(home):
    """Every file but locks, which are never removed, and the index, which follows from the rest."""
    skipped = ("state/locks", "registry/models.db")
    found = {path.relative_to(home).as_posix(): path for path in home.rglob("*") if path.is_file()}
    return {name: path.read_bytes() for name, path in found.items() if not name.startswith(skipped)}


def assert_whole(home):
    found = verify_home(home)
    assert [str(link) for link in found.links if link.state == "broken"] == []
    assert [str(run.first_broken) for run in found.runs if not run.ok] == []


def test_what_is_archived_needs_no_work_folder(home):
    before = files(home)
    listed = find_garbage(home, now())
    assert files(home) == before, "looking changes nothing"
    (prepared,) = (home / "work" / "prepared").iterdir()
    assert paths(listed) == {"work/toy-1", "work/toy-2", "work/toy-3", f"work/prepared/{prepared.name}"}
    assert all(item.why and item.size_bytes > 0 for item in listed)
    assert collect(home, now()) == listed
    assert {name for name in before if not name.startswith("work/")} == set(files(home))
    assert (find_garbage(home, now()), collect(home, now())) == ((), ())
    assert len(list_runs(home)) == 3
    assert_whole(home)


def test_prepared_data_of_the_present_configuration_stays(home):
    (prepared,) = (home / "work" / "prepared").iterdir()
    kept = now(prepared=frozenset({prepared.name}))
    assert f"work/prepared/{prepared.name}" not in paths(collect(home, kept))
    assert prepared.is_dir()


def test_a_record_that_the_archive_lacks_keeps_its_folder(home):
    for number, name in enumerate(("train/record.json", "judge/record.json"), start=1):
        path = home / "work" / f"toy-{number}" / name
        path.write_text(path.read_text() + " ")
    (home / "work" / "toy-3" / "decide" / "record.json").unlink()
    assert not [path for path in paths(find_garbage(home, now())) if path.startswith("work/")]
    assert {path for path in paths(find_garbage(home, now(days=15))) if path.startswith("work/toy")} == {
        "work/toy-1", "work/toy-2", "work/toy-3",
    }  # fmt: skip


def test_an_interrupted_run_can_still_be_resumed(home, tmp_path):
    state = home / "state" / "runs" / ("f" * 16)
    state.mkdir(parents=True)
    (state / "toy.json").write_text("[]")
    for wanted in (now(), now(days=99), now(state=True)):
        collect(home, wanted)
        assert (state / "toy.json").is_file()
    assert "state/runs/" + "f" * 16 in paths(collect(home, now(days=15, state=True)))
    assert not state.exists()


def test_resume_states_of_archived_runs_go(home, runs):
    state = home / "state" / "runs" / runs["passed"]
    state.mkdir(parents=True, exist_ok=True)
    (state / "toy.json").write_text("[]")
    assert f"state/runs/{runs['passed']}" in paths(collect(home, now()))
    assert not state.exists()


def test_what_a_process_works_on_stays(home, runs):
    state = home / "state" / "runs" / runs["passed"]
    state.mkdir(parents=True, exist_ok=True)
    (prepared,) = (home / "work" / "prepared").iterdir()
    with run_lock(home, "run-toy-1"), run_lock(home, runs["passed"]):
        listed = {item.path: item.in_use for item in find_garbage(home, now())}
        assert listed["work/toy-1"]
        assert listed[f"state/runs/{runs['passed']}"]
        assert f"work/prepared/{prepared.name}" not in listed, "the configuration at work uses it"
        collect(home, now())
        assert (home / "work" / "toy-1" / "train" / "record.json").is_file()
        assert prepared.is_dir()
        assert state.is_dir()
    collect(home, now())
    assert not (home / "work" / "toy-1").exists()


def test_what_killed_processes_left_goes(home):
    left = ["quarantine/x-y/reason.json", "incoming/home/a", "trash/b/c", "runs/.part-of.part", "registry/.events.part"]
    for name in left:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text('{"reason": "rotten"}')
    young = home / "registry" / ".young.part"
    young.write_text("somebody writes this now")
    for name in ("runs/.part-of.part", "registry/.events.part"):
        os.utime(home / name, (0, 0))
    listed = find_garbage(home, now())
    assert {item.path: item.why for item in listed}["quarantine/x-y"] == "refused by pull: rotten"
    collect(home, now())
    assert [name for name in left if (home / name).exists()] == []
    assert young.exists()


def test_runs_without_a_model_go_only_when_asked_for_and_old(home, runs):
    for wanted in (now(), now(days=99), now(runs=True)):
        assert not [path for path in paths(find_garbage(home, wanted)) if path.startswith("runs/")]
    removed = paths(collect(home, now(days=15, runs=True)))
    assert {path for path in removed if path.startswith("runs/")} == {f"runs/{runs['failed']}", f"runs/{runs['other']}"}
    states = {run.run_id: run.state for run in list_runs(home)}
    assert states == {runs["passed"]: "decided", runs["failed"]: "removed", runs["other"]: "removed"}
    assert [line.event.kind for line in union(home)][-2:] == ["removed", "removed"]
    assert collect(home, now(days=15, runs=True)) == ()
    assert_whole(home)


def refer_by_sweep(home, run):
    path = home / "sweeps" / "s" / "jobs" / "000000.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"run_id": run}))


def refer_by_signature(home, run):
    (home / "runs" / run / "signatures").mkdir()


def refer_by_promotion(home, run):
    append_new(home, [Proposal(kind="promoted", subject="m", body={"run_id": run})])


def refer_by_waiver(home, run):
    append_new(home, [Proposal(kind="waived", subject=run, body={"run_id": run})])


def refer_by_approval(home, run):
    append_new(home, [Proposal(kind="approval_requested", subject=run, body={"run": run})])


def refer_by_lineage(home, run):
    change_card(home, parent_run=run)


def refer_by_input(home, run):
    change_card(home, inputs={"first_stage": f"run:{run}"})


def change_card(home, **fields):
    for path in (home / "runs").glob("*/models/run_card.json"):
        if (card := json.loads(path.read_text()))["export"] == "completed":
            path.chmod(0o644)
            path.write_text(json.dumps({**card, **fields}))


def refer_by_baseline(home, run):
    path = home / "runs" / ("1" * 16) / "judgements" / "j" / "baselines.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"run_id": "1" * 16, "items": [{"name": f"run:{run}/accuracy"}]}))


REFERENCES = [
    refer_by_sweep,
    refer_by_signature,
    refer_by_promotion,
    refer_by_waiver,
    refer_by_approval,
    refer_by_lineage,
    refer_by_input,
    refer_by_baseline,
]


@pytest.mark.parametrize("refer", REFERENCES)
def test_a_run_that_something_refers_to_stays(home, runs, refer):
    refer(home, runs["failed"])
    gone = {path for path in paths(find_garbage(home, now(days=15, runs=True))) if path.startswith("runs/")}
    assert gone == {f"runs/{runs['other']}"}


def test_the_run_of_a_lane_folder_stays(home, runs):
    kept = now(days=15, runs=True, current=frozenset({runs["failed"]}))
    assert f"runs/{runs['failed']}" not in paths(find_garbage(home, kept))


def test_a_removal_that_fails_half_way_is_finished_by_the_next(home, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", lambda *arguments, **others: None)
        removed = paths(collect(home, now()))
    assert (home / "trash").is_dir()
    assert not [path for path in removed if (home / path).exists()], "nothing half-removed is seen"
    assert paths(collect(home, now())) == {"trash"}
    assert not (home / "trash").exists()


@settings(max_examples=6, deadline=None)
@given(
    st.sets(st.sampled_from(["toy-1", "toy-2", "toy-3"])),
    st.booleans(),
    st.booleans(),
    st.sampled_from([0.0, 13.0, 15.0, 400.0]),
    st.sets(st.sampled_from(range(len(REFERENCES)))),
    st.booleans(),
)
def test_nothing_that_is_reachable_is_ever_removed(
    archive, tmp_path_factory, unfinished, state, with_runs, days, references, promoted
):
    home, runs = tmp_path_factory.mktemp("reachable") / "home", archive[1]
    shutil.copytree(archive[0], home, symlinks=True)
    if promoted:
        promote(home, list_models(home)[0].id, to="staging", by="Ada", reason="best")
    references &= {0, 1}  # the others make an archive that does not verify
    for number in references:
        REFERENCES[number](home, runs["failed"])
    for name in unfinished:
        (home / "work" / name / "judge" / "record.json").unlink()
    resumable = home / "state" / "runs" / ("e" * 16)
    resumable.mkdir(parents=True)
    (resumable / "state").write_text("half-way")
    before = files(home)
    wanted = now(days=days, state=state, runs=with_runs)
    listed = find_garbage(home, wanted)
    assert collect(home, wanted) == listed
    after = files(home)

    gone = {name for name in before if name not in after}
    assert all(any(name.startswith(f"{item.path}/") or name == item.path for item in listed) for name in gone)
    reachable = {name for name in before if name.startswith((f"runs/{runs['passed']}/", "registry/", "sweeps/"))}
    reachable |= {name for name in before if references and name.startswith(f"runs/{runs['failed']}/")}
    reachable |= {name for name in before if not with_runs and name.startswith("runs/")}
    if days < 14:
        reachable |= {name for name in before for folder in unfinished if name.startswith(f"work/{folder}/")}
        reachable |= {name for name in before if name.startswith(("state/runs/", "runs/"))}
    if not state:
        reachable |= {name for name in before if name.startswith("state/runs/")}
    assert reachable <= set(after) | {"registry/events.jsonl"}
    assert_whole(home)
    shutil.rmtree(home)
