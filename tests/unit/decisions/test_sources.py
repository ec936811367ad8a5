"""The stage folders and the archive give the same bytes, and files that do not belong together are refused."""

import json
import shutil
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judged_lanes import JudgedLane, judged_lane

from interlock.contracts.decision import Decision
from interlock.decisions import sources as names
from interlock.decisions.archived import archived_sources
from interlock.decisions.context import lane_context
from interlock.errors import ProvenanceError, RegistryError
from interlock.lanes.measuring import MEASUREMENTS_FILE
from interlock.provenance.canonical import pretty_json
from interlock.provenance.digest import sha256_file
from interlock.registry.layout import run_folder
from interlock.runs.deciding.evidence import ArchivedFiles
from interlock.stages import baselines, decide, evaluate, export, frame, judge
from interlock.stages.place import JUDGEMENT, OUTPUTS

FAILED = "lane.gates.accuracy.target=0.95"


@pytest.fixture
def judged(tmp_path):
    return judged_lane(tmp_path)


def same_both_ways(lane):
    here, judgement = lane.here, lane.here.judgement
    archived = archived_sources(lane.home, judgement.run_id, judgement=judgement.judgement_id)
    assert here.files == archived.files
    context = lane_context(here, lane.config)
    assert pretty_json(context) == pretty_json(lane_context(archived, lane.config))
    return context


def test_names_are_those_of_the_stages():
    assert f"judge/{JUDGEMENT}" == names.JUDGEMENT
    assert f"judge/{baselines.BASELINES_FILE}" == names.BASELINES
    assert (f"evaluate/{MEASUREMENTS_FILE}", f"export/{MEASUREMENTS_FILE}") == names.MEASUREMENTS
    assert names.handed_over("train") == f"train/{OUTPUTS}"


def test_a_run_gives_the_same_context_from_its_folders_and_from_the_archive(judged):
    context = same_both_ways(judged)
    assert (str(context.verdict), context.current, context.attempts) == ("pass", {"lane.optimizer.lr": 0.5}, 1)
    assert names.handed_over("export") in judged.here.files
    judged.compose(FAILED).run(export, judge).sync()  # the archive keeps the model that it has
    assert str(same_both_ways(judged).verdict) == "fail"
    assert judged.archived.files == judged.here.files  # the newest judgement
    judged.compose().run(export, judge).sync()
    assert same_both_ways(judged) == context


@pytest.mark.slow
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(target=st.floats(0.1, 0.99), lr=st.floats(0.01, 1.0), steps=st.integers(1, 30), value=st.floats(-0.1, 0.1))
def test_any_run_gives_the_same_context_both_ways(tmp_path_factory, target, lr, steps, value):
    overrides = (
        f"lane.gates.accuracy.target={target}", f"lane.optimizer.lr={lr}", f"lane.trainer.steps={steps}",
        f"lane.model.value={value}",
    )  # fmt: skip
    same_both_ways(JudgedLane(tmp_path_factory.mktemp("lane")).compose(*overrides).run().sync())


def test_every_fact_resolves_from_the_archive_alone(judged):
    judged.run(decide).sync()
    run_id = judged.here.judgement.run_id
    context = lane_context(judged.here, judged.config)
    shutil.rmtree(judged.place.folder)
    [folder] = (run_folder(judged.home, run_id) / "decisions").iterdir()
    decision = Decision.model_validate_json((folder / "decision.json").read_bytes())
    files = ArchivedFiles(judged.home, run_id, folder)
    assert [files.check(item).problem for item in context.evidence if files.check(item).problem] == []
    assert {item.id for item in decision.evidence} <= {item.id for item in context.evidence}
    wrong = [item.model_copy(update={"value": "other"}) for item in context.evidence]
    assert len([item for item in wrong if files.check(item).problem]) == len(context.evidence) > 40


def test_a_gate_that_is_pinned_to_another_run_keeps_what_it_compared_with(judged):
    pinned = f"++lane.gates.over_base.baseline_run={judged.here.judgement.run_id}"
    judged.compose("lane.optimizer.lr=0.4", pinned).run().sync()
    assert names.BASELINES in judged.here.files
    same_both_ways(judged)


