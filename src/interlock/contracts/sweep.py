"""Sweeps: what was planned before any job ran, what became of each job, and how the finished runs compare.

    <home>/sweeps/<sweep_id>/manifest.json            SweepManifest, before the first job
                             jobs/<number:06d>.json   SweepJob, when a job has ended
                             ranking.json             Ranking, when the command has ended
                             study.db                 the optimiser's memory, where there is one

Readers need these files alone. Does not cover how jobs are run (`interlock.commands.run`).
"""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from interlock.contracts.base import Contract
from interlock.contracts.measurement import Sha256
from interlock.contracts.verdict import Verdict
from interlock.errors import ExitCode

Goal = Literal["minimize", "maximize"]

JobStatus = Literal["finished", "failed", "pruned", "duplicate"]
"""How a job ended.

`finished`: there is a run with a verdict. `failed`: an error; the same command tries it again. `pruned`: the sweep gave
it up, which is no result and no failure. `duplicate`: an earlier job has the same parameters, so nothing ran.
"""


class Objective(Contract):
    """The number that an optimising sweep looks at, and which way is better. Declared, never guessed."""

    metric: str
    """A fact of the training record (`validation_loss_best`) or the name of a measurement."""
    goal: Goal
    """Which way is better."""


class Search(Contract):
    """How an optimising sweep chooses its jobs."""

    space: dict[str, str]
    """Searched keys with their sweep in Hydra's grammar, e.g. `tag(log, interval(0.0001, 0.01))`."""
    objective: Objective
    """What is optimised."""
    n_trials: Annotated[int, Field(ge=1)]
    """Number of jobs in all."""
    batch: Annotated[int, Field(ge=1)]
    """Jobs that are chosen together and may run side by side."""
    seed: Annotated[int, Field(ge=0)]
    """Seed of the sampler."""
    sampler: str
    """Name of the sampler."""
    sampler_options: dict[str, JsonValue] = {}
    """Its settings, where they are not the library's own."""
    pruner: str
    """Name of the rule that gives trainings up early; `none`: every job runs to its end."""
    pruner_options: dict[str, JsonValue] = {}
    """Its settings, where they are not the library's own."""


class PlannedJob(Contract):
    """One job, composed and validated before anything ran."""

    number: Annotated[int, Field(ge=0)]
    """Its place in the sweep; names its result."""
    overrides: tuple[str, ...]
    """What is overridden, in Hydra's grammar."""
    varies: tuple[str, ...] = ()
    """Those overrides that differ between the jobs of the sweep: what to call the job."""
    lane: str
    """Name of its lane."""
    seed: int
    """Its seed."""
    params_sha256: Sha256
    """Digest of the composed parameters."""
    unseeded_sha256: Sha256
    """Digest of the composed parameters without the seed: equal for jobs that differ in their seed alone."""
    duplicate_of: int | None = None
    """The earlier job with the same parameters; None when there is none."""


class RankedBy(Contract):
    """The measurement that finished runs are compared on."""

    metric: str
    """Name of the measurement."""
    direction: Literal["at_least", "at_most"]
    """`at_least`: larger is better."""
    gate: str
    """The gate that declares the direction."""


class SweepManifest(Contract):
    """Everything that a sweep is going to do. An optimising sweep adds each batch of jobs before it starts."""

    sweep_id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    """Digest of sweeper, search, composed jobs and context: the same command finds its sweep again."""
    experiment: str
    """Name of the experiment."""
    command: tuple[str, ...]
    """Overrides as they were given first."""
    sweeper: Literal["basic", "optuna"]
    """`basic` runs every combination; `optuna` chooses as it learns."""
    context_sha256: Sha256
    """Digest of the code of all stages, the environment and the data read: in another context it is another sweep."""
    ranked_by: dict[str, RankedBy]
    """By lane."""
    search: Search | None = None
    """How jobs are chosen; None where all are known from the start."""
    jobs: tuple[PlannedJob, ...]
    """By number, without gaps."""


