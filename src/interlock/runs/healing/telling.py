"""What is said of faults: one sentence for each, the same in messages, records, cards and reports."""

from collections.abc import Mapping, Sequence
from typing import Any

from interlock.contracts.recovery import Action, FaultClass, RecoveryEvent, RecoveryReport, WarmStart
from interlock.provenance.dotted import lookup
from interlock.recovery.policy import POLICY
from interlock.recovery.strikes import in_force, since_success, training_failures
from interlock.stages.frame import Frame

_DONE = {
    Action.RESTART: "started again as run {next}",
    Action.RESUME: "the same run went on from its last state",
    Action.START_OVER: "the same run began anew",
    Action.QUEUE: "waited until it was granted",
    Action.SUBSTITUTE: "another process took over",
    Action.NOTE: "noted",
    Action.PROPOSE: "reported",
    Action.HALT: "halted",
    Action.REPORT: "given up, no automatic retry",
}


def sentence(event: RecoveryEvent) -> str:
    """A fault in one line: what, where, what was done, what that changed."""
    assert event.classified is not None
    assert event.treatment is not None
    found, treatment = event.classified, event.treatment
    what = found.cause.value.replace("_", " ")
    done = _DONE[treatment.action].format(next=event.next_run)
    if found.fault is FaultClass.REPEATED_FAILURE:
        what = f"{what} again"
    changes = ", ".join(
        f"{key} {_shown(event.before.get(key))} -> {_shown(value)}" for key, value in treatment.changes.items()
    )
    said = f"run {event.run_id}: {what} ({found.reason}): {done}"
    if changes:
        said += f" with {changes}"
    if event.warm_start:
        said += f", from the weights of {event.warm_start.file}"
    is_said = treatment.is_new_run or treatment.reason == POLICY[found.fault].bounds != "never healed"
    return said if is_said and treatment.action is not Action.NOTE else f"{said}: {treatment.reason}"


def report(
    events: Sequence[RecoveryEvent], frame: Frame, *, asked: Frame, root_run: str, warm_start: WarmStart | None
) -> RecoveryReport | None:
    """Everything that happened since the last success; None when nothing did."""
    faults = since_success(events)
    if not faults:
        return None
    assert frame.run_id
    changes, _ = in_force(events, str(asked.run_id))
    parent = next((event.run_id for event in reversed(faults) if event.next_run == frame.run_id != event.run_id), None)
    return RecoveryReport(
        root_run=root_run,
        run_id=frame.run_id,
        parent_run=parent,
        asked_params_sha256=frame.asked_sha256,
        params_sha256=frame.key.params_sha256,
        changes=_changes(changes, asked.params),
        warm_start=warm_start,
        failures=training_failures(events),
        events=faults,
        says=tuple(sentence(event) for event in faults),
    )


def _changes(changes: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    return {key: (lookup(asked, key), value) for key, value in changes.items()}


def _shown(value: Any) -> str:
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
