"""Is the code of a run still at hand: in this workspace, or in the commit that its card names?

The digest of a stage's code is computed anew, by the same function that gave the record its own.
"""

import subprocess
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from interlock.contracts.stage import StageName, StageRecord
from interlock.contracts.verification import Link
from interlock.errors import InterlockError
from interlock.lanes.catalog import find_lane
from interlock.provenance.closure import code_digest
from interlock.provenance.environment import environment_digest, lock_digest
from interlock.registry.verification.findings import Findings, shown
from interlock.stages.code import stage_code

_TIMEOUT_S = 60.0
_PARTS = ("src", "pipelines", "requirements.lock")


@dataclass
class CodeAtHand:
    """Digests of the code here and in commits, each computed once however many runs ask."""

    workspace: Path | None
    _here: dict[tuple[str, str], str] = field(default_factory=dict)
    _commits: dict[str, dict[tuple[str, str], str]] = field(default_factory=dict)

    def check(self, records: Mapping[StageName, StageRecord], *, commit: str, dirty: bool | None) -> list[Link]:
        """Links from the stage records to their code and lock."""
        findings = Findings(section="code", home=self.workspace or Path())
        wanted: dict[tuple[str, str], str] = {
            (stage, _kind(record)): record.code_sha256 for stage, record in records.items()
        }
        if "train" in records:
            wanted["lock", ""] = records["train"].lock_sha256
        if self.workspace is None:
            if wanted:
                findings.unchecked("stage records -> code and lock", "no workspace is at hand")
            return findings.links
        here = self._digests_here(wanted)
        missing = {key: sha256 for key, sha256 in wanted.items() if here.get(key) != sha256}
        there = self._digests_of(commit, missing) if missing and commit else {}
        for key, sha256 in wanted.items():
            name = "run card -> lock digest" if key[0] == "lock" else f"{key[0]} record -> code digest"
            if key not in missing:
                findings.holds(name, "as it stands here")
            elif there.get(key) == sha256:
                findings.holds(name, f"as in commit {commit[:12]}")
            else:
                findings.unchecked(name, _why(sha256, commit, dirty, there.get(key)), way_out=_way_out(commit, dirty))
        return findings.links

    def _digests_here(self, wanted: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
        assert self.workspace is not None
        for key in wanted:
            if key not in self._here:
                self._here[key] = _digest(key, self.workspace, installed=True)
        return self._here

    def _digests_of(self, commit: str, wanted: Mapping[tuple[str, str], str]) -> dict[tuple[str, str], str]:
        assert self.workspace is not None
        found = self._commits.setdefault(commit, {})
        if set(wanted) <= set(found):
            return found
        with tempfile.TemporaryDirectory(prefix="interlock-code-") as folder:
            if _check_out(self.workspace, commit, Path(folder)):
                found |= {key: _digest(key, Path(folder), installed=False) for key in wanted}
        return found


def _digest(key: tuple[str, str], workspace: Path, *, installed: bool) -> str:
    """Digest of a stage's code or of the lock; '' where it cannot be told."""
    part, kind = key
    try:
        if part == "lock":
            return environment_digest(workspace) if installed else lock_digest(workspace)
        return code_digest(stage_code(part, find_lane(kind), workspace), workspace)  # type: ignore[arg-type]
    except (InterlockError, ImportError, OSError):
        return ""


def _check_out(workspace: Path, commit: str, folder: Path) -> bool:
    """Put the commit's code into a folder of its own, without touching the workspace."""
    archive = folder / "code.tar"
    command = ["git", "-C", str(workspace), "archive", f"--output={archive}", commit, *_PARTS]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_TIMEOUT_S, stdin=subprocess.DEVNULL, check=False)
        if done.returncode != 0:
            return False
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
    except (OSError, subprocess.SubprocessError, tarfile.TarError):
        return False
    return True


def _kind(record: StageRecord) -> str:
    lane = record.params.get("lane")
    return str(lane.get("kind", "")) if isinstance(lane, dict) else ""


def _why(sha256: str, commit: str, dirty: bool | None, there: str | None) -> str:
    head = f"{shown(sha256)} is not at hand: other code stands here"
    if not commit:
        return f"{head}, and the run was made without git"
    if dirty:
        return f"{head}, and the run was made from uncommitted changes on {commit[:12]}"
    return f"{head}, and commit {commit[:12]} {'gives another digest' if there else 'is not in this repository'}"


def _way_out(commit: str, dirty: bool | None) -> str:
    return f"git fetch, or verify in a checkout of {commit[:12]}" if commit and not dirty else ""