class SweepJob(Contract):
    """What became of one job."""

    number: Annotated[int, Field(ge=0)]
    """The job."""
    overrides: tuple[str, ...]
    """As planned."""
    lane: str
    """Name of its lane."""
    params_sha256: Sha256
    """As planned."""
    status: JobStatus
    """How it ended."""
    run_id: str | None = None
    """Its run; None unless it finished."""
    verdict: Verdict | None = None
    """The verdict of a finished job."""
    objective: float | None = None
    """The value that an optimising sweep looked at; elsewhere the best validation loss, where the lane tells one."""
    error: str = ""
    """Why it failed or was pruned."""
    exit_code: ExitCode | None = None
    """The code that the error stands for."""
    duplicate_of: int | None = None
    """The job that ran in its place."""
    duration_s: Annotated[float, Field(ge=0.0)]
    """Wall time of the job; of a job that was taken up again, of the last time."""


class RankedRun(Contract):
    """One finished run in the order of a sweep."""

    rank: Annotated[int, Field(ge=1)]
    """From 1; runs without a value stand last."""
    number: int
    """Its job."""
    run_id: str
    """The run."""
    label: str
    """The overrides that tell it from the other jobs."""
    seed: int
    """Its seed."""
    verdict: Verdict
    """Its verdict."""
    value: float | None
    """The measurement that is ranked; None when there is none."""
    low: float | None = None
    """Lower end of its two-sided interval; None where nothing gives one."""
    high: float | None = None
    """Upper end."""
    n: int | None = None
    """Number of items behind it."""
    ties_with_best: bool = False
    """Whether its interval overlaps that of the first: the difference may be luck. The first ties with itself."""
    objective: float | None = None
    """As in the job's result."""


class SeedGroup(Contract):
    """Runs that differ in their seed alone."""

    rank: Annotated[int, Field(ge=1)]
    """From 1, by mean."""
    label: str
    """What the group has in common and other groups do not."""
    numbers: tuple[int, ...]
    """Its finished jobs."""
    mean: float
    """Mean of the ranked measurement over the seeds."""
    deviation: float | None
    """Standard deviation over the seeds (n - 1); None for one seed."""
    low: float | None
    """Lower end of the 95 % interval of the mean over seeds (Student's t); None for one seed."""
    high: float | None
    """Upper end."""
    ties_with_best: bool = False
    """Whether it may be luck that the first group is ahead: their intervals overlap (of a single seed, the one over its
    items), or one of its runs ties with the best run."""


class Unranked(Contract):
    """A job that has no place in the ranking."""

    number: int
    """The job."""
    label: str
    """The overrides that tell it from the other jobs."""
    status: Literal["failed", "pruned", "duplicate", "waiting"]
    """How it ended; `waiting`: it has not run to its end yet."""
    reason: str
    """Why, in one line."""


class LaneRanking(Contract):
    """The finished runs of one lane, best first."""

    lane: str
    """Name of the lane."""
    by: RankedBy | None
    """What they are ranked on; None where no gate of the lane looks at a number."""
    unit: str
    """Unit of the values; empty when nothing was measured."""
    split: str
    """Data split of the values; empty when nothing was measured."""
    runs: tuple[RankedRun, ...]
    """Best first."""
    groups: tuple[SeedGroup, ...] = ()
    """Where seeds were swept: the same by configuration."""


class Ranking(Contract):
    """How a sweep came out."""

    sweep_id: str
    """The sweep."""
    confidence: float
    """Of the two-sided intervals."""
    lanes: tuple[LaneRanking, ...]
    """By name of the lane."""
    others: tuple[Unranked, ...]
    """Jobs without a run of their own, by number."""
    objective: Objective | None = None
    """What an optimising sweep looked at."""
    best_number: int | None = None
    """The job with the best objective; None without an objective."""
