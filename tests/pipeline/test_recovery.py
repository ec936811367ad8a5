"""Every row of the recovery table, injected for real: the right class, healed or stopped as it says, all told."""

import pytest
from fault_injections import FAULTS, OVERFITS, Injected, UnshareError, attempt, in_process, interrupted, killed
from faulty_homes import FaultyHome, home_of
from recovery_table import BESIDE, INJECTIONS, ROWS

from interlock.contracts.recovery import Action, FaultClass, RecoverySettings
from interlock.contracts.stage import STAGES
from interlock.errors import ProvenanceError, StageError
from interlock.runs.healing.lineage import lineage_of, standing

SLOW = {"missed heartbeats", "out of memory, refused", "out of memory, killed", "kill -9", "quota exhausted"}
SLOW |= {"disk full of old states", "disk full, nothing old", "file size limit", "over the estimate"}


def injected(name, root) -> Injected:
    try:
        return INJECTIONS[name].inject(root)
    except UnshareError as error:
        pytest.skip(f"{error}; the file size limit stands for it")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] if name in SLOW else []) for name in INJECTIONS]
)
def test_every_fault_ends_as_the_table_says(name, tmp_path):
    found = injected(name, tmp_path)
    assert INJECTIONS[name].problems(found) == [], found.said


def test_every_class_of_fault_and_every_row_is_injected():
    assert {wanted.fault for wanted in INJECTIONS.values()} == set(FaultClass)
    assert {wanted.row for wanted in INJECTIONS.values()} == {*ROWS, BESIDE}


def test_a_run_that_is_not_finite_begins_again_from_its_last_finite_weights(tmp_path):
    found = injected("NaN in the loss", tmp_path)
    home, told = found.home, found.home.report
    assert told.changes == {"lane.optimizer.lr": (0.01, 0.001), "lane.trainer.gradient_clip": (None, 1.0)}
    assert told.warm_start is not None
    assert told.warm_start.file == "epoch_002.safetensors"  # step 10 is in the third epoch of four steps
    assert (home.work / "train" / "warm_start.safetensors").is_file()
    assert told.parent_run == home.asked_run == told.root_run
    ends = [end.exit for end in home.ends() if end is not None]
    assert ends == ["halted", "completed"]  # the run that failed keeps its terminal record
    assert standing(home.home, home.asked_run, RecoverySettings()).training_failures == 0


@pytest.mark.slow
def test_a_healed_run_is_current_archived_proven_and_repeated(tmp_path):
    from interlock.registry.archive import read_card
    from interlock.runs.proof.prove import prove_run
    from interlock.runs.reproduction.reproduce import reproduce
    from interlock.runs.sync import sync_lane
    from interlock.stages.current import why_not_current

    home = injected("NaN in the loss", tmp_path).home
    home.stage("evaluate", "export", "judge", "decide")
    with home_of(home.home):
        assert [why_not_current(stage, home.place) for stage in STAGES] == [""] * len(STAGES)
        run_id = sync_lane(home.work, workspace=home.place.workspace, home=home.home).run_id
        assert sync_lane(home.work, workspace=home.place.workspace, home=home.home).events == 0
        assert run_id == home.record.run_id != home.asked_run
        card = read_card(home.home, run_id, verify=True)
        assert (card.parent_run, card.hyperparameters["learning_rate"]) == (home.asked_run, 0.001)
        assert card.observations.recovery == home.report.says
        assert prove_run(home.home, run_id, workspace=home.place.workspace).ok
        report = (home.work / "decide" / "lane_report.yaml").read_text()
        assert "not finite" in report
        (tmp_path / "scratch").mkdir()
        again, _ = reproduce(
            home.home, run_id, workspace=home.place.workspace, scratch=tmp_path / "scratch", progress=home.said
        )
    assert (again.level, again.reproduced_run_id) == ("bit_exact", run_id)


def test_other_weights_to_begin_with_are_found_out(tmp_path):
    from interlock.registry.verify import verify_run
    from interlock.runs.sync import sync_lane

    home = injected("NaN in the loss", tmp_path).home
    home.stage("evaluate", "export", "judge", "decide")
    with home_of(home.home):
        run_id = sync_lane(home.work, workspace=home.place.workspace, home=home.home).run_id
        kept = home.home / "runs" / run_id / "models" / "warm_start.safetensors"
        kept.chmod(0o644)
        kept.write_bytes(kept.read_bytes()[:-1] + b"\7")
        found = verify_run(home.home, run_id)
    assert not found.ok
    assert "warm_start.safetensors" in str(found.first_broken)


