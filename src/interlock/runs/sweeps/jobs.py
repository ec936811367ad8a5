"""The files of a sweep: the manifest that stands before any job starts, and what became of each job.

    sweep = open_sweep(home, manifest)          # the same command finds its sweep again
    sweep.read_job(3), sweep.write_job(job)     # results appear whole or not at all

A job counts as done when its result says so and its run is archived; everything else runs again, from the last state
that was saved. Does not compose configurations (`interlock.config.sweep_plan`) and starts nothing.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from interlock.contracts.base import Contract
from interlock.contracts.experiment import Experiment
from interlock.contracts.gate import BaselineGate, Gate, ThresholdGate
from interlock.contracts.stage import STAGES
from interlock.contracts.sweep import PlannedJob, RankedBy, Ranking, Search, SweepJob, SweepManifest
from interlock.errors import ProvenanceError, UsageError
from interlock.lanes.catalog import find_lane
from interlock.provenance.canonical import plain, sha256_json
from interlock.provenance.files import write_json
from interlock.registry.layout import CARD, run_folder
from interlock.stages.current import stage_key
from interlock.stages.place import Place

Record = TypeVar("Record", bound=Contract)

SWEEPS = "sweeps"
SWEEP_VARIABLE = "INTERLOCK_SWEEP"
"""Set while a job runs, to the id of its sweep."""
_MANIFEST, _RANKING, _JOBS, _BEGUN = "manifest.json", "ranking.json", "jobs", ".begun"
_SCHEME = "interlock-sweep-1"


@dataclass(frozen=True, kw_only=True)
class ComposedJob:
    """A job whose configuration is valid."""

    overrides: tuple[str, ...]
    """As Hydra gives them to the job, without its own settings."""
    lane: str
    """Name of the lane."""
    text: str
    """The composed parameters, `params/<lane>.yaml`."""
    experiment: Experiment
    """The same, validated."""
    needs: tuple["ComposedJob", ...] = ()
    """Lanes that it is made from."""


def params_digest(text: str) -> str:
    """Digest of composed parameters, as the work folder of the run is named by it."""
    return sha256_json(text)


def numbered(jobs: Sequence[ComposedJob], *, before: Sequence[PlannedJob] = ()) -> tuple[PlannedJob, ...]:
    """Give the jobs their numbers after `before`; a job with the parameters of an earlier one is marked."""
    first: dict[str, int] = {}
    for known in before:
        first.setdefault(known.params_sha256, known.number)
    planned = []
    for number, job in enumerate(jobs, start=len(before)):
        digest = params_digest(job.text)
        earlier = first.setdefault(digest, number)
        planned.append(
            PlannedJob(
                number=number,
                overrides=job.overrides,
                lane=job.lane,
                seed=job.experiment.seed,
                params_sha256=digest,
                unseeded_sha256=sha256_json(plain(job.experiment) | {"seed": None}),
                duplicate_of=None if earlier == number else earlier,
            )
        )
    return tuple(planned)


def named(jobs: Sequence[PlannedJob]) -> tuple[PlannedJob, ...]:
    """The jobs with what tells each one from the others."""
    shared = set.intersection(*(set(job.overrides) for job in jobs)) if len(jobs) > 1 else set()
    return tuple(
        job.model_copy(update={"varies": tuple(text for text in job.overrides if text not in shared)}) for job in jobs
    )


def context_digest(workspace: Path, jobs: Sequence[ComposedJob]) -> str:
    """Digest of what the results follow from besides the parameters of the jobs.

    That is the code, the environment and the data of their lanes and of lanes that these are made from, and the
    parameters of the latter.
    """
    code: dict[str, Any] = {}
    data: dict[str, str | None] = {}
    needed = {job.lane: job for job in _needed(jobs)}
    for job in (*jobs, *needed.values()):
        config = plain(job.experiment)
        kind, place = config["lane"]["kind"], Place.of_workspace(workspace, job.lane)
        spec = find_lane(kind)
        if kind not in code:
            keys = [stage_key(stage, place, spec, config) for stage in STAGES[1:]]
            code[kind] = [[key.code_sha256, key.lock_sha256] for key in keys]
        reads = sha256_json([kind, config["lane"]["data"]])
        if reads not in data:
            key = stage_key("prepare", place, spec, config)
            data[reads] = sha256_json([key.code_sha256, key.sources_sha256])
    others = {lane: params_digest(job.text) for lane, job in needed.items()}
    return sha256_json({"code": code, "data": data} | ({"needs": others} if others else {}))


def _needed(jobs: Iterable[ComposedJob]) -> Iterator[ComposedJob]:
    for job in jobs:
        yield from job.needs
        yield from _needed(job.needs)


def sweep_identity(jobs: Sequence[PlannedJob], *, sweeper: str, search: Search | None, context: str) -> str:
    """The id of the sweep. Spelling does not count: other words for the same parameters are the same sweep."""
    content = {
        "scheme": _SCHEME,
        "sweeper": sweeper,
        "search": search,
        "jobs": [[job.lane, job.params_sha256] for job in jobs],
        "context": context,
    }
    return sha256_json(content)[:16]


def ranked_by(gates: Mapping[str, Gate]) -> RankedBy | None:
    """What runs of a lane are compared on: what must beat a baseline, else the first threshold that blocks."""
    for kind in (BaselineGate, ThresholdGate):
        for name, gate in gates.items():
            if isinstance(gate, kind) and gate.severity == "block":
                return RankedBy(metric=gate.metric, direction=gate.direction, gate=name)
    return None


@dataclass(frozen=True)
class Sweep:
    """A sweep's folder."""

    folder: Path

    @property
    def id(self) -> str:
        """Its id."""
        return self.folder.name

    def manifest(self) -> SweepManifest:
        """What is planned. Raises ProvenanceError for a damaged file."""
        return _read(self.folder / _MANIFEST, SweepManifest)

    def write_manifest(self, manifest: SweepManifest) -> None:
        """Write it whole or not at all."""
        write_json(self.folder / _MANIFEST, manifest)

    def read_job(self, number: int) -> SweepJob | None:
        """What became of a job; None when it has not ended. Raises ProvenanceError for a damaged file."""
        path = self._job_path(number)
        return _read(path, SweepJob) if path.is_file() else None

    def write_job(self, job: SweepJob) -> None:
        """Write a result whole or not at all; an earlier one is replaced."""
        write_json(self._job_path(job.number), job)

    def begin_job(self, number: int) -> None:
        """Leave a mark that outlives a kill: a job with it and without a result was interrupted."""
        mark = self._job_path(number).with_suffix(_BEGUN)
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()

    def begun(self) -> frozenset[int]:
        """Numbers of the jobs that have begun, whether they ended or not."""
        return frozenset(int(path.stem) for path in (self.folder / _JOBS).glob(f"*{_BEGUN}"))

    def jobs(self) -> dict[int, SweepJob]:
        """All results by number."""
        found = (_read(path, SweepJob) for path in sorted((self.folder / _JOBS).glob("*.json")))
        return {job.number: job for job in found}

    def ranking(self) -> Ranking | None:
        """How it came out; None before its command has ended."""
        path = self.folder / _RANKING
        return _read(path, Ranking) if path.is_file() else None

    def write_ranking(self, ranking: Ranking) -> None:
        """Write it whole or not at all."""
        write_json(self.folder / _RANKING, ranking)

    def _job_path(self, number: int) -> Path:
        return self.folder / _JOBS / f"{number:06d}.json"


