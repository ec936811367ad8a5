"""Evidence -> class of the fault, by rules that stand in a table and are asked in order; the first that fits wins.

    classify(evidence).fault, .cause, .reason

Pure and total: every evidence has a class, and what fits no rule is `unknown`, which is never healed. An error that
was raised is told by its type and number; its words count only where a library has no type of its own for the fault.
"""

from collections.abc import Callable

from interlock.contracts.recovery import Classified, Evidence, FaultClass, MemoryEvidence
from interlock.recovery.curves import is_overfitting, is_stalled

COUNTED = frozenset(
    {
        FaultClass.STALLED,
        FaultClass.OUT_OF_MEMORY,
        FaultClass.NOT_FINITE,
        FaultClass.DISK_FULL,
        FaultClass.CORRUPT_CHECKPOINT,
        FaultClass.UNKNOWN,
    }
)
"""Causes that count as a failed training. Kills, quotas, budgets and silent workers say nothing about the training."""

SIGKILL = 9
FULL_SHARE = 0.95
"""Share of the memory limit from which a killed process counts as killed for memory."""
_ENOMEM = 12
_DISK_ERRNOS = {28: "no space left on the device", 122: "the disk quota is used up", 27: "the file size limit"}
_MEMORY_TYPES = frozenset({"MemoryError", "OutOfMemoryError"})
_MEMORY_WORDS = ("out of memory", "can't allocate memory", "cannot allocate memory", "bad_alloc", "bad allocation")
_DISK_WORDS = ("no space left on device", "disk quota exceeded", "database or disk is full")
_WORDY_DISK_TYPES = frozenset({"RuntimeError", "OSError", "OperationalError"})
_WORKER_WORDS = "killed by signal: killed"


def classify(evidence: Evidence) -> Classified:
    """The class of a fault and one sentence with the numbers that it follows from."""
    cause, reason = next(
        ((fault, why) for fault, rule in RULES if (why := rule(evidence))), (FaultClass.UNKNOWN, _unknown(evidence))
    )
    failures = evidence.failures_before + 1
    if counts(cause, evidence) and failures >= evidence.failures_max:
        reason = f"failure {failures} of {evidence.failures_max} in this lineage: {reason}"
        return Classified(fault=FaultClass.REPEATED_FAILURE, cause=cause, reason=reason)
    return Classified(fault=cause, cause=cause, reason=reason)


def counts(cause: FaultClass, evidence: Evidence) -> bool:
    """Whether the fault is a failed training: its cause is one, and it ended the training."""
    return cause in COUNTED and ended_training(evidence)


def ended_training(evidence: Evidence) -> bool:
    """Whether an error or a signal ended it; otherwise the fault was worked around on the way."""
    return bool(evidence.error_types) or evidence.exit_signal is not None


def _quota_exceeded(evidence: Evidence) -> str:
    return f"the resource manager has no {evidence.refused_resource} left" if evidence.refused_resource else ""


def _not_finite(evidence: Evidence) -> str:
    return _first_line(evidence) if "NonFiniteError" in evidence.error_types else ""


def _over_budget(evidence: Evidence) -> str:
    spend, silent = evidence.spend, not evidence.error_types
    if "BudgetError" in evidence.error_types:
        return _first_line(evidence)
    if not silent or spend is None:
        return ""
    if spend.hours_max is not None and spend.hours > spend.hours_max:
        return f"{spend.hours:.3g} hours over all attempts, {spend.hours_max:.3g} are allowed"
    if spend.estimate_hours is not None and spend.attempt_hours > spend.estimate_factor * spend.estimate_hours:
        return (
            f"{spend.attempt_hours:.3g} hours, over {spend.estimate_factor:g} times the estimate of "
            f"{spend.estimate_hours:.3g}"
        )
    return ""


def _out_of_memory(evidence: Evidence) -> str:
    text = evidence.error_text.lower()
    if _MEMORY_TYPES & set(evidence.error_types) or evidence.errno == _ENOMEM:
        return _first_line(evidence)
    if "RuntimeError" in evidence.error_types and any(words in text for words in _MEMORY_WORDS):
        return _first_line(evidence)
    if evidence.exit_signal == SIGKILL or ("RuntimeError" in evidence.error_types and _WORKER_WORDS in text):
        shown = _memory_shown(evidence.memory)
        return f"killed by signal 9, and {shown}" if shown else ""
    return ""


