"""`interlock run -m`: plan all jobs, write the manifest, let Hydra's launcher run them, rank what finished.

    plan -> manifest.json -> jobs (here or in other processes) -> jobs/<n>.json -> ranking.json

Every job is composed and validated before the first one starts. A job that fails is named and the others run. The same
command takes a sweep up where it was left: jobs whose run is archived are not repeated. Does not show sweeps that have
ended (`interlock.commands.sweep`).
"""

import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from interlock.commands.running import prepared_place, require_writable, run_place, sentence, shown
from interlock.commands.screen import say
from interlock.config.compose import Composition
from interlock.config.hydra_main import run_main, runnable_overrides
from interlock.config.sweep_plan import SweepSettings, compose_jobs, corners, expand, read_settings, search_space
from interlock.config.sweep_search import axes_of, read_search
from interlock.contracts.lane import LanePolicy
from interlock.contracts.sweep import JobStatus, PlannedJob, Search, SweepJob, SweepManifest
from interlock.contracts.verdict import EXIT_CODES, worst
from interlock.errors import ExitCode, InterlockError, PrunedError, StageError
from interlock.lanes.spec import Progress
from interlock.provenance.attempts import run_lock
from interlock.provenance.workspace import interlock_home
from interlock.runs.sweeps.jobs import (
    SWEEP_VARIABLE,
    ComposedJob,
    Sweep,
    context_digest,
    is_done,
    named,
    numbered,
    open_sweep,
    params_digest,
    ranked_by,
    sweep_identity,
)
from interlock.runs.sweeps.progress import job_progress
from interlock.runs.sweeps.ranking import objective_value, rank
from interlock.runs.sweeps.study import Axis, check_search, open_study, require_optuna
from interlock.stages.entry import interrupt

Launch = Callable[..., Any]
"""Hydra's `launch(job_overrides, initial_job_idx)`."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A sweep before it runs."""

    manifest: SweepManifest
    fixed: tuple[str, ...] = ()
    """Overrides that all jobs of a search share."""
    axes: Mapping[str, Axis] = field(default_factory=dict)
    """What a search varies."""


def run_sweep(workspace: Path, argv: Sequence[str]) -> ExitCode:
    """Run the sweep or take it up again; returns the folded exit code. Raises before anything runs."""
    conf, home = workspace / "conf", interlock_home(workspace)
    settings = read_settings(conf, runnable_overrides(conf, argv))
    plan = plan_sweep(workspace, settings)
    require_writable(home, workspace / settings.folder, setting="hydra.sweep.dir")
    signal.signal(signal.SIGTERM, interrupt)
    with run_lock(home, f"sweep-{plan.manifest.sweep_id}"):
        sweep = open_sweep(home, plan.manifest)
        _say_plan(sweep, home)
        jobs = SweepJobs(workspace=workspace, sweep=sweep, plan=plan, planner=os.getpid())
        try:
            _launch_until_done(lambda: run_main(conf, argv, jobs, checked=True), sweep)
        except KeyboardInterrupt:
            print(f"sweep {sweep.id}: stopped; the same command goes on with what is left", file=sys.stderr)
            raise
        return _conclude(sweep, home)


def _launch_until_done(launch: Callable[[], None], sweep: Sweep) -> None:
    """Launch all jobs, and those that are left again when the launcher breaks.

    One process that is killed (out of memory) ends a whole launch, also for the jobs that have not begun. Two launches
    in a row in which no job ends are the end.
    """
    in_vain = 0
    while in_vain < 2:
        before = len(sweep.jobs())
        try:
            return launch()
        except SystemExit:
            in_vain = 0 if len(sweep.jobs()) > before else in_vain + 1
            print(f"ERROR: sweep {sweep.id}: the launcher stopped before all jobs had run", file=sys.stderr)


def plan_sweep(workspace: Path, settings: SweepSettings) -> Plan:
    """Compose and validate everything that can be known. Raises one ConfigError with the faults of all jobs."""
    conf = workspace / "conf"
    if settings.sweeper == "basic":
        jobs = compose_jobs(conf, expand(conf, settings))
        return Plan(manifest=_manifest(workspace, settings, jobs, search=None))
    require_optuna()
    fixed, space = search_space(settings)
    tried = compose_jobs(conf, corners(fixed, space), name_jobs=False)
    axes, search = axes_of(space), read_search(settings, space, _policy(tried[0]).gates)
    check_search(search, axes)
    return Plan(manifest=_manifest(workspace, settings, tried, search=search), fixed=tuple(fixed), axes=axes)


