"""Begin a drive or find the one that the same command began: same configuration, same drive.

Does not run anything (`interlock.runs.drive.driver`). The caller composes, and holds the drive's lock.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from interlock.contracts.drive import DriveRecord
from interlock.errors import ConfigError, Fault
from interlock.runs.drive.attempt import Composed, basis
from interlock.runs.drive.folder import ID_DIGITS, DriveFolder, newest_of_command
from interlock.runs.drive.states import DriveEvent


@dataclass(frozen=True, kw_only=True)
class Opened:
    """How a drive was found."""

    how: Literal["begun", "goes_on", "begun_anew"]
    """`begun_anew`: code, data or environment changed since."""
    before: str = ""
    """The drive that the same words began when conf/ said something else; empty without one."""
    changed: tuple[str, ...] = ()
    """Keys that conf/ composes to something else than for that one."""


def drive_of(home: Path, composed: Composed) -> DriveFolder:
    """The drive of a configuration, begun or not. Raises ConfigError for one that cannot be driven."""
    faults = [*_lineage_faults(composed), *_space_faults(composed)]
    if faults:
        raise ConfigError(faults, subject=f"drive of lane {composed.lane}")
    return DriveFolder(home, composed.digest[:ID_DIGITS])


def open_drive(folder: DriveFolder, composed: Composed, *, command: tuple[str, ...], workspace: Path) -> Opened:
    """Begin it, or begin it anew where its results would not be the same any more. The caller holds its lock."""
    told = {"attempts_max": _attempts_max(composed.config), "basis": basis(composed, workspace)}
    if folder.exists:
        beginnings = [entry for entry in folder.entries() if "basis" in entry.details]
        if beginnings[-1].details["basis"] == told["basis"]:
            return Opened(how="goes_on")
        folder.write(DriveEvent.REOPENED, **told)
        return Opened(how="begun_anew")
    before = newest_of_command(folder.home, command)
    record = DriveRecord(
        id=folder.id,
        name=str(composed.config["experiment"]["name"]),
        lane=composed.lane,
        command=command,
        asked=composed.asked,
        begun_at=datetime.now(UTC).isoformat(timespec="microseconds"),
    )
    folder.create(record, **told)
    if before is None:
        return Opened(how="begun")
    return Opened(how="begun", before=before.id, changed=tuple(differing(before.asked, record.asked)))


def differing(before: Any, now: Any, prefix: str = "") -> list[str]:
    """Dotted keys whose values differ."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        keys = sorted({*before, *now})
        return [found for key in keys for found in differing(before.get(key), now.get(key), f"{prefix}{key}.")]
    return [] if before == now else [prefix.rstrip(".")]


def _attempts_max(config: Mapping[str, Any]) -> int:
    return int(config["max_attempts"] or config["recovery"]["gate_failures_max"])


def _lineage_faults(composed: Composed) -> list[Fault]:
    """What a drive fills in by itself must not be given by hand."""
    lineage = composed.config["lineage"]
    given = {"parent_run": None, "attempt": 1, "drive": None}
    return [
        Fault(key=f"lineage.{name}", problem="is filled in by the drive, attempt by attempt", value=lineage[name])
        for name, default in given.items()
        if lineage[name] != default
    ]


def _space_faults(composed: Composed) -> list[Fault]:
    if composed.search_space:
        return []
    problem = "is empty: a drive could never change anything; declare keys with their bounds, or use interlock run"
    return [Fault(key="lane.search_space", problem=problem, has_value=False)]
