"""A version of a lane's model as the archive has it: verified first, and not looked at any further where it is broken.

    candidate = version(home, row=..., run_id=...)      # `broken` says why nothing of it is believed
    previous(home, candidate)                           # what answers now, or answered before it

Reads alone. Nothing raises for a damaged archive: a release of it is judged `blocked` and says so.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from interlock.contracts.card import RunCard
from interlock.contracts.measurement import Measurement, Sha256
from interlock.contracts.release import VersionId
from interlock.contracts.verdict import Judgement
from interlock.errors import InterlockError, UsageError
from interlock.provenance.digest import sha256_file
from interlock.registry.archive import read_card
from interlock.registry.derive import JUDGEMENT, run_proposals
from interlock.registry.events import union
from interlock.registry.holders import Holder, holders
from interlock.registry.judged import newest_judgement
from interlock.registry.layout import CARD, run_folder
from interlock.registry.queries import ModelRow, find_run, list_models, show_model
from interlock.registry.stages import LIVE
from interlock.registry.verify import verify_run
from interlock.stages.verdicts import ARCHIVED_FILES, Measured, read_archived

ONNX = ".onnx"


@dataclass(frozen=True, kw_only=True)
class Version:
    """One run and the model that it gave."""

    home: Path
    run_id: str
    model: ModelRow | None
    """None for a run without an export."""
    broken: str = ""
    """Why nothing of it is believed; then everything below is empty."""
    card: RunCard | None = None
    judgement: Judgement | None = None
    """The newest one that the event logs record; None for a run that was never judged."""
    judgement_file: Path | None = None
    measured: Measured | None = None

    @property
    def models(self) -> Path:
        """Folder of the archived files."""
        return run_folder(self.home, self.run_id) / "models"

    @property
    def identity(self) -> VersionId:
        """Which model it is."""
        model = self.model
        if model is None:
            return VersionId(model_id="", run_id=self.run_id, sha256=None, stage="")
        return VersionId(model_id=model.id, run_id=self.run_id, sha256=model.sha256, stage=model.stage)

    @property
    def name(self) -> str:
        """As people are told of it."""
        return self.model.id if self.model else f"run {self.run_id}"

    @property
    def is_live(self) -> bool:
        """Whether it answers live requests now."""
        return self.model is not None and self.model.stage in LIVE

    @property
    def graphs(self) -> tuple[str, ...]:
        """Its exported ONNX files, relative to `models/`, the main one first."""
        return tuple(name for name in self.card.model_files if name.endswith(ONNX)) if self.card else ()

    def measurement(self, name: str) -> Measurement | None:
        """A measurement with a value."""
        found = self.measured.measurements.get(name) if self.measured else None
        return found if found is not None and found.value is not None else None

    def sources(self, *names: str) -> dict[str, Sha256]:
        """Digests of its files by their place in the home; `names` are relative to `models/`, missing ones left out."""
        paths = [self.models / name for name in (CARD, *names)]
        return digests(self.home, [*paths, *([self.judgement_file] if self.judgement_file else [])])

    @property
    def measured_sources(self) -> dict[str, Sha256]:
        """The measurements and the scores that they rest on."""
        found = self.measured.measurements.values() if self.measured else ()
        return self.sources(*ARCHIVED_FILES, *sorted({item.scores.file for item in found if item.scores}))


def digests(home: Path, paths: Iterable[Path]) -> dict[str, Sha256]:
    """Digests of those files that are there."""
    return {path.relative_to(home).as_posix(): sha256_file(path) for path in paths if path.is_file()}


def find_version(home: Path, text: str) -> Version:
    """The registered model, or the archived run, of that name or a beginning of it. Raises UsageError for neither."""
    models = list_models(home)
    if any(text in (model.id, model.run_id) or (text and model.id.startswith(text)) for model in models):
        return version(home, show_model(home, text).model)
    try:
        run_id = find_run(home, text).run_id
    except UsageError as error:
        known = ", ".join(model.id for model in models[:8]) or "there is none yet"
        raise UsageError(
            "no such model or run", key="MODEL_OR_RUN", value=text, hint=f"models: {known}; runs: interlock runs list"
        ) from error
    row = next((model for model in models if model.run_id == run_id), None)
    return version(home, row, run_id=run_id)


def version(home: Path, model: ModelRow | None, *, run_id: str = "") -> Version:
    """A version, verified now. `run_id` is of one without a model. Raises UsageError for a run without a card."""
    run_id = model.run_id if model else run_id
    if not (run_folder(home, run_id) / "models" / CARD).is_file():
        if model is None:
            hint = "only a finished run can be released: dvc repro, then interlock sync"
            raise UsageError("this run has no card in the archive", key="MODEL_OR_RUN", value=run_id, hint=hint)
        return Version(home=home, run_id=run_id, model=model, broken="its files are not in this archive")
    try:
        if broken := _broken(home, run_id, model):
            return Version(home=home, run_id=run_id, model=model, broken=broken)
        card = read_card(home, run_id)
        newest = newest_judgement(home, run_id, lane=card.lane)
        measured = read_archived(run_folder(home, run_id) / "models", run_id=run_id)
    except InterlockError as error:
        return Version(home=home, run_id=run_id, model=model, broken=_short(error, home))
    return Version(
        home=home, run_id=run_id, model=model, card=card, measured=measured, judgement=newest[1] if newest else None,
        judgement_file=newest[0] / JUDGEMENT if newest else None,
    )  # fmt: skip


def in_production(home: Path, lane: str) -> Holder | None:
    """Who answers the lane's requests now."""
    return next((item for item in holders(home) if (item.lane, item.stage) == (lane, "production")), None)


def previous(home: Path, candidate: Version, lane: str) -> Version | None:
    """What the candidate would replace; of a candidate in production the version that stood there before it."""
    holder = in_production(home, lane)
    own = candidate.model.id if candidate.model else ""
    if holder is not None and holder.model_id != own:
        return version(home, show_model(home, holder.model_id).model)
    if holder is None:
        return None
    entered = [
        line.event.subject
        for line in union(home)
        if line.event.kind == "promoted" and (line.event.body["lane"], line.event.body["to"]) == (lane, "production")
    ]
    for name in reversed(entered):
        if name != own and (row := show_model(home, name).model).stage == "retired":
            return version(home, row)
    return None


def _broken(home: Path, run_id: str, model: ModelRow | None) -> str:
    found = verify_run(home, run_id).first_broken
    if found is not None:
        return f"it does not verify: {found.name}: {found.detail}"
    registered = {item.body["sha256"] for item in run_proposals(home, run_id) if item.kind == "model_registered"}
    if model is not None and model.sha256 not in registered:
        return "the archived model is not the one that was registered"
    return ""


def _short(error: InterlockError, home: Path) -> str:
    return str(error).split("\n")[0].replace(f"{home}/", "")
