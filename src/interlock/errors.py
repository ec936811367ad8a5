"""Every error a user can meet, and the exit code each one ends with.

    InterlockError                1   something failed; the message says what to do
    |-- UsageError                2   the command line is wrong
    |-- ConfigError               2   a composed configuration is refused (carries every fault)
    |-- DataError                 1   a dataset or a file of records is refused
    |-- DecisionError             1   a decision steps outside what the verdict or the search space allows
    |   `-- NoDecisionError       1   a policy came to no decision; carries everything that was tried
    |       `-- NotRecordedError  1   a replay lacks a recorded answer
    |-- StageError                1   a stage cannot run or broke its contract
    |   |-- NonFiniteError        1   NaN or Inf in a loss or a gradient
    |   |-- StalledError          1   the training loss does not fall
    |   |-- BudgetError           1   a training costs more than it may; it can be resumed
    |   |-- DiskFullError         1   no room for checkpoints
    |   |-- CorruptStateError     1   a checkpoint's bytes are not those that were written
    |   |-- PrunedError           1   a sweep gave the training up; it can be resumed
    |   |-- BusyError             1   another process holds the run
    |   |-- UnpassedInputError    5   an input without a passing verdict
    |   `-- QuotaError            1   a resource is not free, or more is asked for than its quota will ever give
    |-- ProvenanceError           1   a digest, a chain or a record does not hold
    `-- RegistryError             1   the archive or the registry refuses a change
        `-- ApprovalError         1   a person has to say yes first

Errors carry data, not only text: `message` says what is wrong, `hint` the way out, the other fields where.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any


class ExitCode(IntEnum):
    """What every command of Interlock ends with."""

    PASS = 0
    ERROR = 1
    USAGE = 2
    FAIL = 3
    INCONCLUSIVE = 4
    BLOCKED = 5
    INTERRUPTED = 130


class InterlockError(Exception):
    """Base of all errors; `str()` is one readable paragraph."""

    exit_code = ExitCode.ERROR

    def __init__(
        self,
        message: str,
        *,
        path: Path | str | None = None,
        key: str | None = None,
        value: object = None,
        hint: str | None = None,
    ) -> None:
        """`path`, `key` and `value` locate the fault, `hint` is the way out; all are optional."""
        super().__init__(message)
        self.message, self.path, self.key, self.value, self.hint = message, path, key, value, hint

    def __str__(self) -> str:
        where = ": ".join(str(part) for part in (self.path, self.key) if part is not None)
        head = f"{where}: {self.message}" if where else self.message
        if self.value is not None:
            head += f" (got {self.value!r})"
        return f"{head}\n  way out: {self.hint}" if self.hint else head


class UsageError(InterlockError):
    """The command line asks for something that does not exist or does not fit together."""

    exit_code = ExitCode.USAGE


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing wrong in a composed configuration."""

    key: str
    """Dotted key as a user would write it, e.g. `lane.optimizer.lr`."""
    problem: str
    """What is wrong, in words."""
    value: object = None
    """The value that was found; None when the key is missing."""
    has_value: bool = True
    """False when there is no value to show (a missing key)."""
    source: str = ""
    """The file or override that set it, e.g. `conf/optimizer/adamw.yaml` or `override +lane.x=1`."""
    allowed: tuple[str, ...] = ()
    """Names or values that would be accepted here."""
    nearest: str = ""
    """The closest accepted name, for "did you mean"."""

    def __str__(self) -> str:
        text = f"{self.key}: {self.problem}"
        if self.has_value:
            text += f" (got {self.value!r})"
        if self.source:
            text += f"\n    set in:  {self.source}"
        if self.nearest:
            text += f"\n    did you mean: {self.nearest}"
        if self.allowed:
            text += f"\n    allowed: {', '.join(self.allowed)}"
        return text


class ConfigError(InterlockError):
    """A configuration is refused; every fault is listed at once."""

    exit_code = ExitCode.USAGE

    def __init__(self, faults: Sequence[Fault], *, subject: str = "configuration", hint: str | None = None) -> None:
        """`subject` names what was composed, e.g. `lane query_tower`."""
        self.faults = tuple(faults)
        count = f"{len(self.faults)} fault{'s' if len(self.faults) != 1 else ''}"
        body = "\n".join(f"  {fault}" for fault in self.faults)
        super().__init__(f"{subject} is refused: {count}\n{body}", hint=hint)


class DataError(InterlockError):
    """A dataset is refused: missing, malformed, changed under its digest, or unusable."""


class DecisionError(InterlockError):
    """A decision is refused: outside the verdict's actions, the search space or the evidence; every fault is listed."""

    def __init__(self, faults: Sequence[Fault], *, subject: str = "decision", hint: str | None = None) -> None:
        """`subject` names what was proposed and by which policy."""
        self.faults = tuple(faults)
        body = "\n".join(f"  {fault}" for fault in self.faults)
        super().__init__(f"{subject} is refused:\n{body}", hint=hint)


class NoDecisionError(DecisionError):
    """A policy came to no decision. `trail` says what was tried; a guard hands it on to its fallback."""

    trail: tuple[Any, ...] = ()


class NotRecordedError(NoDecisionError):
    """Replay alone was asked for and an answer is missing. No guard falls back on it: the same decision is wanted."""


class StageError(InterlockError):
    """A stage cannot run, or its inputs are not a finished result of an earlier stage."""


class NonFiniteError(StageError):
    """A loss or a gradient became NaN or infinite; training halts at once."""


class StalledError(StageError):
    """The training loss has not fallen since the start; `losses` are those of every epoch."""

    losses: Sequence[float] = ()


class BudgetError(StageError):
    """A training costs more than its ceiling, or than its estimate by far; a state is saved and it can be resumed."""


class DiskFullError(StageError):
    """There is no room, or no quota left, for what a training has to write."""


class CorruptStateError(StageError):
    """A checkpoint is missing, or its bytes are not those that were written."""


class PrunedError(StageError):
    """A sweep gave the training up before its end; its resume state is kept and there is no result."""


class BusyError(StageError):
    """Another process is working on the same run."""


class UnpassedInputError(StageError):
    """A run may not be made from one whose verdict is no pass, unless the configuration allows it."""

    exit_code = ExitCode.BLOCKED


class QuotaError(StageError):
    """A resource is not free now, more is asked for than its quota will ever give, or a reservation has ended."""


class ProvenanceError(InterlockError):
    """A digest, a hash chain or a record does not agree with the bytes on disk."""


class RegistryError(InterlockError):
    """The archive or the registry refuses a change, or cannot be read."""


class ApprovalError(RegistryError):
    """Something needs a person's approval, and none stands; `need` and `subject` are what to ask for."""

    def __init__(self, message: str, *, need: object = None, subject: str = "", **located: Any) -> None:
        """`need` is an `interlock.contracts.approval.Need`; `subject` a run id or a digest."""
        super().__init__(message, **located)
        self.need, self.subject = need, subject
