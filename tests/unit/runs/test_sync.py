"""Sync archives exactly what has finished, once, and takes up whatever was interrupted."""

import hashlib
import json
import os
import random

import pytest
from lane_folders import RUN, LaneFolder, make_judgement, tree

from interlock.errors import BusyError, ProvenanceError, StageError
from interlock.provenance import attempts
from interlock.registry import index
from interlock.registry.archive import read_card
from interlock.registry.derive import rebuild
from interlock.registry.events import read_events
from interlock.registry.queries import list_models, list_runs, show_run
from interlock.runs import sync as sync_module
from interlock.runs.runner import run_lane
from interlock.runs.sync import keep_judgement, sync, sync_lane
from interlock.stages.progress import Silent


@pytest.fixture
def workspace(tmp_path):
    return tmp_path / "workspace"


@pytest.fixture
def home(tmp_path):
    return tmp_path / "home"


@pytest.fixture
def lane(workspace):
    return LaneFolder(workspace / "artifacts" / "lanes" / "query_tower")


def kinds(home):
    """Kinds of events; how the files beside the model are remembered has tests of its own."""
    return [event.kind for event, _ in read_events(home) if event.kind != "files_kept"]


def said(home):
    """Events without the clock."""
    return [(event.kind, event.subject, event.key) for event, _ in read_events(home) if event.kind != "files_kept"]


def test_nothing_finished_is_nothing_archived(workspace, home, lane):
    lane.finish(until="prepare")
    report = sync(workspace, home)
    assert [(item.run_id, item.change) for item in report.lanes] == [(None, "unfinished")]
    assert not (home / "runs").exists()


def test_a_finished_lane_becomes_a_candidate(workspace, home, lane):
    lane.finish()
    report = sync(workspace, home)
    assert (report.lanes[0].change, report.lanes[0].missing, dict(report.problems)) == ("archived", (), {})
    assert kinds(home) == ["run_archived", "model_registered", "judged", "decided"]
    models = home / "runs" / RUN / "models"
    assert set(tree(models)) == {
        "run_card.json", "dataset_card.json", "model.safetensors", "checkpoints/best.safetensors", "loss.csv",
        "train_log.jsonl", "metrics.json", "measurements.json", "eval_report.md", "model.onnx",
        "export/metrics.json", "export/measurements.json", "records/prepare.json", "records/train.json",
        "records/evaluate.json", "records/export.json",
    }  # fmt: skip
    (model,) = list_models(home)
    assert model.id == f"tower_docstrings_20260301_aaaaaaa_{RUN}"
    assert (model.verdict, model.stage, model.path) == ("pass", "candidate", f"runs/{RUN}/models/model.safetensors")
    assert model.sha256 == hashlib.sha256(b"weights").hexdigest()
    assert model.metrics == {"r_at_5": 0.6, "latency_ms": 1.5}
    assert model.hyperparameters["learning_rate"] == 0.001
    assert {key: model.hyperparameters[key] for key in ("batch_size", "epochs", "optimizer", "scheduler")} == {
        "batch_size": 32, "epochs": 3, "optimizer": "adamw", "scheduler": "cosine",
    }  # fmt: skip


def test_the_card_separates_what_is_reproducible_from_what_is_not(workspace, home, lane):
    lane.finish()
    sync(workspace, home)
    card = read_card(home, RUN, verify=True)
    assert card.results == {"r_at_5": 0.6}
    assert card.observations.results == {"latency_ms": 1.5}
    assert "train_log.jsonl" in card.observations.artifacts
    assert not {"git_commit", "env", "observations", "parent_run"} & set(card.identity())
    assert card.model_files == ("model.safetensors", "model.onnx")
    assert card.observations.spend.compute_hours == pytest.approx(4 / 60, abs=1e-6)


def test_again_changes_no_byte(workspace, home, lane):
    lane.finish()
    sync(workspace, home)
    before = tree(home)
    report = sync(workspace, home)
    assert (report.lanes[0].change, report.lanes[0].events) == ("unchanged", 0)
    assert tree(home) == before


