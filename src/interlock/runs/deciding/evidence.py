"""The files of an archived run by the names that they had in the stage folders, found by digest.

    found = ArchivedFiles(home, run_id, decision_folder).find("train/outputs.json", sha256)

A run's archive may hold several executions of a stage and several judgements; a pointer's digest says which one is
meant. Where none has it, the first that bears the name is given, so that it can be shown what stands there now. What a
stage handed over stands in its record. Unlike `interlock.decisions.archived`, which reads what belongs together or
nothing, this answers for every file by itself.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from interlock.contracts.decision import Evidence
from interlock.contracts.stage import StageRecord
from interlock.decisions.evidence import evidence_faults
from interlock.decisions.settings import SETTINGS, SETTINGS_FILE
from interlock.provenance.canonical import pretty_json
from interlock.registry.layout import RECORDS, run_folder

_OUTPUTS, _RECORD, _MEASUREMENTS = "outputs.json", "record.json", "measurements.json"


@dataclass(frozen=True, kw_only=True)
class Found:
    """A file where the archive keeps it."""

    path: Path
    data: bytes

    @property
    def sha256(self) -> str:
        """Digest of the bytes as the stage's folder had them."""
        return hashlib.sha256(self.data).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Checked:
    """A fact, and what became of the file that it stands in."""

    evidence: Evidence
    file: str
    """Name among the stage folders."""
    path: str
    """Where the archive keeps it, relative to the home; empty where it has none."""
    problem: str = ""
    """Why it does not hold now; empty where it does."""


class ArchivedFiles:
    """Files of one run."""

    def __init__(self, home: Path, run_id: str, decision: Path) -> None:
        """`decision` is the folder of the decision whose settings are meant."""
        self._home, self._run, self._decision = home, run_folder(home, run_id), decision

    def find(self, name: str, sha256: str) -> Found | None:
        """The file with that digest, else the first that bears the name."""
        first: Found | None = None
        for path in self._candidates(name):
            data = _content(path, name)
            found = None if data is None else Found(path=path, data=data)
            if found is not None and found.sha256 == sha256:
                return found
            first = first or found
        return first

    def check(self, item: Evidence) -> Checked:
        """Whether a fact still stands where its pointer says, in the bytes that it says."""
        file, _, rest = item.pointer.partition("#")
        found = self.find(file, rest.rpartition("@sha256:")[2])
        path = "" if found is None else found.path.relative_to(self._home).as_posix()
        return Checked(evidence=item, file=file, path=path, problem=self._problem(item, found))

    def holds(self, pointer: str) -> bool:
        """Whether the file that a pointer names is here, in the bytes that it names."""
        file, _, rest = pointer.partition("#")
        sha256 = rest.rpartition("@sha256:")[2]
        found = self.find(file, sha256)
        return found is not None and found.sha256 == sha256

    def _problem(self, item: Evidence, found: Found | None) -> str:
        if found is None:
            return "the archive has no such file"
        fault = next(evidence_faults([item], lambda name: found.data), None)
        if fault is None:
            return ""
        return f"{fault.problem}, it is {found.sha256[:12]}... now" if "digest" in fault.problem else fault.problem

    def _candidates(self, name: str) -> Iterator[Path]:
        stage, _, rest = name.partition("/")
        if name == SETTINGS_FILE:
            yield self._decision / SETTINGS
        elif stage == "release":
            yield from (path for path in [self._decision / name] if ".." not in name and path.is_file())
        elif rest == _OUTPUTS:
            yield from self._each(f"models/{RECORDS}/{stage}.json", f"models/{RECORDS}/{stage}.skipped.json")
            yield from self._each(f"revisions/*/{stage}/{_RECORD}", f"judgements/*/{_RECORD}")
        elif stage == "judge":
            yield from self._each(f"judgements/*/{rest}")
        elif rest == _MEASUREMENTS:
            kept = rest if stage == "evaluate" else f"{stage}/{rest}"
            yield from self._each(f"judgements/*/{kept}", f"models/{kept}", f"revisions/*/{stage}/{rest}")
        else:
            yield from self._each(f"models/{rest}", f"models/{stage}/{rest}", f"revisions/*/{stage}/{rest}")
            yield from self._each(f"attempts/*/files/{rest}")

    def _each(self, *patterns: str) -> Iterator[Path]:
        for pattern in patterns:
            if ".." not in pattern:
                yield from sorted(path for path in self._run.glob(pattern) if path.is_file())


def _content(path: Path, name: str) -> bytes | None:
    """The bytes as the stage's folder had them; None for a record that cannot be read."""
    data = path.read_bytes()
    if not name.endswith(f"/{_OUTPUTS}"):
        return data
    try:
        record = StageRecord.model_validate_json(data)
    except ValidationError:
        return None
    return pretty_json(record.outputs()).encode() if record.stage == name.partition("/")[0] else None
