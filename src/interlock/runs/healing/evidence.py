"""Gathering evidence of a fault: from an exception, from what a killed process left, from a finished training.

Only facts are put together here; which fault they mean is `interlock.recovery.classify`'s business.
"""

import csv
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from interlock.contracts.recovery import CurveEvidence, DiskEvidence, Evidence, MemoryEvidence, SpendEvidence
from interlock.errors import InterlockError, StalledError
from interlock.lanes.spec import StageOutcome
from interlock.provenance.dotted import lookup
from interlock.provenance.environment import redact_text
from interlock.provenance.workspace import interlock_home
from interlock.stages.frame import Frame

SIGKILL = 9
_TEXT_MAX_CHARS = 1000


def of_error(error: BaseException, frame: Frame, *, curves: CurveEvidence | None, spend: SpendEvidence) -> Evidence:
    """What an exception that ended a training says, with the state of disk, curves and spend beside it."""
    causes = tuple(_causes(error))
    numbers = [cause.errno for cause in causes if isinstance(cause, OSError) and cause.errno is not None]
    stalled = next((cause.losses for cause in causes if isinstance(cause, StalledError)), ())
    rule = curves or CurveEvidence()
    return Evidence(
        error_types=tuple(dict.fromkeys(name for cause in causes for name in _type_names(cause))),
        error_text=_without_places(redact_text(_words(error)), frame)[:_TEXT_MAX_CHARS],
        errno=numbers[0] if numbers else None,
        disk=disk_of(frame.state),
        curves=rule.model_copy(update={"training": tuple(stalled), "validation": ()}) if stalled else curves,
        spend=spend,
    )


def of_kill(memory: MemoryEvidence | None) -> Evidence:
    """What a process that vanished left behind."""
    return Evidence(exit_signal=SIGKILL, memory=memory)


def of_outcome(frame: Frame, outcome: StageOutcome) -> Evidence:
    """The loss curves of a finished training; empty evidence for a lane that writes none."""
    rows = _rows(frame.folder / "loss.csv")
    if not rows or not {"train_loss", "validation_loss"} <= set(rows[0]):
        return Evidence()
    training, validation = (tuple(float(row[name]) for row in rows) for name in ("train_loss", "validation_loss"))
    return Evidence(curves=curves_of(frame, training, validation))


def of_damaged(names: tuple[str, ...]) -> Evidence:
    """States that were set aside because their bytes differ from their digest."""
    return Evidence(damaged_files=names)


def curves_of(frame: Frame, training: tuple[float, ...], validation: tuple[float, ...]) -> CurveEvidence:
    """Losses with the lane's own rule, where it has one."""
    rule = lookup(frame.params, "lane.trainer.converged")
    known = {name: rule[name] for name in ("window_epochs", "tolerance")} if isinstance(rule, Mapping) else {}
    return CurveEvidence(training=training, validation=validation, **known)


def damaged_states(state: Path) -> tuple[str, ...]:
    """Names of states that were set aside."""
    return tuple(sorted(path.name.removeprefix("set_aside_") for path in state.glob("set_aside_*")))


def disk_of(folder: Path) -> DiskEvidence | None:
    """Room on the file system of a folder, or of the nearest one above it that exists."""
    for place in (folder, *folder.parents):
        if place.is_dir():
            usage = shutil.disk_usage(place)
            return DiskEvidence(free_bytes=usage.free, total_bytes=usage.total)
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it, each once."""
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def _type_names(error: BaseException) -> Iterator[str]:
    for kind in type(error).__mro__:
        if kind not in (BaseException, Exception, object):
            yield kind.__name__


def _words(error: BaseException) -> str:
    return error.message if isinstance(error, InterlockError) else f"{type(error).__name__}: {error}"


def _without_places(text: str, frame: Frame) -> str:
    """The record travels; where this machine keeps its folders does not."""
    for folder in (interlock_home(frame.place.workspace), frame.place.folder, frame.place.workspace):
        text = text.replace(f"{folder}/", "")
    return text


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
