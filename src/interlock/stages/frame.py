"""The frame around every stage: what is checked before it, what is written after it, the same for every lane.

    read params -> verify upstream records -> lock -> open attempt -> WORK -> digest files -> record.json (last)

`outputs.json` says what the stage hands over; later stages depend on it alone, so that a stage that ran again and gave
the same makes nothing else run. `record.json` adds how it came about.

The work itself is a function passed in, so that the import closure of one stage holds no other stage. A folder without
`record.json` is unfinished and is never read. Does not know DVC: DVC, the sweep runner and tests call it alike.
"""

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from interlock.contracts.input import InputUse
from interlock.contracts.stage import STAGE_INPUTS, STAGE_PARAMS, Observations, StageName, StageRecord
from interlock.errors import StageError
from interlock.lanes.catalog import find_lane
from interlock.lanes.spec import LaneSpec, Progress, StageOutcome
from interlock.provenance import attempts
from interlock.provenance.canonical import sha256_json
from interlock.provenance.digest import describe_files, files_under, sha256_file
from interlock.provenance.dotted import select
from interlock.provenance.environment import environment, environment_digest, git_state, host_name, lock_drift
from interlock.provenance.files import write_json
from interlock.provenance.workspace import interlock_home, require_workspace_code
from interlock.stages.current import StageKey, stage_key
from interlock.stages.healed import as_trained
from interlock.stages.inputs import input_uses
from interlock.stages.place import OBSERVATIONS, OUTPUTS, RECORD, Place, load_record, read_composed


@dataclass(frozen=True, kw_only=True)
class Frame:
    """What the work of a stage gets to see."""

    place: Place
    spec: LaneSpec
    stage: StageName
    params: Mapping[str, Any]
    """The keys of the configuration that this stage may see, nested as in the file."""
    lane: Mapping[str, Any]
    """All of `lane.*`, to validate the lane's body as a whole; only what is in `params` may be used."""
    ceilings: Mapping[str, Any]
    """`budget.*`: read, never tracked."""
    folder: Path
    """Empty output folder."""
    inputs: Mapping[StageName, Path]
    records: Mapping[StageName, StageRecord]
    run_id: str | None
    key: StageKey
    """Digests of configuration, code, environment and sources."""
    state: Path
    progress: Progress
    lane_inputs: Mapping[str, InputUse] = field(default_factory=dict)
    """Other runs that this one is made from, by the name of the input."""
    asked_sha256: str
    """Digest of the stage's part of the composed configuration; that of `params`, unless training was healed."""
    warm_start: Path | None = None
    """Weights that training begins with, after a fault; None to begin afresh."""
    halt: Callable[[], BaseException | None] = lambda: None
    """Asked by training at step boundaries: what to raise once a state is saved, or None to go on."""


_FACTS_ALONE: set[tuple[StageName, StageName]] = {("decide", "prepare")}
"""A stage that cites what another one says and opens none of its data, however large, has no files to compare."""

Work = Callable[[Frame], StageOutcome]
Identify = Callable[[Frame], str | None]


def run_stage(stage: StageName, place: Place, work: Work, *, progress: Progress, identify: Identify) -> StageRecord:
    """Run one stage and return its record; raises StageError and the work's own errors, leaving no record behind."""
    return run_frame(open_frame(stage, place, progress=progress, identify=identify), work)


def open_frame(stage: StageName, place: Place, *, progress: Progress, identify: Identify) -> Frame:
    """Read what the stage depends on, and give it its run; nothing runs yet and nothing is written."""
    require_workspace_code(place.workspace)
    asked = read_composed(place.params)
    spec = find_lane(str(asked.get("lane", {}).get("kind")))
    home, folder = interlock_home(place.workspace), place.folder / stage
    records = {
        name: load_record(place.folder / name, verify=(stage, name) not in _FACTS_ALONE) for name in STAGE_INPUTS[stage]
    }
    config = as_trained(asked, records.get("train"))
    drift = lock_drift(place.workspace)
    if drift:
        progress.message(f"the environment differs from the lock, so the run gets an id of its own: {'; '.join(drift)}")
    draft = Frame(
        place=place,
        spec=spec,
        stage=stage,
        params=select(config, STAGE_PARAMS[stage]),
        lane=config["lane"],
        ceilings=config.get("budget", {}),
        folder=folder,
        inputs={name: place.folder / name for name in records},
        records=records,
        run_id=None,
        key=stage_key(stage, place, spec, config, environment=environment_digest(place.workspace, drift)),
        asked_sha256=sha256_json(select(asked, STAGE_PARAMS[stage])),
        state=home / "state",
        progress=progress,
        lane_inputs=input_uses(stage, place, config),
    )
    return as_run(draft, identify(draft))