def test_a_changed_setting_ends_the_healing(tmp_path):
    home = injected("stalled, no bounds declared", tmp_path).home
    home.compose("lane.optimizer.lr=0.03", f"{FAULTS}.deaf_below_lr=0.02")
    record = home.stage("train")
    assert record.asked_params_sha256 is None
    assert record.run_id == home.asked_run
    assert not (home.work / "train" / "recovery.json").exists()


def test_strikes_survive_another_lane_name_another_folder_and_another_start(tmp_path):
    home = injected("three failures", tmp_path).home
    assert [event.treatment.action for event in home.faults if event.treatment] == [
        Action.RESTART, Action.RESTART, Action.REPORT
    ]  # fmt: skip
    renamed = FaultyHome(tmp_path / "elsewhere", home=home.home)
    renamed.compose(f"{FAULTS}.not_finite=loss", "experiment.name=another", lane="renamed")
    renamed.stage("prepare")
    found = attempt(renamed)
    assert (found.fault, found.action) == (FaultClass.REPEATED_FAILURE, Action.REPORT)
    assert renamed.asked_run == home.asked_run
    assert len(renamed.faults) == 4
    stands = standing(home.home, str(home.faults[1].run_id), RecoverySettings())
    assert (stands.root_run, stands.training_failures, stands.may_train) == (home.asked_run, 4, False)


def test_success_resets_the_strikes(tmp_path):
    home = injected("stalled, batch too large", tmp_path).home
    assert home.report.failures == 2
    assert [event.kind for event in home.events] == ["fault", "fault", "completed"]
    again = attempt(home)  # begins with what was asked for, and fails as before
    assert (again.fault, again.end, home.report.failures) == (FaultClass.STALLED, "healed", 2)
    assert home.record.run_id == home.events[1].next_run


def test_a_log_of_strikes_that_was_edited_is_not_believed(tmp_path):
    home = injected("unknown error", tmp_path).home
    log = home.home / "state" / "recovery" / f"{home.asked_run}.jsonl"
    log.write_text(log.read_text().replace("LookupError", "NothingBad"))
    with pytest.raises(ProvenanceError, match="chain is broken"):
        home.stage("train")


def test_healing_can_be_switched_off(tmp_path):
    found = in_process(tmp_path, f"{FAULTS}.not_finite=loss", "recovery.heal=false")
    assert (found.fault, found.action, found.end) == (FaultClass.NOT_FINITE, Action.HALT, "stopped")
    assert "recovery.heal" in found.said


def test_a_ctrl_c_is_no_fault(tmp_path):
    home = FaultyHome(tmp_path)
    home.compose()
    home.stage("prepare")
    interrupted(home, after=5)
    home.stage("train")
    assert home.events == ()
    assert not (home.work / "train" / "recovery.json").exists()


def test_a_corrupt_state_gives_the_same_bits_and_is_told(tmp_path):
    damaged = injected("corrupt checkpoint", tmp_path / "damaged").home
    whole = in_order(tmp_path / "whole")
    assert damaged.record.run_id == whole.record.run_id
    assert damaged.record.artifacts["model.safetensors"] == whole.record.artifacts["model.safetensors"]
    assert damaged.record.outputs() == whole.record.outputs()
    assert "set aside" in "\n".join(damaged.said.texts)
    assert damaged.faults[0].evidence is not None
    assert damaged.faults[0].evidence.damaged_files[0].startswith("resume_")


@pytest.mark.slow
def test_a_killed_training_ends_in_the_same_bits(tmp_path):
    home, whole = killed(tmp_path / "killed").home, in_order(tmp_path / "whole", f"{FAULTS}.sleep_s=0.05")
    assert home.record.outputs() == whole.record.outputs()
    assert [end.exit for end in home.ends() if end is not None] == ["killed", "completed"]


def in_order(root, *overrides) -> FaultyHome:
    home = FaultyHome(root)
    home.compose(*overrides)
    home.stage("prepare", "train")
    return home


def test_hours_count_over_all_attempts_and_a_higher_ceiling_resumes(tmp_path):
    found = injected("over the ceiling", tmp_path)
    home = found.home
    spend = home.faults[-1].evidence.spend
    assert spend.hours > spend.hours_max > spend.attempt_hours
    assert "budget.compute_hours_max" in found.said
    assert next(end.exit for end in home.ends() if end is not None) == "interrupted"
    home.compose(f"{FAULTS}.sleep_s=0.1", "budget.compute_hours_max=1.0")
    assert attempt(home).end == "healed"
    assert home.record.run_id == home.asked_run
    assert any("resuming after step" in text for text in home.said.texts)


