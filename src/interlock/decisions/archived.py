"""The same files of an archived run as its stage folders held them: what `interlock decide` shows to whoever decides.

A judgement keeps the measurements that it was made of; the stages' records stand with the model, or among the
revisions where a stage ran again with other code. The judgement's own record says which of them it read. Kept out of
`sources`, because the decide stage reads folders and has no need of the archive.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from interlock.contracts.stage import StageName, StageRecord
from interlock.decisions.sources import (
    BASELINES,
    CURVE,
    HANDING,
    JUDGEMENT,
    MEASUREMENTS,
    Sources,
    checked,
    handed,
    read_record,
)
from interlock.errors import ProvenanceError, RegistryError
from interlock.registry.archive import read_card
from interlock.registry.derive import JUDGEMENTS, statements
from interlock.registry.layout import RECORDS, RESTORE, id_folder, run_folder
from interlock.registry.recorded import refuse_unrecorded

_RECORD = "record.json"


def archived_sources(home: Path, run_id: str, *, judgement: str | None = None) -> Sources:
    """Of an archived run and one of its judgements, the newest unless its folder's name is given.

    Files that the card lists are compared with it, and the card with the event log; that the logs name the judgement
    is its caller's to see (`interlock.registry.judged`). Raises RegistryError without a card or a judgement,
    ProvenanceError for files that were changed or do not belong together.
    """
    judged = _judgement_folder(home, run_id, judgement)
    models = run_folder(home, run_id) / "models"
    records = _records(run_folder(home, run_id), judged)
    places = {JUDGEMENT: judged / JUDGEMENT.partition("/")[2], BASELINES: judged / BASELINES.partition("/")[2]}
    places[CURVE] = models / CURVE.partition("/")[2]
    places |= _measurements(judged, models)
    files = {name: path.read_bytes() for name, path in places.items() if path.is_file()}
    carded = {path: files[name] for name, path in places.items() if name in files}
    _require_carded(home, run_id, carded | {path: path.read_bytes() for path in (models / RECORDS).glob("*.json")})
    sources = checked(files, records)
    if sources.judgement.run_id != run_id:
        raise ProvenanceError(
            "the judgement is of another run", path=judged, value=sources.judgement.run_id, hint=RESTORE
        )
    return sources


def _judgement_folder(home: Path, run_id: str, name: str | None) -> Path:
    if name is not None:
        folder = id_folder(run_folder(home, run_id) / JUDGEMENTS, name)
        if folder.is_dir():
            return folder
    elif found := statements(home, run_id, JUDGEMENTS):
        return found[-1]
    hint = f"interlock runs show {run_id} lists what was judged; interlock judge {run_id} judges it"
    raise RegistryError(
        "no such judgement of this run is archived", path=run_folder(home, run_id), value=name, hint=hint
    )


def _records(run: Path, judged: Path) -> dict[StageName, StageRecord]:
    """The record of each stage that the judgement was made of; one made by hand was made of the model's.

    Where an exported run was judged by gates that kept it from being exported, no record of that is archived: a
    shipped model stays shipped. Such an export has nothing to say, so the others are enough.
    """
    wanted: dict[str, str] = dict(read_record(judged / _RECORD).inputs) if (judged / _RECORD).is_file() else {}
    found: dict[StageName, StageRecord] = {}
    for stage in reversed(HANDING):
        record = _record(run, stage, wanted.get(stage))
        if record is not None:
            found[stage] = record
            wanted = {**record.inputs, **wanted}
        elif stage != "export" or (judged / "export").is_dir():
            problem, hint = f"no archived record of {stage} hands over what was judged", "interlock sync archives it"
            raise ProvenanceError(
                problem, path=run, value=wanted.get(stage), hint=f"{hint}; interlock verify tells more"
            )
    return {stage: found[stage] for stage in HANDING if stage in found}


def _record(run: Path, stage: StageName, wanted: str | None) -> StageRecord | None:
    """The one that hands over what is wanted, a later execution's first; without a wish the model's own."""
    own = [run / "models" / RECORDS / name for name in (f"{stage}.json", f"{stage}.skipped.json")]
    later = sorted(run.glob(f"revisions/*/{stage}/{_RECORD}")) if wanted else []
    found = map(read_record, (*later, *(path for path in own if path.is_file())))
    return next((item for item in found if wanted in (None, hashlib.sha256(handed(item)).hexdigest())), None)


def _measurements(judged: Path, models: Path) -> dict[str, Path]:
    """Of evaluate and of export: beside the judgement where it keeps them, else the model's own."""
    names = dict(zip(MEASUREMENTS, ("measurements.json", "export/measurements.json"), strict=True))
    folder = judged if any((judged / name).is_file() for name in names.values()) else models
    return {name: folder / place for name, place in names.items()}


def _require_carded(home: Path, run_id: str, files: Mapping[Path, bytes]) -> None:
    """Compare files of the model's folder with the card, and the card with the event log."""
    refuse_unrecorded(home, [run_id])
    card, models = read_card(home, run_id), run_folder(home, run_id) / "models"
    listed = {models / name: artifact for name, artifact in {**card.observations.artifacts, **card.artifacts}.items()}
    for path, data in files.items():
        if path in listed and listed[path].sha256 != hashlib.sha256(data).hexdigest():
            raise ProvenanceError("differs from the run card", path=path, hint=RESTORE)
