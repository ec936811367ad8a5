"""Run a configuration for real, from prepare to judge, once: what it gave is kept and not computed again.

    runs = Runs(workspace, folder)
    run = runs.of(Job(setting="tower", changes={"lane.optimizer.lr": 0.001}))

A job's key covers the overrides, the planted fault, the code of the stages and the environment; `<folder>/kept/<key>`
holds the small JSON files that the stages wrote, with nothing of the data and no weights. Work folders are removed
after each job; prepared data stays, for the next job. Does not decide anything.
"""

import json
import lzma
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from decisions.settings import SETTINGS

KEPT = (
    "params.yaml",
    "prepare/record.json",
    "train/record.json",
    "train/loss.csv",
    "evaluate/record.json",
    "evaluate/measurements.json",
    "export/record.json",
    "export/measurements.json",
    "judge/record.json",
    "judge/judgement.json",
)
"""What is kept of a run: texts of a few kilobytes, without data and without paths of this machine."""
STAGES = ("prepare", "train", "evaluate", "export", "judge")


@dataclass(frozen=True, kw_only=True)
class Job:
    """One configuration to run."""

    setting: str
    """Name in SETTINGS."""
    changes: Mapping[str, Any] = field(default_factory=dict)
    """Values at dotted keys, on top of the setting."""
    plant: str = ""
    """Fault of `faults.PLANTS` that is planted while it runs."""
    then: str = ""
    """What is done after the verdict: empty, or `repair` (evaluate again, then export and judge)."""

    @property
    def name(self) -> str:
        """The job as one line of text: equal for equal jobs."""
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def overrides(self) -> list[str]:
        """What a person would type."""
        return [*SETTINGS[self.setting], *(f"{key}={value}" for key, value in sorted(self.changes.items()))]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a job gave."""

    key: str
    """Digest of the job, the stages' code and the environment."""
    files: Mapping[str, str]
    """Texts by name; what the run did not come to is left out."""
    seconds: float
    """Wall time of all stages that ran."""
    error: str = ""
    """Class and message where a stage refused or failed; then there is no judgement."""

    @cached_property
    def judgement(self) -> dict[str, Any] | None:
        """The judgement, or None where there is none."""
        text = self.files.get("judge/judgement.json")
        return None if text is None else json.loads(text)

    @property
    def verdict(self) -> str:
        """`pass`, `fail`, `inconclusive`, `blocked`, or `none` where nothing was judged."""
        return str(self.judgement["verdict"]) if self.judgement else "none"

    @property
    def run_id(self) -> str:
        """Id that the training gave; empty where it failed."""
        return str(self.record("train").get("run_id", ""))

    def record(self, stage: str) -> dict[str, Any]:
        """A stage's record; empty where it did not finish."""
        return dict(json.loads(self.files.get(f"{stage}/record.json", "{}")))


class Runs:
    """Runs jobs in a workspace whose code is the one that is imported here."""

    def __init__(self, workspace: Path, folder: Path) -> None:
        self._workspace, self._folder = workspace.resolve(), folder.resolve()
        (self._folder / "kept").mkdir(parents=True, exist_ok=True)

    def of(self, job: Job) -> Run:
        """The run of a job, kept or computed now."""
        key = self.key(job)
        return self.kept(key) or self._compute(job, key)

    def key(self, job: Job) -> str:
        """Digest of everything that the run follows from."""
        from interlock.provenance.canonical import sha256_json

        return sha256_json({**asdict(job), "overrides": job.overrides, "code": _code(self._workspace, _lane(job))})[:24]

    def kept(self, key: str) -> Run | None:
        """The run under a key, if it was computed before."""
        path = self._folder / "kept" / f"{key}.json.xz"
        return Run(**json.loads(lzma.decompress(path.read_bytes()))) if path.is_file() else None

    def _compute(self, job: Job, key: str) -> Run:
        from decisions.faults import is_in_data
        from interlock.errors import InterlockError
        from interlock.provenance.files import write_atomic

        name = f"{os.getpid()}-{job.plant}" if is_in_data(job.plant) else str(os.getpid())
        os.environ["INTERLOCK_HOME"] = str(self._folder / "homes" / name)  # so that jobs beside each other never meet
        place, error, started = self._place(job), "", time.perf_counter()
        try:
            _run(place, job)
        except InterlockError as refused:
            error = f"{type(refused).__name__}: {refused}".replace(str(self._folder), "").replace(
                str(self._workspace), ""
            )
        files = {name: (place.folder / name).read_text() for name in KEPT if (place.folder / name).is_file()}
        run = Run(key=key, files=files, seconds=round(time.perf_counter() - started, 2), error=error)
        shutil.rmtree(place.folder)
        packed = lzma.compress(json.dumps(asdict(run)).encode(), preset=6)
        write_atomic(self._folder / "kept" / f"{key}.json.xz", packed)
        return run

    def _place(self, job: Job) -> Any:
        from interlock.config.compose import compose_lane
        from interlock.config.params import composed_text
        from interlock.config.validate import validate
        from interlock.runs.runner import work_place

        composition = compose_lane(self._workspace / "conf", job.overrides)
        composed = composed_text(validate(composition, subject=job.setting))
        return work_place(self._workspace, lane=composition.lane, composed=composed)