def open_sweep(home: Path, manifest: SweepManifest) -> Sweep:
    """Write the manifest, or find the one that an earlier call with the same content left."""
    sweep = Sweep(home / SWEEPS / manifest.sweep_id)
    if not (sweep.folder / _MANIFEST).is_file():
        sweep.write_manifest(manifest)
    return sweep


def list_sweeps(home: Path) -> tuple[Sweep, ...]:
    """All sweeps, the one that was planned last first."""
    found = list((home / SWEEPS).glob(f"*/{_MANIFEST}"))
    return tuple(Sweep(path.parent) for path in sorted(found, key=lambda path: (-path.stat().st_mtime_ns, path)))


def find_sweep(home: Path, text: str) -> Sweep:
    """The sweep with that id, or the only one whose id begins so. Raises UsageError listing those there are."""
    known = {sweep.id: sweep for sweep in list_sweeps(home)}
    matches = [name for name in known if text and name.startswith(text)]
    if len(matches) == 1:
        return known[matches[0]]
    listed = ", ".join(matches or known) or "there is none yet: interlock run -m KEY=A,B"
    problem = "begins the name of more than one sweep" if matches else "no such sweep"
    raise UsageError(problem, key="sweep", value=text, hint=f"known: {listed}")


def is_done(result: SweepJob | None, home: Path) -> bool:
    """Whether a job need not run again: it was given up, or its run stands in the archive."""
    if result is None or result.status == "failed":
        return False
    if result.status in ("pruned", "duplicate"):
        return True
    return result.run_id is not None and (run_folder(home, result.run_id) / "models" / CARD).is_file()


def _read(path: Path, kind: type[Record]) -> Record:
    try:
        return kind.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ProvenanceError(
            f"the sweep's record cannot be read: {error.errors()[0]['msg']}",
            path=path,
            hint="move the sweep's folder away and give the command again: finished runs are not repeated",
        ) from error
