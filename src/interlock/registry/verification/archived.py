"""An archived run as it stands on disk: every file's digest, the card and the records that can be read."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from interlock.contracts.base import Contract
from interlock.contracts.card import RunCard
from interlock.contracts.stage import Artifact, Observations, StageName, StageRecord
from interlock.errors import InterlockError
from interlock.provenance.canonical import pretty_json
from interlock.registry.archive import read_card
from interlock.registry.layout import CARD, MODEL_STAGES, RECORDS, FinishedRun, StageFiles, run_folder
from interlock.registry.verification.findings import Findings
from interlock.registry.verification.hashing import Contents, read_contents

C = TypeVar("C", bound=Contract)


@dataclass(frozen=True, kw_only=True)
class Archived:
    """What the checks look at."""

    home: Path
    run_id: str
    contents: Contents
    card: RunCard | None
    """None when it cannot be read; the findings say why."""

    @property
    def folder(self) -> Path:
        """The run's folder."""
        return run_folder(self.home, self.run_id)

    @property
    def files(self) -> Mapping[str, Artifact]:
        """Digest and size of every file, by name relative to the run's folder."""
        return self.contents.files

    def sha256(self, name: str) -> str | None:
        """Digest of a file; None when it is not there."""
        found = self.files.get(name)
        return found.sha256 if found else None

    @property
    def card_sha256(self) -> str | None:
        """Digest of the card's file."""
        return self.sha256(f"models/{CARD}")

    def entries(self, kind: str) -> list[str]:
        """Names of the folders under `kind`, sorted."""
        return sorted({name.split("/")[1] for name in self.files if name.startswith(f"{kind}/")})


def read_archived(home: Path, run_id: str, findings: Findings, *, threads: int | None = None) -> Archived:
    """Read a run; what is wrong with its card goes to `findings`."""
    folder = run_folder(home, run_id)
    contents = read_contents(folder, threads=threads)
    for name in contents.others:
        findings.broken(f"runs/{run_id} -> {name}", "it is no plain file", path=folder / name)
    for name, reason in contents.unreadable.items():
        findings.broken(f"runs/{run_id} -> {name}", f"it cannot be read: {reason}", path=folder / name)
    try:
        card = read_card(home, run_id)
    except InterlockError as error:
        findings.failed("run card", error)
        return Archived(home=home, run_id=run_id, contents=contents, card=None)
    except UnicodeDecodeError:
        findings.broken("run card", "it is not text", path=folder / "models")
        return Archived(home=home, run_id=run_id, contents=contents, card=None)
    return Archived(home=home, run_id=run_id, contents=contents, card=card)


def read_contract(path: Path, contract: type[C], name: str, findings: Findings) -> C | None:
    """A record that is exactly what its maker writes; None with a broken link otherwise."""
    try:
        text = path.read_bytes()
        found = contract.model_validate_json(text)
    except FileNotFoundError:
        findings.broken(name, "it is missing", path=path)
        return None
    except OSError as error:
        findings.broken(name, f"it cannot be read: {error.strerror}", path=path)
        return None
    except ValidationError as error:
        findings.broken(name, f"it is not valid: {error.errors()[0]['msg']}", path=path)
        return None
    return found


def record_name(card: RunCard, stage: StageName) -> str:
    """Name of a stage's record in `models/`."""
    return f"{RECORDS}/{stage}{'.skipped' if stage == 'export' and card.export == 'skipped' else ''}.json"


def as_finished(archived: Archived, records: Mapping[StageName, StageRecord], findings: Findings) -> FinishedRun | None:
    """The run as `sync` saw it, put together again from records and observations; None when a part is missing."""
    card = archived.card
    assert card is not None
    stages: dict[StageName, StageFiles] = {}
    for stage in MODEL_STAGES:
        attempt = card.observations.attempts.get(stage, "")
        path = archived.folder / "attempts" / attempt / f"{stage}.observations.json"
        observations = read_contract(path, Observations, f"run card -> attempts/{attempt}/{path.name}", findings)
        if observations is None or stage not in records:
            return None
        stages[stage] = StageFiles(
            folder=archived.folder / "models",
            record=records[stage],
            record_text=pretty_json(records[stage]),
            observations=observations,
            observations_text=pretty_json(observations),
        )
    return FinishedRun(run_id=archived.run_id, lane=records["train"].lane, stages=stages, model_files=())