def _manifest(
    workspace: Path, settings: SweepSettings, jobs: Sequence[ComposedJob], *, search: Search | None
) -> SweepManifest:
    planned, context = named(numbered(jobs)), context_digest(workspace, jobs)
    by_lane = {job.lane: by for job in jobs if (by := ranked_by(_policy(job).gates))}
    return SweepManifest(
        sweep_id=sweep_identity(planned, sweeper=settings.sweeper, search=search, context=context),
        experiment=jobs[0].experiment.experiment.name,
        command=settings.overrides,
        sweeper="optuna" if search else "basic",
        context_sha256=context,
        ranked_by=by_lane,
        search=search,
        jobs=() if search else planned,
    )


def _policy(job: ComposedJob) -> LanePolicy:
    lane: Any = job.experiment.lane  # the lane's body and its policy in one model
    assert isinstance(lane, LanePolicy)
    return lane


@dataclass(frozen=True, kw_only=True)
class SweepJobs:
    """What Hydra calls for each job, in this process or in one of the launcher's."""

    workspace: Path
    sweep: Sweep
    plan: Plan
    planner: int
    """Process id of the command: elsewhere no bar is drawn, because several would write over each other."""
    __name__ = "job"

    @property
    def home(self) -> Path:
        """Where archive and sweeps are."""
        return interlock_home(self.workspace)

    def __call__(self, number: int | None, lane: str, composition: Composition) -> None:
        """One job: run all stages, archive, leave a result behind. An error is a result, not a crash."""
        assert number is not None
        manifest = self.sweep.manifest()
        planned, result = manifest.jobs[number], self.sweep.read_job(number)
        if is_done(result, self.home):
            return
        started_s = time.monotonic()
        _restore_start_method()
        with _inside(self.sweep.id):
            told = self._outcome(planned, manifest, composition)
        self.sweep.write_job(
            SweepJob(
                number=number,
                overrides=planned.overrides,
                lane=planned.lane,
                params_sha256=planned.params_sha256,
                duration_s=round(time.monotonic() - started_s, 3),
                **told,
            )
        )

    def search(self, launch: Launch) -> None:
        """Run an optimising sweep: propose a batch, add it to the manifest, launch it, tell the study."""
        manifest = self.sweep.manifest()
        assert manifest.search
        study, total = open_study(self.sweep.folder, manifest.search), manifest.search.n_trials
        for first in range(0, total, manifest.search.batch):
            numbers = range(first, min(first + manifest.search.batch, total))
            if all(study.is_told(number) for number in numbers):
                continue
            proposals = [study.propose(number, self.plan.axes) for number in numbers]
            manifest = self._with_batch(manifest, proposals, first=first)
            own = [text for text in self.plan.fixed if not text.lstrip("+~").startswith(("hydra.", "hydra/"))]
            launch([[*own, *texts] for texts in proposals], initial_job_idx=first)
            for number in numbers:
                study.tell(number, self._result_of(manifest.jobs[number]))

    def _with_batch(self, manifest: SweepManifest, proposals: Sequence[Sequence[str]], *, first: int) -> SweepManifest:
        if len(manifest.jobs) >= first + len(proposals):
            return manifest
        known = manifest.jobs[:first]
        overrides = [[*self.plan.fixed, *texts] for texts in proposals]
        planned = numbered(compose_jobs(self.workspace / "conf", overrides, first=first), before=known)
        labelled = [
            job.model_copy(update={"varies": tuple(texts)}) for job, texts in zip(planned, proposals, strict=True)
        ]
        manifest = manifest.model_copy(update={"jobs": (*known, *labelled)})
        self.sweep.write_manifest(manifest)
        return manifest

    def _result_of(self, planned: PlannedJob) -> SweepJob | None:
        """The job's result, or that of the job that it repeats."""
        return self.sweep.read_job(planned.number if planned.duplicate_of is None else planned.duplicate_of)

    def _outcome(self, planned: PlannedJob, manifest: SweepManifest, composition: Composition) -> dict[str, Any]:
        which = f"job {planned.number} ({' '.join(planned.varies)}): "
        if planned.duplicate_of is not None:
            say(f"{which}has the parameters of job {planned.duplicate_of}; nothing is run twice")
            return {"status": "duplicate", "duplicate_of": planned.duplicate_of}
        try:
            return self._run(planned, manifest, composition)
        except PrunedError as error:
            say(f"{which}{error.message}")
            return _ended("pruned", error)
        except Exception as error:  # a defect, too: shown whole, and the sweep's other jobs run all the same
            return _ended("failed", error) | {"exit_code": shown(error, which=which)}

    def _run(self, planned: PlannedJob, manifest: SweepManifest, composition: Composition) -> dict[str, Any]:
        self.sweep.begin_job(planned.number)
        say(f"job {planned.number}: {' '.join(planned.varies) or 'begins'}")
        place = prepared_place(self.workspace, planned.lane, composition)
        if params_digest(place.params.read_text()) != planned.params_sha256:
            raise StageError(
                "the job was composed to other parameters than were planned",
                key=f"job {planned.number}",
                hint="conf/ was edited while the sweep ran; give the command again",
            )
        judgement = run_place(place, progress=self._progress(planned, manifest))
        objective = manifest.search.objective.metric if manifest.search else None
        say(f"run {judgement.run_id}: {judgement.verdict}  {' '.join(planned.overrides)}".rstrip())
        return {
            "status": "finished",
            "run_id": judgement.run_id,
            "verdict": judgement.verdict,
            "objective": objective_value(place, objective),
        }

    def _progress(self, planned: PlannedJob, manifest: SweepManifest) -> Progress:
        progress = job_progress(planned.number, alone=os.getpid() == self.planner)
        if manifest.search is None:
            return progress
        return open_study(self.sweep.folder, manifest.search).watching(planned.number, progress)