def test_a_lane_of_interlock_run_is_not_taken_up_again(workspace, home, lane):
    lane.finish(verdict="fail", export="completed")
    lax = LaneFolder(home / "work" / "query_tower-123").finish()
    sync_lane(lax.folder, workspace=workspace, home=home)
    assert [item.folder for item in sync(workspace, home).lanes] == ["artifacts/lanes/query_tower"]
    before = said(home)
    for _ in range(3):
        assert [item.events for item in sync(workspace, home).lanes] == [0]
    assert said(home) == before
    assert [run.verdict for run in list_runs(home)] == ["fail"]


@pytest.mark.parametrize("gates", ["gates", "lax"])
def test_two_lanes_that_share_a_run_do_not_take_back_each_others_judgement(workspace, home, lane, gates):
    lane.finish(verdict="fail", export="completed")
    other = LaneFolder(workspace / "artifacts" / "lanes" / "other")
    other.lane = "other"
    other.finish(until="export")
    other.judge(verdict="fail" if gates == "gates" else "pass", gates=gates)
    other.decide(action="reject")
    report = sync(workspace, home)
    assert ([item.run_id for item in report.lanes], dict(report.problems)) == ([RUN, RUN], {})
    before = said(home)
    assert [item.events for item in sync(workspace, home).lanes] == [0, 0]
    assert said(home) == before
    assert rebuild(home).events_added == 0


def test_a_damaged_attempt_stops_neither_sync_nor_lists(workspace, home, lane):
    lane.finish()
    damaged = home / "state" / "attempts" / "query_tower" / "train" / "20260101T000000.000000Z-aaaaaa.start.json"
    damaged.parent.mkdir(parents=True)
    damaged.write_text("{")
    assert dict(sync(workspace, home).problems) == {}
    assert [run.run_id for run in list_runs(home)] == [RUN]
    assert show_run(home, RUN).attempts == ()


def test_stages_are_archived_as_they_finish(workspace, home, lane):
    lane.finish(until="train")
    assert sync(workspace, home).lanes[0].missing == ("evaluate", "export", "judge", "decide")
    assert not (home / "runs" / RUN / "models" / "run_card.json").exists()
    assert kinds(home) == []
    lane.evaluate()
    lane.export()
    sync(workspace, home)
    assert kinds(home) == ["run_archived", "model_registered"]
    assert list_runs(home)[0].state == "not judged"
    lane.judge()
    lane.decide()
    sync(workspace, home)
    assert (list_runs(home)[0].state, list_runs(home)[0].action) == ("decided", "accept")


def test_a_later_stage_left_over_from_an_earlier_run_is_not_taken(workspace, home, lane):
    lane.finish()
    lane.run_id = "f" * 16
    lane.train(weights="other")
    report = sync(workspace, home)
    assert (report.lanes[0].run_id, report.lanes[0].missing) == ("f" * 16, ("evaluate", "export", "judge", "decide"))
    assert kinds(home) == []


def test_later_stages_of_the_same_run_wait_for_an_earlier_one_that_ran_again(workspace, home, lane):
    lane.finish()
    lane.evaluate(r_at_5=0.9)
    assert sync(workspace, home).lanes[0].missing == ("export", "judge", "decide")
    assert kinds(home) == []


def test_what_a_killed_copy_left_is_removed(workspace, home, lane):
    left = home / "runs" / RUN / "models" / "checkpoints" / ".best.safetensors.abc.part"
    left.parent.mkdir(parents=True)
    left.write_text("half")
    lane.finish()
    sync(workspace, home)
    assert not left.exists()


def test_a_skipped_export_registers_nothing_and_can_be_completed_once(workspace, home, lane):
    lane.finish(export="skipped", verdict="fail")
    sync(workspace, home)
    assert kinds(home) == ["run_archived", "judged", "decided"]
    assert read_card(home, RUN, verify=True).export == "skipped"
    lane.export()
    lane.judge(verdict="pass", gates="lower")
    lane.decide()
    assert sync(workspace, home).lanes[0].change == "completed"
    assert read_card(home, RUN, verify=True).model_files == ("model.safetensors", "model.onnx")
    assert [model.verdict for model in list_models(home)] == ["pass"]
    assert len(show_run(home, RUN).judgements) == 2


