"""Failures count under the run that was asked for, whatever led to the others."""

import pytest

from interlock.contracts.recovery import RecoverySettings
from interlock.errors import ProvenanceError
from interlock.runs.healing.lineage import derive, lineage_of, note_verdict, standing

RUNS = [f"{number:016x}" for number in range(4)]


def judged(home, run, identity, verdict="fail"):
    note_verdict(home, run, lane="toy", judgement_id=identity * 64, verdict=verdict)


def test_verdicts_count_once_each(tmp_path):
    for _ in range(2):
        judged(tmp_path, RUNS[0], "a")
    assert standing(tmp_path, RUNS[0], RecoverySettings()).gate_failures == 1
    derive(tmp_path, RUNS[0], RUNS[1], lane="toy")
    derive(tmp_path, RUNS[0], RUNS[1], lane="toy")
    judged(tmp_path, RUNS[1], "b")
    stands = standing(tmp_path, RUNS[1], RecoverySettings())
    assert (stands.root_run, stands.gate_failures, stands.may_try_gates) == (RUNS[0], 2, False)
    assert standing(tmp_path, RUNS[0], RecoverySettings(gate_failures_max=3)).may_try_gates
    judged(tmp_path, RUNS[1], "c", "pass")
    assert standing(tmp_path, RUNS[0], RecoverySettings()).gate_failures == 0


def test_what_passes_at_once_leaves_nothing(tmp_path):
    judged(tmp_path, RUNS[0], "a", "pass")
    judged(tmp_path, RUNS[0], "b", "inconclusive")
    assert not lineage_of(tmp_path, RUNS[0]).exists


def test_other_runs_are_other_lineages(tmp_path):
    judged(tmp_path, RUNS[0], "a")
    assert lineage_of(tmp_path, RUNS[2]).root_run == RUNS[2]
    assert standing(tmp_path, RUNS[2], RecoverySettings()).may_try_gates


def test_a_changed_log_is_refused(tmp_path):
    judged(tmp_path, RUNS[0], "a")
    path = tmp_path / "state" / "recovery" / f"{RUNS[0]}.jsonl"
    path.write_text(path.read_text().replace("fail", "pass"))
    with pytest.raises(ProvenanceError, match="chain is broken"):
        lineage_of(tmp_path, RUNS[0]).events()


def test_a_person_may_approve_more_attempts_beforehand(tmp_path):
    from datetime import UTC, datetime

    from interlock.contracts.approval import Need
    from interlock.registry.approving import approve, ask
    from interlock.registry.persons import Told

    for number, identity in enumerate("ab"):
        judged(tmp_path, RUNS[number], identity)
        derive(tmp_path, RUNS[0], RUNS[1], lane="toy")
    assert not standing(tmp_path, RUNS[0], RecoverySettings()).may_try_gates
    need = Need(purpose="more_attempts", scope={"max_attempts": 3}, because="two verdicts failed")
    ask(tmp_path, need, subject=RUNS[0], lane="toy", run=RUNS[0])
    told = Told(by="Ada", reason="worth one more", expires="24h", agents=())
    approve(tmp_path, RUNS[0], purpose="more_attempts", told=told, now=datetime.now(UTC), max_attempts=3)
    assert standing(tmp_path, RUNS[1], RecoverySettings()).may_try_gates
    judged(tmp_path, RUNS[1], "c")
    assert standing(tmp_path, RUNS[1], RecoverySettings()).may_try_gates  # the same run again is no third failure
    derive(tmp_path, RUNS[0], RUNS[2], lane="toy")
    judged(tmp_path, RUNS[2], "d")
    assert not standing(tmp_path, RUNS[1], RecoverySettings()).may_try_gates