def as_run(frame: Frame, run_id: str | None) -> Frame:
    """The frame with the run that it is of."""
    home = interlock_home(frame.place.workspace)
    state = home / "state" / "runs" / run_id if run_id else home / "state" / "shared"
    return replace(frame, run_id=run_id, state=state)


def run_frame(frame: Frame, work: Work) -> StageRecord:
    """Do the work under its locks, as an attempt of its own, and write the record."""
    place, stage, run_id, folder, progress = frame.place, frame.stage, frame.run_id, frame.folder, frame.progress
    home = interlock_home(place.workspace)
    state = attempts.state_folder(home, run_id) if run_id else frame.state
    with (
        attempts.run_lock(home, str(folder.resolve()), wait_s=place.wait_s),
        attempts.run_lock(home, run_id or f"{folder.resolve()}/shared", wait_s=place.wait_s),
        attempts.attempt(
            home, lane=place.lane, stage=stage, run_id=run_id, params_sha256=frame.key.params_sha256
        ) as attempt,
    ):
        progress.stage_begins(stage, run_id)
        record = _execute(frame, work, attempt.id)
        if run_id:
            shutil.rmtree(state)  # the record stands: a resume state is of no more use
        return record


def _execute(frame: Frame, work: Work, attempt: str) -> StageRecord:
    _empty(frame.folder)
    started, clock = datetime.now(UTC), time.monotonic()
    outcome = work(frame)
    _require_inputs_as_before(frame)
    names = [name for name in files_under(frame.folder) if name not in (RECORD, OUTPUTS, OBSERVATIONS)]
    volatile = tuple(sorted(outcome.volatile_files))
    commit, dirty = git_state(frame.place.workspace)
    write_json(
        frame.folder / OBSERVATIONS,
        Observations(
            attempt=attempt,
            started_at=started.isoformat(timespec="seconds"),
            duration_s=round(time.monotonic() - clock, 3),
            host=host_name(),
            git_commit=commit,
            git_dirty=dirty,
            environment=environment(),
            volatile_artifacts=describe_files(frame.folder, volatile),
            facts=dict(outcome.volatile_facts),
        ),
    )
    record = StageRecord(
        stage=frame.stage,
        lane=frame.place.lane,
        status=outcome.status,
        reason=outcome.reason,
        run_id=frame.run_id,
        params_sha256=frame.key.params_sha256,
        params=dict(frame.params),
        asked_params_sha256=None if frame.asked_sha256 == frame.key.params_sha256 else frame.asked_sha256,
        warm_start_sha256=sha256_file(frame.warm_start) if frame.warm_start else None,
        code_sha256=frame.key.code_sha256,
        lock_sha256=frame.key.lock_sha256,
        sources_sha256=frame.key.sources_sha256,
        inputs={name: sha256_file(path / OUTPUTS) for name, path in frame.inputs.items()},
        lane_inputs=dict(frame.lane_inputs),
        artifacts=describe_files(frame.folder, set(names) - set(volatile)),
        volatile=volatile,
        facts=dict(outcome.facts),
    )
    write_json(frame.folder / OUTPUTS, record.outputs())
    write_json(frame.folder / RECORD, record)
    return record


def _require_inputs_as_before(frame: Frame) -> None:
    """Raise StageError when another lane's run was replaced while this stage read it."""
    if input_uses(frame.stage, frame.place, {"lane": frame.lane}) != frame.lane_inputs:
        hint = "run this stage again when the other lane is finished: dvc repro"
        raise StageError("another lane ran again while this stage read it", path=frame.folder, hint=hint)


def _empty(folder: Path) -> None:
    """Remove what an earlier execution left, the record first; the folder itself may be a link and stays."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RECORD).unlink(missing_ok=True)
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def run_of_train(frame: Frame) -> str | None:
    """The run id that train gave; later stages read it and never compute it."""
    return frame.records["train"].run_id