def test_a_model_that_was_exported_stays_when_a_later_export_is_skipped(workspace, home, lane):
    lane.finish()
    sync(workspace, home)
    before = tree(home / "runs" / RUN / "models")
    lane.export(status="skipped")
    lane.judge(verdict="fail", gates="higher")
    lane.decide(action="escalate")
    assert sync(workspace, home).lanes[0].change == "unchanged"
    assert tree(home / "runs" / RUN / "models") == before
    assert [(model.verdict, model.stage) for model in list_models(home)] == [("fail", "candidate")]


def test_going_back_to_earlier_gates_takes_up_the_earlier_judgement(workspace, home, lane):
    lane.finish()
    sync(workspace, home)
    for verdict, gates in (("fail", "higher"), ("pass", "gates")):
        lane.judge(verdict=verdict, gates=gates)
        lane.decide(action="accept" if verdict == "pass" else "escalate")
        sync(workspace, home)
        (run,) = list_runs(home)
        assert (run.verdict, run.state) == (verdict, "decided")
    assert kinds(home).count("judged") == 3
    assert len(show_run(home, RUN).judgements) == 2


def test_a_judgement_by_hand_is_kept_and_a_later_sync_does_not_take_it_back(workspace, home, lane):
    lane.finish()
    sync(workspace, home)
    judgement = make_judgement(verdict="fail", identity="e" * 64)
    for added in (2, 0):  # the judgement and the digests of its files
        at = "2026-03-02T00:00:00+00:00"
        assert keep_judgement(home, judgement, made_at=at, files={"verdict.md": "# fail"}) == added
    assert sync(workspace, home).lanes[0].events == 0
    assert [(run.verdict, run.state) for run in list_runs(home)] == [("fail", "judged")]
    assert [item.id for item in show_run(home, RUN).judgements][-1] == "e" * 64
    for path in (home / "registry").iterdir():
        path.unlink()
    assert [(run.verdict, run.state) for run in list_runs(home)] == [("fail", "judged")]


def test_a_judgement_keeps_the_measurements_it_judged(workspace, home, lane):
    lane.finish()
    sync(workspace, home)
    lane.export(latency_ms=9.0)
    lane.judge(verdict="fail", gates="gates")
    lane.decide(action="escalate")
    assert sync(workspace, home).lanes[0].change == "unchanged"
    folder = home / show_run(home, RUN).judgements[-1].path
    kept = {
        json.loads((path / "export" / "measurements.json").read_text())["items"][0] for path in folder.parent.iterdir()
    }
    assert kept == {1.5, 9.0}


def test_the_same_judgement_in_other_words_is_kept_beside_the_first(workspace, home, lane):
    lane.finish()
    sync(workspace, home)
    lane.judge(words="reworded")
    lane.decide()
    sync(workspace, home)
    names = sorted(path.name for path in (home / "runs" / RUN / "judgements").iterdir())
    assert len(names) == 2
    assert names[1].startswith(names[0] + "-")


def test_a_repeated_execution_adds_its_attempt_and_its_log(workspace, home, lane):
    lane.finish()
    sync(workspace, home)
    before = tree(home / "runs" / RUN / "models")
    lane.train(log="second log")
    sync(workspace, home)
    assert tree(home / "runs" / RUN / "models") == before
    logs = {data for name, data in tree(home / "runs" / RUN / "attempts").items() if name.endswith("train_log.jsonl")}
    assert logs == {b"second log"}