def _memory_shown(memory: MemoryEvidence | None) -> str:
    """What speaks for memory as the reason of a kill; empty for nothing."""
    if memory is None:
        return ""
    before, after = memory.oom_kills_before, memory.oom_kills_after
    if before is not None and after is not None and after > before:
        return f"the kernel counts {after - before} process(es) killed for memory since"
    if memory.limit_bytes and memory.peak_bytes is not None and memory.peak_bytes >= FULL_SHARE * memory.limit_bytes:
        return f"{memory.peak_bytes / 2**20:,.0f} of {memory.limit_bytes / 2**20:,.0f} MiB were in use"
    return ""


def _disk_full(evidence: Evidence) -> str:
    disk, text = evidence.disk, evidence.error_text.lower()
    free = f"; {disk.free_bytes / 2**20:,.1f} MiB are free" if disk else ""
    if evidence.errno in _DISK_ERRNOS:
        return f"{_DISK_ERRNOS[evidence.errno]}{free}"
    wordy = bool(_WORDY_DISK_TYPES & set(evidence.error_types)) and any(words in text for words in _DISK_WORDS)
    if wordy or "DiskFullError" in evidence.error_types:
        return f"{_first_line(evidence)}{free}"
    if disk and disk.needed_bytes is not None and disk.free_bytes < disk.needed_bytes:
        return f"{disk.needed_bytes / 2**20:,.1f} MiB are needed{free}"
    return ""


def _corrupt_checkpoint(evidence: Evidence) -> str:
    if evidence.damaged_files and not evidence.error_types:
        return f"bytes differ from their digest: {', '.join(evidence.damaged_files)}"
    return _first_line(evidence) if "CorruptStateError" in evidence.error_types else ""


def _stalled(evidence: Evidence) -> str:
    curves = evidence.curves
    if "StalledError" in evidence.error_types:
        return _first_line(evidence)
    if evidence.error_types or curves is None or not is_stalled(curves.training, window_epochs=curves.window_epochs):
        return ""
    return (
        f"no decrease of the training loss in {curves.window_epochs} epochs: {curves.training[-1]:.4g} of "
        f"{curves.training[0]:.4g} at the start"
    )


def _killed(evidence: Evidence) -> str:
    return "the process was killed (signal 9); nothing speaks for memory" if evidence.exit_signal == SIGKILL else ""


def _missed_heartbeats(evidence: Evidence) -> str:
    beat = evidence.heartbeat
    if evidence.error_types or beat is None or beat.steps_since or beat.age_s <= beat.missed_max * beat.every_s:
        return ""
    return f"no heartbeat for {beat.age_s:.3g} s, one is due every {beat.every_s:.3g} s, and no step since"


def _gate_failed(evidence: Evidence) -> str:
    return "the verdict of its gates is fail" if evidence.verdict == "fail" and not evidence.error_types else ""


def _overfitting(evidence: Evidence) -> str:
    curves = evidence.curves
    if evidence.error_types or curves is None:
        return ""
    if not is_overfitting(curves.training, curves.validation, tolerance=curves.tolerance):
        return ""
    best = min(curves.validation)
    return (
        f"validation loss rose from {best:.4g} (epoch {curves.validation.index(best) + 1}) to "
        f"{curves.validation[-1]:.4g} while training improved"
    )


def _unknown(evidence: Evidence) -> str:
    return _first_line(evidence) or "nothing that is known explains it"


def _first_line(evidence: Evidence) -> str:
    return evidence.error_text.strip().partition("\n")[0] or "/".join(evidence.error_types[:1])


RULES: tuple[tuple[FaultClass, Callable[[Evidence], str]], ...] = (
    (FaultClass.QUOTA_EXCEEDED, _quota_exceeded),
    (FaultClass.NOT_FINITE, _not_finite),
    (FaultClass.OVER_BUDGET, _over_budget),
    (FaultClass.OUT_OF_MEMORY, _out_of_memory),
    (FaultClass.DISK_FULL, _disk_full),
    (FaultClass.CORRUPT_CHECKPOINT, _corrupt_checkpoint),
    (FaultClass.STALLED, _stalled),
    (FaultClass.KILLED, _killed),
    (FaultClass.MISSED_HEARTBEATS, _missed_heartbeats),
    (FaultClass.GATE_FAILED, _gate_failed),
    (FaultClass.OVERFITTING, _overfitting),
)
"""In this order. A rule says why it fits, or nothing. Memory comes before the disk: `ENOMEM` names itself; a kill with
evidence of memory comes before a plain one; what ended in an error is never called overfitting."""