def test_a_lineage_over_its_ceiling_does_not_even_begin(tmp_path):
    home = injected("over the ceiling", tmp_path).home
    home.compose(f"{FAULTS}.sleep_s=0.1", "budget.compute_hours_max=0.0001")
    before = len(home.ends())
    with pytest.raises(StageError, match="over its ceiling"):
        home.stage("train")
    assert len(home.ends()) == before
    assert home.faults[-1].classified.fault is FaultClass.OVER_BUDGET


def test_overfitting_ends_the_training_and_keeps_the_best(tmp_path):
    home = in_process(tmp_path, *OVERFITS).home
    facts = home.record.facts
    assert facts["early_stopped"]
    assert facts["overfitting"]
    assert facts["best_epoch"] < facts["epochs_completed"] < 60
    assert home.record.artifacts["model.safetensors"] == home.record.artifacts["checkpoints/best.safetensors"]
    assert "overfitting" in home.report.says[0]
    assert home.record.run_id == home.asked_run


def test_what_happened_is_shown(tmp_path, capsys, monkeypatch):
    from interlock.commands.records import show_run
    from interlock.runs.sync import sync_lane

    home = injected("NaN in the gradient", tmp_path).home
    home.stage("evaluate", "export", "judge", "decide")
    monkeypatch.setenv("INTERLOCK_HOME", str(home.home))
    run_id = sync_lane(home.work, workspace=home.place.workspace, home=home.home).run_id
    show_run(home.place.workspace, run_id, as_json=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert "recovered" in shown
    assert "not finite" in shown
    assert lineage_of(home.home, run_id).root_run == home.asked_run


@pytest.mark.slow
def test_dvc_sees_what_was_asked_for_and_status_says_what_happened(make_workspace):
    workspace = make_workspace(lanes=("faulty",))
    faults = "faults: {not_finite: gradient, not_finite_above_lr: 0.005, not_finite_from_step: 6}"
    overrides = f"{{lane: {{trainer: {{{faults}}}, gates: {{accuracy: {{target: 0.0}}}}}}}}"
    workspace.edit("params.yaml", "overrides: {}\nlane", f"overrides: {overrides}\nlane")
    assert workspace.repro() == ["compose", *(f"faulty-{stage}" for stage in STAGES)]
    assert workspace.repro() == []
    shown = workspace.interlock("status")
    assert "recovery: run" in shown
    assert "not finite (gradient is not finite at step 6" in shown
    workspace.interlock("sync")
    runs = workspace.path / "artifacts" / "runs"
    (run_id,) = (path.name for path in runs.iterdir())
    workspace.interlock("verify", run_id)
    workspace.edit("params.yaml", "not_finite_above_lr: 0.005", "not_finite_above_lr: 0.5")
    assert workspace.repro()[:2] == ["compose", "faulty-train"]
    assert "recovery" not in workspace.interlock("status")


def test_from_metal_to_the_processor(tmp_path):
    """This machine has no Metal device, so the two failures on it are written down by hand; the rest is real."""
    from interlock.contracts.recovery import Evidence, RecoveryEvent, Situation
    from interlock.recovery.classify import classify
    from interlock.recovery.policy import treat
    from interlock.runs.healing.lineage import Lineage, now
    from interlock.stages.frame import open_frame
    from interlock.stages.train import adjusted, identify

    home = FaultyHome(tmp_path)
    home.compose("hardware=mps", "lane.trainer.epochs=1")
    home.stage("prepare")
    with home_of(home.home):
        frame = open_frame("train", home.place, progress=home.said, identify=identify)
    lineage, before = Lineage(home.home, home.asked_run), {}
    for _ in range(2):
        evidence = Evidence(error_types=("RuntimeError",), error_text="MPS backend out of memory")
        values = {"lane.trainer.batch_size": 32, "lane.trainer.micro_batch": None}
        treatment = treat(classify(evidence), Situation(values=values, hardware="mps", before=before))
        before = {FaultClass.OUT_OF_MEMORY: 1}
        with home_of(home.home):
            following = adjusted(frame, treatment.changes, None)
        lineage.append(
            RecoveryEvent(
                kind="fault", at=now(), run_id=str(frame.run_id), lane=home.lane, classified=classify(evidence),
                evidence=evidence, treatment=treatment, next_run=following.run_id,
            )
        )  # fmt: skip
        frame = following
    home.stage("train", "evaluate")
    assert home.record.params["hardware"]["kind"] == "cpu"
    assert home.record.run_id == frame.run_id != home.asked_run
    assert home.report.changes == {"lane.trainer.micro_batch": (None, 16), "hardware.kind": ("mps", "cpu")}
    evaluated = home.work / "evaluate" / "record.json"
    assert '"kind": "cpu"' in evaluated.read_text()
    assert '"asked_params_sha256": null' not in evaluated.read_text()