@pytest.mark.parametrize(
    ("name", "stage"),
    [
        ("model.safetensors", "train"),
        ("train_log.jsonl", "train"),
        ("metrics.json", "evaluate"),
        ("model.onnx", "export"),
        ("verdict.md", "judge"),
        ("lane_report.yaml", "decide"),
    ],
)
def test_a_changed_file_is_named_and_nothing_follows_from_it(workspace, home, lane, name, stage):
    lane.finish()
    (lane.folder / stage / name).write_text("changed")
    report = sync(workspace, home)
    (error,) = report.problems.values()
    assert isinstance(error, ProvenanceError)
    assert str(lane.folder / stage / name) in str(error)
    follows = {"judge": {"judged", "decided"}, "decide": {"decided"}}
    assert not set(kinds(home)) & follows.get(stage, {"run_archived", "model_registered", "judged", "decided"})


@pytest.mark.parametrize("stage", ["prepare", "train", "evaluate", "export", "judge", "decide"])
def test_a_record_rewritten_by_hand_is_refused(workspace, home, lane, stage):
    lane.finish()
    path = lane.folder / stage / "record.json"
    path.write_text(path.read_text().replace('"facts": {', '"facts": {"added": 1, ', 1).replace("1, }", "1}"))
    with pytest.raises((ProvenanceError, StageError)):
        sync_lane(lane.folder, workspace=workspace, home=home)
    assert kinds(home) == []


def test_a_configuration_rewritten_by_hand_is_refused(workspace, home, lane):
    lane.finish()
    path = lane.folder / "train" / "record.json"
    path.write_text(path.read_text().replace('"lr": 0.001', '"lr": 0.002'))
    with pytest.raises(ProvenanceError, match="configuration differs"):
        sync_lane(lane.folder, workspace=workspace, home=home)


def test_a_fault_in_one_lane_does_not_keep_the_others_back(workspace, home, lane):
    lane.finish()
    (lane.folder / "train" / "model.safetensors").write_text("changed")
    LaneFolder(workspace / "artifacts" / "lanes" / "toy", run_id="b" * 16).finish()
    report = sync(workspace, home)
    assert [item.run_id for item in report.lanes] == ["b" * 16]
    assert list(report.problems) == ["artifacts/lanes/query_tower"]


def test_a_recorded_name_that_leaves_the_folder_is_refused(workspace, home, lane):
    lane.finish(until="prepare")
    (lane.folder / "outside").write_text("secret")
    lane.stage("train", {"model.safetensors": "w", "../outside": "secret"}, params=lane.params)
    with pytest.raises(ProvenanceError, match="leaves its folder"):
        sync_lane(lane.folder, workspace=workspace, home=home)


@pytest.mark.parametrize("run_id", ["../../../../etc", "ABCDEF0123456789", "0123456789abcdef0", ""])
def test_a_run_id_that_is_none_is_refused(workspace, home, lane, run_id):
    lane.run_id = run_id
    lane.finish(until="train")
    with pytest.raises(ProvenanceError, match=r"not a run id|not usable"):
        sync_lane(lane.folder, workspace=workspace, home=home)


def test_an_attempt_name_that_leaves_the_folder_is_refused(workspace, home, lane):
    lane.finish()
    path = lane.folder / "train" / "observations.json"
    values = json.loads(path.read_text()) | {"attempt": "../../../x"}
    path.write_text(json.dumps(values))
    with pytest.raises(ProvenanceError, match="not usable"):
        sync_lane(lane.folder, workspace=workspace, home=home)


def test_a_lane_without_git_has_a_name_all_the_same(workspace, home, lane):
    lane.commit = None
    lane.finish()
    sync(workspace, home)
    (model,) = list_models(home)
    assert (model.git_commit, model.id) == ("", f"tower_docstrings_20260301_nogit00_{RUN}")


def test_a_second_machine_gives_the_same_archive(workspace, home, lane, tmp_path):
    lane.finish()
    sync(workspace, home)
    sync(workspace, tmp_path / "second")
    assert tree(tmp_path / "second" / "runs") == tree(home / "runs")
    assert said(tmp_path / "second") == said(home)


def test_attempts_of_this_home_are_archived_with_their_ends(workspace, home, lane):
    lane.finish()
    with (
        pytest.raises(ValueError, match="boom"),
        attempts.attempt(home, lane="query_tower", stage="train", run_id=RUN, params_sha256="0" * 64) as failed,
    ):
        raise ValueError("boom")
    sync(workspace, home)
    folder = home / "runs" / RUN / "attempts" / failed.id
    assert json.loads((folder / "end.json").read_text())["exit"] == "failed"
    assert len(list(folder.parent.iterdir())) == 7


