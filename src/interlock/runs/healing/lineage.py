"""The log of a lineage: faults, what was done about them, verdicts. One chained file per run that was asked for.

    <home>/state/recovery/<root run id>.jsonl        only growing; survives restarts and every renaming
    <home>/state/recovery/warm_starts/<sha256>.safetensors

A file of its own, and not the attempts' records: attempts stand under the lane's name and belong to one execution,
failures belong to what was asked for, whatever it is called. Adding up is `interlock.recovery.strikes`' business.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from interlock.contracts.approval import Facts
from interlock.contracts.recovery import RecoveryEvent, RecoverySettings
from interlock.errors import ProvenanceError
from interlock.provenance import chain
from interlock.provenance.canonical import plain
from interlock.recovery import strikes
from interlock.registry import approvals as approval

FOLDER = Path("state") / "recovery"


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How often a lineage has failed."""

    root_run: str
    """The run that was asked for."""
    training_failures: int
    """Failed trainings since one ended well."""
    gate_failures: int
    """Failed verdicts since one passed."""
    may_train: bool
    """Whether another training may be started by itself."""
    may_try_gates: bool
    """Whether another run may be tried after failed verdicts, unless a person approved more."""


class Lineage:
    """The log of one lineage."""

    def __init__(self, home: Path, root_run: str) -> None:
        self.root_run = root_run
        self._path = home / FOLDER / f"{root_run}.jsonl"

    @property
    def exists(self) -> bool:
        """Whether anything ever happened."""
        return self._path.is_file()

    def events(self) -> tuple[RecoveryEvent, ...]:
        """Everything, oldest first. Raises ProvenanceError for a log that was changed."""
        try:
            return tuple(RecoveryEvent.model_validate_json(_text(line)) for line in chain.read_chain(self._path))
        except ValidationError as error:
            raise ProvenanceError(
                f"a line is not valid: {error.errors()[0]['msg']}", path=self._path, hint="restore it from a backup"
            ) from error

    def append(self, event: RecoveryEvent) -> None:
        """Add one line and bring it to disk."""
        chain.append(self._path, plain(event))


def lineage_of(home: Path, run_id: str) -> Lineage:
    """The lineage that a run belongs to; a new one for a run that nothing led to."""
    own = Lineage(home, run_id)
    if own.exists:
        return own
    for path in sorted((home / FOLDER).glob("*.jsonl")):
        if run_id in path.read_text(errors="replace"):  # quick; the events decide
            found = Lineage(home, path.stem)
            if run_id in strikes.runs_of(found.events()):
                return found
    return own


def standing(home: Path, run_id: str, settings: RecoverySettings) -> Standing:
    """How often the lineage of a run has failed, and whether anything may be tried by itself."""
    lineage = lineage_of(home, run_id)
    events = lineage.events()
    training, gates = strikes.training_failures(events), strikes.gate_failures(events)
    return Standing(
        root_run=lineage.root_run,
        training_failures=training,
        gate_failures=gates,
        may_train=training < settings.failures_max,
        may_try_gates=gates < settings.gate_failures_max or _is_approved(home, lineage.root_run, gates + 1),
    )


def _is_approved(home: Path, root_run: str, attempts: int) -> bool:
    """Whether a person approved so many attempts at this lineage beforehand."""
    asked: Facts = {"max_attempts": attempts}
    found = approval.standing(home, subject=root_run, purpose="more_attempts", now=datetime.now(UTC), asked=asked)
    return found is not None


def note_verdict(home: Path, run_id: str, *, lane: str, judgement_id: str, verdict: str) -> None:
    """Write a verdict down where it counts: a failed one, and one that ends a row of them. Again changes nothing."""
    lineage = lineage_of(home, run_id)
    if verdict != "fail" and not lineage.exists:
        return
    if any(event.judgement_id == judgement_id for event in lineage.events()):
        return
    lineage.append(
        RecoveryEvent(kind="judged", at=now(), run_id=run_id, lane=lane, judgement_id=judgement_id, verdict=verdict)
    )


def derive(home: Path, parent_run: str, run_id: str, *, lane: str) -> None:
    """Count a run that was made of another one by a decision under the same lineage."""
    lineage = lineage_of(home, parent_run)
    if run_id not in {*strikes.runs_of(lineage.events()), lineage.root_run}:
        lineage.append(RecoveryEvent(kind="derived", at=now(), run_id=parent_run, lane=lane, next_run=run_id))


def now() -> str:
    """UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _text(line: chain.ChainLine) -> str:
    import json

    return json.dumps(line.payload)
