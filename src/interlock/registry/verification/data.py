"""The prepared data and the lock, where a workspace or this home still has them. The archive keeps digests alone.

Looked for: the lane's folder that DVC fills, the folders that jobs share, and DVC's cache. What is found must be what
the prepare record lists; what is not at hand is said.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from interlock.contracts.stage import Artifact, StageRecord
from interlock.contracts.verification import Link
from interlock.errors import InterlockError
from interlock.provenance.environment import lock_digest
from interlock.registry.verification.archived import Archived
from interlock.registry.verification.findings import Findings, shown
from interlock.registry.verification.hashing import hash_files
from interlock.registry.verification.model import outputs_sha256

_RECORD = "record.json"


def check_data(archived: Archived, prepare: StageRecord | None, workspace: Path | None) -> list[Link]:
    """From the card to the dataset's digest to the prepared bytes."""
    findings = Findings(section="data", home=archived.home)
    card = archived.card
    if card is None or prepare is None:
        return findings.links
    findings.agree(
        "run card -> dataset digest", card.dataset_sha256, prepare.facts.get("dataset_sha256"), says="the card"
    )
    link = "dataset digest -> prepared data"
    for folder in _candidates(archived.home, workspace, prepare):
        differing = _differing(folder, prepare.artifacts)
        if not differing:
            findings.holds(link, f"{len(prepare.artifacts)} files", path=folder)
            return findings.links
        detail = f"{differing[0]} is not what the prepare record lists"
        findings.broken(link, detail, path=folder / differing[0], way_out="dvc checkout, or dvc repro")
        return findings.links
    cached = _cached(workspace, prepare) if workspace else None
    if cached is not None:
        findings.holds(link, f"{len(prepare.artifacts)} files in DVC's cache", path=cached)
    else:
        detail = f"the data with digest {shown(card.dataset_sha256)} is not at hand"
        findings.unchecked(link, detail, way_out="dvc pull, with the run's commit checked out")
    return findings.links


def check_lock(archived: Archived, workspace: Path | None) -> list[Link]:
    """The lock of the workspace, where it is still the run's."""
    findings = Findings(section="code", home=archived.home)
    card, link = archived.card, "run card -> lock digest"
    if card is None:
        return findings.links
    try:
        found = lock_digest(workspace) if workspace else None
    except InterlockError:
        found = None
    if found == card.lock_sha256:
        findings.holds(link, "it is the lock that stands here")
    else:
        detail = f"the lock with digest {shown(card.lock_sha256)} is not the one here"
        findings.unchecked(link, detail if workspace else "no workspace is at hand", way_out=_checkout(card.git_commit))
    return findings.links


def _checkout(commit: str) -> str:
    return f"git checkout {commit[:12]}" if commit else "the run was made without git"


def _candidates(home: Path, workspace: Path | None, prepare: StageRecord) -> Iterator[Path]:
    """Folders whose record hands over what this run was made from."""
    folders = sorted((home / "work" / "prepared").glob("*"))
    if workspace is not None:
        folders.append(workspace / "artifacts" / "lanes" / prepare.lane / "prepare")
    for folder in folders:
        try:
            record = StageRecord.model_validate_json((folder / _RECORD).read_bytes())
        except (OSError, ValueError):
            continue
        if outputs_sha256(record) == outputs_sha256(prepare):
            yield folder


def _differing(folder: Path, artifacts: Mapping[str, Artifact]) -> list[str]:
    found, _ = hash_files(folder, artifacts)
    return sorted(name for name, artifact in artifacts.items() if found.get(name) != artifact)


def _cached(workspace: Path, prepare: StageRecord) -> Path | None:
    """DVC's cached copy of the prepare folder that `dvc.lock` names, when its bytes are the recorded ones."""
    cache = workspace / ".dvc" / "cache" / "files" / "md5"
    for md5 in _locked_outputs(workspace, prepare.lane):
        listing = cache / md5[:2] / md5[2:]
        try:
            entries = {item["relpath"]: item["md5"] for item in json.loads(listing.read_text())}
        except (OSError, ValueError, KeyError, TypeError):
            continue
        names = {name: f"{entries[name][:2]}/{entries[name][2:]}" for name in prepare.artifacts if name in entries}
        found, _ = hash_files(cache, names.values())
        if all(found.get(names.get(name, "")) == artifact for name, artifact in prepare.artifacts.items()):
            return listing
    return None


def _locked_outputs(workspace: Path, lane: str) -> list[str]:
    """Digests (`<md5>.dir`) of the lane's prepare folder in `dvc.lock`."""
    try:
        stages: dict[str, Any] = yaml.safe_load((workspace / "dvc.lock").read_text())["stages"]
    except (OSError, yaml.YAMLError, KeyError, TypeError):
        return []
    wanted = f"artifacts/lanes/{lane}/prepare"
    outs = [out for stage in stages.values() for out in stage.get("outs", ()) if out.get("path") == wanted]
    return [str(out["md5"]) for out in outs if str(out.get("md5", "")).endswith(".dir")]
