"""Faults are found by lane and by run, and shown with what was done about them."""

import json

import pytest

from interlock.commands.recovery import recovery
from interlock.contracts.recovery import Action, Classified, Evidence, FaultClass, RecoveryEvent, Treatment
from interlock.errors import UsageError
from interlock.runs.healing.lineage import Lineage, now
from interlock.runs.healing.shown import told_of

RUNS = ("0" * 16, "1" * 16)


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    monkeypatch.setenv("INTERLOCK_HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.fixture
def failed(workspace):
    lineage = Lineage(workspace / "home", RUNS[0])
    classified = Classified(fault=FaultClass.OUT_OF_MEMORY, cause=FaultClass.OUT_OF_MEMORY, reason="no memory")
    treatment = Treatment(action=Action.RESTART, changes={"lane.trainer.micro_batch": 16}, reason="half of it")
    lineage.append(
        RecoveryEvent(
            kind="fault", at=now(), run_id=RUNS[0], lane="toy", classified=classified, next_run=RUNS[1],
            evidence=Evidence(error_types=("MemoryError",)), treatment=treatment,
            before={"lane.trainer.micro_batch": None},
        )
    )  # fmt: skip
    return lineage


SENTENCE = (
    f"run {RUNS[0]}: out of memory (no memory): started again as run {RUNS[1]} with lane.trainer.micro_batch none -> 16"
)


def test_without_faults(workspace, capsys):
    recovery(workspace, None, as_json=False)
    assert capsys.readouterr().out == "no faults yet\n"
    assert told_of(workspace, "toy") == ()


def test_a_lane_whose_training_has_not_ended_well(workspace, failed):
    assert told_of(workspace, "toy") == (SENTENCE,)
    assert told_of(workspace, "another") == ()


def test_all_lineages(workspace, failed, capsys):
    recovery(workspace, None, as_json=True)
    (row,) = json.loads(capsys.readouterr().out)
    assert (row["root_run"], row["training_failures"], row["last"]) == (RUNS[0], 1, "out of memory")
    recovery(workspace, None, as_json=False)
    assert RUNS[0] in capsys.readouterr().out


@pytest.mark.parametrize("run", [RUNS[0], "00", "11"])
def test_one_lineage_by_any_of_its_runs(workspace, failed, capsys, run):
    recovery(workspace, run, as_json=False)
    shown = " ".join(capsys.readouterr().out.split())
    assert SENTENCE in shown
    assert "failures since the last success: 1" in shown
    recovery(workspace, run, as_json=True)
    assert json.loads(capsys.readouterr().out)[0]["treatment"]["action"] == "restart"


def test_a_run_that_nothing_happened_to(workspace, failed):
    with pytest.raises(UsageError, match="no faults are known of such a run"):
        recovery(workspace, "2", as_json=False)
