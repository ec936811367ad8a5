"""What a lineage's log adds up to: failures, faults by cause, settings that healing changed. Pure folds over events.

A lineage begins with the run that was asked for; its id names the log, so that another name of the experiment, the
lane or a folder resets nothing. A training that ends well resets what was counted for training, a verdict that passes
what was counted for gates.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from interlock.contracts.recovery import Action, FaultClass, RecoveryEvent, WarmStart
from interlock.recovery.classify import counts

Value = int | float | str | None


def since_success(events: Sequence[RecoveryEvent]) -> tuple[RecoveryEvent, ...]:
    """The faults since training last ended well."""
    last = max((index for index, event in enumerate(events) if event.kind == "completed"), default=-1)
    return tuple(event for event in events[last + 1 :] if event.kind == "fault")


def training_failures(events: Sequence[RecoveryEvent]) -> int:
    """Failed trainings since the last one that ended well."""
    return sum(is_failure(event) for event in since_success(events))


def gate_failures(events: Iterable[RecoveryEvent]) -> int:
    """Failed verdicts since the last one that passed; judging the same measurements again is no second failure."""
    failed: set[str] = set()
    for event in events:
        if event.kind == "judged" and event.verdict == "pass":
            failed.clear()
        elif event.kind == "judged" and event.verdict == "fail":
            failed.add(event.run_id)
    return len(failed)


def faults_by_cause(events: Sequence[RecoveryEvent]) -> dict[FaultClass, int]:
    """How often each cause was found since the last success, whether or not it counted as a failure."""
    return dict(Counter(event.classified.cause for event in since_success(events) if event.classified))


def is_failure(event: RecoveryEvent) -> bool:
    """Whether a fault counts as a failed training."""
    return bool(event.classified and event.evidence and counts(event.classified.cause, event.evidence))


def in_force(events: Sequence[RecoveryEvent], asked_run: str) -> tuple[dict[str, Value], WarmStart | None]:
    """New values by key, and weights, that the next training begins with when `asked_run` is asked for.

    Follows the restarts from run to run. After the lineage was given up everything begins again as it was asked for.
    """
    changes: dict[str, Value] = {}
    warm_start: WarmStart | None = None
    current = asked_run
    for event in since_success(events):
        if event.treatment is None or event.run_id != current:
            continue
        if event.treatment.action is Action.REPORT:
            current, changes, warm_start = asked_run, {}, None
        elif event.treatment.action is Action.RESTART and event.next_run:
            current, warm_start = event.next_run, event.warm_start or warm_start
            changes |= event.treatment.changes
    return changes, warm_start


def runs_of(events: Sequence[RecoveryEvent]) -> set[str]:
    """Every run that the lineage has led to."""
    return {run for event in events for run in (event.run_id, event.next_run) if run}


def has_damaged(events: Sequence[RecoveryEvent], name: str) -> bool:
    """Whether a damaged file was told of already."""
    return any(event.evidence and name in event.evidence.damaged_files for event in events)