def _ended(status: JobStatus, error: Exception) -> dict[str, Any]:
    return {"status": status, "error": error.message if isinstance(error, InterlockError) else sentence(error)}


def _restore_start_method() -> None:
    """Let a job start processes of its own, as the preparation of large data does.

    joblib's workers name a start method of their own as the default, which their children cannot find.
    """
    known = multiprocessing.get_all_start_methods()
    if multiprocessing.get_start_method(allow_none=True) not in (None, *known):
        multiprocessing.set_start_method(known[0], force=True)


@contextmanager
def _inside(sweep_id: str) -> Iterator[None]:
    """Let whatever a job records say which sweep it belongs to."""
    before = os.environ.get(SWEEP_VARIABLE)
    os.environ[SWEEP_VARIABLE] = sweep_id
    try:
        yield
    finally:
        if before is None:
            del os.environ[SWEEP_VARIABLE]
        else:
            os.environ[SWEEP_VARIABLE] = before


def _say_plan(sweep: Sweep, home: Path) -> None:
    manifest = sweep.manifest()
    done = sum(is_done(result, home) for result in sweep.jobs().values())
    total = manifest.search.n_trials if manifest.search else len(manifest.jobs)
    before = f", {done} of them done before" if done else ""
    say(f"sweep {sweep.id}: {total} jobs{before}; planned in {sweep.folder / 'manifest.json'}")
    if manifest.search:
        objective = manifest.search.objective
        say(f"sweep {sweep.id}: {objective.goal} {objective.metric}")


def _conclude(sweep: Sweep, home: Path) -> ExitCode:
    from interlock.commands.sweep import show_ranking

    manifest, results = sweep.manifest(), sweep.jobs()
    ranking = rank(manifest, results, home, begun=sweep.begun())
    sweep.write_ranking(ranking)
    show_ranking(ranking)
    return folded(manifest, results)


def folded(manifest: SweepManifest, results: Mapping[int, SweepJob]) -> ExitCode:
    """One exit code: an error first, else the worst verdict. A missing result is an error, a pruned job is not."""
    expected = manifest.search.n_trials if manifest.search else len(manifest.jobs)
    failed = [job for job in results.values() if job.status == "failed"]
    if failed or len(results) < expected:
        return failed[0].exit_code or ExitCode.ERROR if expected == len(results) == 1 else ExitCode.ERROR
    return EXIT_CODES[worst(job.verdict for job in results.values() if job.verdict is not None)]