def run_with_other_code(lane, monkeypatch, *stages, fact):
    """Run stages as a version of the code would that states one more fact."""
    import toy_lane.evaluate as theirs

    before, key = theirs.evaluate, frame.stage_key
    with monkeypatch.context() as patched:
        patched.setattr(theirs, "evaluate", lambda job: replace(before(job), facts={"estimate": 0.7, "also": fact}))
        patched.setattr(frame, "stage_key", lambda *args, **say: replace(key(*args, **say), code_sha256="c" * 64))
        lane.run(*stages)


def test_of_a_stage_that_ran_again_with_other_code_it_takes_what_was_judged(judged, monkeypatch):
    first = judged.here
    for fact in (3, 4):
        run_with_other_code(judged, monkeypatch, evaluate, export, judge, fact=fact)
        judged.sync()
        assert judged.here.facts["evaluate"]["also"] == fact
    # Both gave the same judgement, and the archive keeps the execution that it was first made of.
    again = archived_sources(judged.home, first.judgement.run_id, judgement=first.judgement.judgement_id)
    assert again.files == first.files
    assert judged.archived.facts["evaluate"]["also"] == 3


def test_latencies_of_another_execution_are_no_evidence(judged):
    path = judged.place.folder / "export" / MEASUREMENTS_FILE
    said = json.loads(path.read_text())
    said["items"][0]["value"] = 0.5
    path.write_text(json.dumps(said))
    record = judged.place.folder / "export" / "record.json"
    told = json.loads(record.read_text())
    del told["artifacts"][MEASUREMENTS_FILE]  # as of a volatile file
    rewrite(judged.place.folder / "export", told)
    with pytest.raises(ProvenanceError, match="not those that were judged") as refused:
        _ = judged.here
    assert "judge again: dvc repro" in refused.value.hint


def rewrite(folder, record):
    (folder / "record.json").write_text(json.dumps(record))
    kept = {"stage", "lane", "status", "reason", "run_id", "artifacts", "facts"}
    (folder / "outputs.json").write_text(pretty_json({name: record[name] for name in kept}))


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("train/loss.csv", lambda text: text.replace("0.35", "0.36"), "differs from what its stage handed over"),
        ("evaluate/measurements.json", lambda text: text.replace("0.9", "0.8", 1), "differs from what its stage"),
        (
            "evaluate/outputs.json",
            lambda text: text.replace("0.69", "0.68"),
            "does not say what the stage's record says",
        ),
        ("train/record.json", lambda text: "{}", "the record is not valid"),
        (
            "judge/judgement.json",
            lambda text: text.replace('"pass"', '"fail"', 1),
            "the judgement is not valid: .*fold",
        ),
        ("judge/judgement.json", lambda text: "[]", "the judgement is not valid"),
        ("evaluate/outputs.json", None, "file is missing"),
    ],
)
def test_a_changed_file_is_named(judged, file, change, words):
    path = judged.place.folder / file
    path.unlink() if change is None else path.write_text(change(path.read_text()))
    with pytest.raises(ProvenanceError, match=words) as refused:
        _ = judged.here
    assert str(refused.value.path).endswith(file)


def test_a_curve_that_training_does_not_hand_over_is_no_evidence(judged):
    folder = judged.place.folder / "train"
    record = json.loads((folder / "record.json").read_text())
    del record["artifacts"]["loss.csv"]
    rewrite(folder, record)
    assert names.CURVE not in judged.here.files
    assert not [item for item in lane_context(judged.here, judged.config).evidence if item.id.startswith("curve.")]


def test_files_of_two_runs_are_refused(judged):
    path = judged.place.folder / names.JUDGEMENT
    path.write_text(path.read_text().replace(judged.here.judgement.run_id, "0" * 16))
    with pytest.raises(ProvenanceError, match="is of another run than the judgement"):
        _ = judged.here


def test_an_archived_file_that_was_changed_is_named(judged):
    models = run_folder(judged.home, judged.here.judgement.run_id) / "models"
    path = models / "loss.csv"
    before = sha256_file(path)
    path.chmod(0o644)
    path.write_text(path.read_text().replace("0.35", "0.36"))
    assert sha256_file(path) != before
    with pytest.raises(ProvenanceError, match="differs from the run card") as refused:
        _ = judged.archived
    assert refused.value.path == path


def test_a_judgement_that_is_not_there_is_said_so(judged):
    run_id = judged.here.judgement.run_id
    with pytest.raises(RegistryError, match="no such judgement"):
        archived_sources(judged.home, run_id, judgement="e" * 64)
    with pytest.raises(ProvenanceError, match="not usable"):
        archived_sources(judged.home, run_id, judgement="../../x")