def test_a_lane_that_really_ran_is_archived(make_place, home):
    place = make_place()
    run_lane(place, progress=Silent())
    done = sync_lane(place.folder, workspace=place.workspace, home=home)
    assert (done.change, done.missing) == ("archived", ())
    card = read_card(home, str(done.run_id), verify=True)
    assert (card.model_type, card.model_files) == ("toy", ("model.safetensors", "model.json"))
    assert card.env["python_version"]
    assert sync_lane(place.folder, workspace=place.workspace, home=home).events == 0


def test_two_syncs_at_once_wait_for_each_other(workspace, home, lane, monkeypatch):
    lane.finish()
    monkeypatch.setattr(sync_module, "LOCK_WAIT_S", 0.1)
    with attempts.run_lock(home, f"archive-{RUN}"), pytest.raises(BusyError, match="is at work here"):
        sync_lane(lane.folder, workspace=workspace, home=home)


class PowerCutError(BaseException):
    """Stands for a kill: nothing catches it."""


def count_writes(monkeypatch, *, cut_after=None):
    """Count renames, which end every atomic write; from `cut_after` on, the process is gone."""
    seen, rename = [0], os.replace

    def counted(*arguments, **options):
        if seen[0] == cut_after:
            raise PowerCutError
        seen[0] += 1
        rename(*arguments, **options)

    monkeypatch.setattr(os, "replace", counted)
    return seen


def grown(lane, stage):
    """The three states that a home goes through in these tests."""
    if stage == 0:
        lane.finish(export="skipped", verdict="fail")
    elif stage == 1:
        lane.export()
        lane.judge(gates="lower")
        lane.decide()
    else:
        lane.evaluate(code="changed", r_at_5=0.7)
        lane.export()
        lane.judge(gates="lower", words="again")
        lane.decide()


def test_a_kill_at_any_write_loses_and_doubles_nothing(workspace, home, lane, tmp_path, monkeypatch):
    straight = tmp_path / "straight"
    generator = random.Random(7)
    for stage in range(3):
        grown(lane, stage)
        with monkeypatch.context() as patch:
            writes = count_writes(patch)
            sync(workspace, straight)
        total = writes[0]
        assert total > 2
        for cut in sorted(generator.sample(range(total), k=min(total, 8))):
            with monkeypatch.context() as patch:
                count_writes(patch, cut_after=cut)
                try:
                    sync(workspace, home)
                except PowerCutError:
                    for run in list_runs(home):
                        assert run.run_id == RUN
        sync(workspace, home)
        assert tree(home / "runs") == tree(straight / "runs")
        assert said(home) == said(straight)
        read_card(home, RUN, verify=True)


def test_a_deleted_registry_comes_back(workspace, home, lane):
    lane.finish()
    other = LaneFolder(workspace / "artifacts" / "lanes" / "gone", run_id="c" * 16).finish()
    sync(workspace, home)
    before, events = index.rows(home), said(home)
    for path in (home / "registry").iterdir():
        path.unlink()
    for name in tree(other.folder):
        (other.folder / name).unlink()
    sync(workspace, home)
    assert sorted(said(home)) == sorted(events)
    assert {row[:9] for row in index.rows(home)["runs"]} == {row[:9] for row in before["runs"]}


def test_lists_bring_a_deleted_registry_back_by_themselves(workspace, home, lane):
    lane.finish()
    sync(workspace, home)
    before = list_runs(home), list_models(home)
    for path in (home / "registry").iterdir():
        path.unlink()
    assert (list_runs(home), list_models(home)) == before


def test_rebuilding_gives_the_index_that_growing_gave(workspace, home, lane):
    for stage in range(3):
        grown(lane, stage)
        sync(workspace, home)
        grown_index = index.rows(home)
        assert rebuild(home).events_added == 0
        assert index.rows(home) == grown_index