def _run(place: Any, job: Job) -> None:
    from decisions.faults import planted
    from interlock.runs.runner import run_lane
    from interlock.stages.progress import Silent

    with planted(job.plant, place) as before_judge:
        run_lane(place, progress=Silent(), stages=STAGES[:-1])
        before_judge()
        run_lane(place, progress=Silent(), stages=("judge",))
    if job.then == "repair":
        with planted(job.plant if job.plant.startswith("lasting_") else "", place) as before_judge:
            shutil.rmtree(place.folder / "evaluate")
            run_lane(place, progress=Silent(), stages=("evaluate", "export"))
            before_judge()
            run_lane(place, progress=Silent(), stages=("judge",))


class Workers:
    """Processes that run jobs with the workspace's own code, whatever code the caller decides with."""

    def __init__(self, *, workspace: Path, folder: Path, processes: int = 1) -> None:
        self._pool = ProcessPoolExecutor(
            processes,
            mp_context=get_context("spawn"),
            initializer=_begin,
            initargs=(str(workspace.resolve() / "src"), str(Path(__file__).resolve().parents[1])),
        )
        self._workspace, self._folder = workspace, folder

    def __enter__(self) -> "Workers":
        return self

    def __exit__(self, *error: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def of(self, job: Job) -> Run:
        """The run of a job; waits for it. May be called by several threads."""
        run = self._pool.submit(_of, job, self._workspace, self._folder).result()
        assert run is not None, "without an end everything is run"
        return run

    def all(self, jobs: Iterable[Job], *, stop_at: float = float("inf")) -> Iterator[tuple[Job, Run]]:
        """Every job with its run, as they finish; equal ones once. From `stop_at` (time) on only what is kept."""
        futures = {
            self._pool.submit(_of, job, self._workspace, self._folder, stop_at): job
            for job in {job.name: job for job in jobs}.values()
        }
        for future in as_completed(futures):
            if (run := future.result()) is not None:
                yield futures[future], run


def _begin(*paths: str) -> None:
    sys.path[:0] = paths


def _of(job: Job, workspace: Path, folder: Path, stop_at: float = float("inf")) -> Run | None:
    runs = Runs(workspace, folder)
    return runs.of(job) if time.time() < stop_at else runs.kept(runs.key(job))


def _lane(job: Job) -> str:
    return SETTINGS[job.setting][0].removeprefix("lane=")


@cache
def _code(workspace: Path, lane: str) -> str:
    from interlock.lanes.catalog import find_lane
    from interlock.provenance.canonical import sha256_json
    from interlock.provenance.closure import code_digest
    from interlock.provenance.environment import environment_digest
    from interlock.stages.code import stage_code

    spec = find_lane(lane)
    codes = [code_digest(stage_code(stage, spec, workspace), workspace) for stage in STAGES]
    return sha256_json([*codes, environment_digest(workspace)])
