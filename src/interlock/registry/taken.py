"""Which runs of another home's log were verified here: what its events about any other run say is not believed.

`<home>/registry/others/<writer>.json` stands beside the log that it speaks of. Losing it loses nothing: those events go
out of sight until the next `interlock pull` has verified the bytes again.
"""

from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError

from interlock.contracts.base import Contract
from interlock.errors import RegistryError
from interlock.provenance.files import write_json


class Taken(Contract):
    """What was taken over from one writer."""

    lines: Annotated[int, Field(ge=0)] = 0
    """Lines of its log that were looked at."""
    runs: dict[str, int] = Field(default_factory=dict)
    """By run, the last line about it that was verified together with the run's files."""
    twins: dict[str, int] = Field(default_factory=dict)
    """The same for runs that were executed here too, to an equal model: its promotions count, the rest is of another
    execution."""
    refused: dict[str, str] = Field(default_factory=dict)
    """By run, why later lines about it were not."""

    def seen(self, run_id: str) -> int:
        """The last line about a run that was looked into with success; 0 without one."""
        return max(self.runs.get(run_id, 0), self.twins.get(run_id, 0))


def taken_path(log: Path) -> Path:
    """The file beside a log that was taken over."""
    return log.with_suffix(".json")


def read_taken(log: Path) -> Taken:
    """What was verified of this log; nothing where nobody has written it down. Raises RegistryError."""
    path = taken_path(log)
    if not path.exists():
        return Taken()
    try:
        return Taken.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise RegistryError(
            f"cannot be read: {error.errors()[0]['msg']}", path=path, hint="delete it, then interlock pull"
        ) from error


def write_taken(log: Path, taken: Taken) -> None:
    """Write it down, atomically."""
    write_json(taken_path(log), taken)
