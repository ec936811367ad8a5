"""Put the runs that an archived run was made from where its stages look for them when they run again.

Whatever a configuration names (`lane:toy`, `run:<id>`), a repetition reads the very run that was read then, from the
archive, with the verdict that it had then.
"""

from collections.abc import Iterable
from pathlib import Path

from interlock.contracts.input import InputUse
from interlock.contracts.stage import StageRecord
from interlock.errors import ProvenanceError, RegistryError
from interlock.provenance.files import write_json
from interlock.registry.archive import checked_copy
from interlock.registry.layout import CARD, run_folder
from interlock.stages.healed import WARM_START
from interlock.stages.inputs import GIVEN, read_source
from interlock.stages.place import VERDICT


def give_inputs(home: Path, lane_folder: Path, records: Iterable[StageRecord]) -> None:
    """Link every input of these records below `lane_folder`.

    Raises RegistryError for a run that is not in the archive, ProvenanceError for one that is not what was read.
    """
    for record in records:
        for name, use in record.lane_inputs.items():
            _give(home, lane_folder / GIVEN / name, name, use)
        if record.run_id and record.warm_start_sha256:
            _give_warm_start(run_folder(home, record.run_id) / "models", lane_folder / GIVEN, record.warm_start_sha256)


def _give_warm_start(models: Path, folder: Path, sha256: str) -> None:
    """Copy the weights that a healed training began with."""
    kept = models / WARM_START
    checked_copy(kept, folder / WARM_START, sha256, hint="restore the file from a backup, or pull the run again")


def _give(home: Path, folder: Path, name: str, use: InputUse) -> None:
    archived = run_folder(home, use.run_id)
    if not (archived / "models" / CARD).is_file():
        raise RegistryError(
            f"the input {name}, run {use.run_id}, is not in this archive",
            path=archived,
            hint="interlock pull brings it; or interlock sync where it was made, and interlock push there",
        )
    if read_source(archived).sha256 != use.sha256:
        raise ProvenanceError(
            f"the input {name} is not what the run was made from",
            path=archived,
            value=use.sha256,
            hint=f"interlock verify {use.run_id} says what differs",
        )
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "models").is_symlink():
        (folder / "models").symlink_to(archived / "models")
    if use.verdict is not None:
        write_json(folder / VERDICT, {"run_id": use.run_id, "verdict": use.verdict})
