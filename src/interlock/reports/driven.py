"""A drive's gates, changes and spend in a few words, alike on the terminal and on the page.

Computes nothing: every number is the judgement's, the decision's or an answer's.
"""

from collections.abc import Mapping

from interlock.contracts.answer import Usage
from interlock.contracts.decision import Number
from interlock.contracts.drive import DrivenAttempt, DrivenGate, DrivePath, DriveState
from interlock.contracts.verdict import Verdict
from interlock.reports.decisions import spent
from interlock.reports.figures import figure

GATES_MAX = 4
"""Gates that are shown of an attempt."""
STATES = {
    DriveState.ACCEPTED: "accepted",
    DriveState.WAITING: "waits for a person",
    DriveState.STOPPED: "stopped",
    DriveState.FAILED: "failed",
}
_WORST_FIRST = (Verdict.FAIL, Verdict.BLOCKED, Verdict.INCONCLUSIVE, Verdict.PASS)
_MISSED = {">=": "<", "<=": ">"}


def gate_text(gate: DrivenGate) -> str:
    """`accuracy 0.000 < 0.800`, `loads no`; what could not be judged says so."""
    if gate.observed is None:
        return f"{gate.gate} not judged"
    if gate.target is None:
        return f"{gate.gate} {figure(gate.observed, gate.unit)}"
    meets = gate.observed >= gate.target if gate.comparison == ">=" else gate.observed <= gate.target
    sign = gate.comparison if meets else _MISSED.get(gate.comparison, gate.comparison)
    undecided = " (undecided)" if gate.verdict is Verdict.INCONCLUSIVE else ""
    return f"{gate.gate} {figure(gate.observed, gate.unit)} {sign} {figure(gate.target, gate.unit)}{undecided}"


def shown_gates(attempt: DrivenAttempt) -> list[DrivenGate]:
    """Deciding gates, those in the way first; what merely waits for the export stays away."""
    deciding = [gate for gate in attempt.gates if gate.severity != "advise"]
    in_the_way = [gate for gate in deciding if gate.verdict is not Verdict.PASS and gate.observed is not None]
    measured = [gate for gate in deciding if gate.verdict is Verdict.PASS and gate.target is not None]
    return [*in_the_way, *measured][:GATES_MAX] or deciding[:GATES_MAX]


def worst_gate(attempt: DrivenAttempt) -> DrivenGate | None:
    """The deciding gate that is most in the way; None where all pass."""
    deciding = [gate for gate in attempt.gates if gate.severity != "advise" and gate.verdict is not Verdict.PASS]
    return min(deciding, key=lambda gate: _WORST_FIRST.index(gate.verdict), default=None)


def change_texts(changes: Mapping[str, tuple[Number | None, Number]]) -> list[str]:
    """`optimizer.lr 0.05 -> 0.1`, one for each key."""
    return [f"{key.removeprefix('lane.')} {_number(old)} -> {_number(new)}" for key, (old, new) in changes.items()]


def usage_text(usage: Usage) -> str:
    """What language models cost; empty when none was asked."""
    text = spent(usage)
    return f"{text} of waiting" if text else ""


def state_text(path: DrivePath, *, is_driven: bool) -> str:
    """Where a drive stands; one that nobody works on and that has not ended was interrupted."""
    if path.state in STATES:
        return STATES[path.state]
    number = path.attempts[-1].attempt if path.attempts else 1
    return f"{'at work on' if is_driven else 'interrupted at'} attempt {number}"


def _number(value: Number | None) -> str:
    return "-" if value is None else f"{value:g}"
