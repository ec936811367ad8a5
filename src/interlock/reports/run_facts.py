"""Everything that a page shows of one run, as plain values. `interlock.runs.review.facts` reads and verifies them.

A field that the run does not have is empty, and its section stays away: a lane without retrieval has no recall, a run
that was killed has no card. Does not judge and computes nothing but what is counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from interlock.contracts.decision import Decision
from interlock.contracts.drive import DrivePath
from interlock.contracts.measurement import Measurement
from interlock.contracts.sweep import Ranking, SweepJob, SweepManifest
from interlock.contracts.verdict import Judgement, Verdict
from interlock.contracts.verification import Verification
from interlock.registry.queries import ModelRow, RunView, StageChange

Row = Mapping[str, float | None]
"""One line of a table of numbers by column; None where the cell is empty."""


@dataclass(frozen=True, kw_only=True)
class Flipped:
    """A query that the run and a baseline answer differently."""

    query_id: str
    """Its id."""
    text: str
    """The query; empty when the prepared data is not at hand."""
    rank: int | None
    """Rank of the answer in the run; None when it is not among the first ten."""
    other_rank: int | None
    """Rank in the baseline, or in the other run."""


@dataclass(frozen=True, kw_only=True)
class Flip:
    """What a run gained and lost against a baseline, or against another run."""

    metric: str
    """The rate that was compared, e.g. `r_at_5`."""
    baseline: str
    """Name of the baseline, or of the other run."""
    gained: Sequence[Flipped]
    """Spread evenly over all that were gained."""
    lost: Sequence[Flipped]
    """Likewise."""
    num_gained: int
    """All of them."""
    num_lost: int
    """All of them."""
    n: int
    """Queries compared."""


@dataclass(frozen=True, kw_only=True)
class SweepFacts:
    """A sweep as its files tell it."""

    manifest: SweepManifest
    """What was planned."""
    ranking: Ranking | None
    """How it came out; None while it runs."""
    jobs: Sequence[SweepJob]
    """Jobs that have ended, by number."""


@dataclass(frozen=True, kw_only=True)
class RunFacts:
    """One run."""

    view: RunView
    """Row, card, attempts."""
    problem: str = ""
    """Why the archive of this run cannot be trusted; nothing measured is shown then."""
    judgement: Judgement | None = None
    """The run's present judgement."""
    judged_at: str = ""
    """When it was made (UTC, ISO 8601)."""
    decision: Decision | None = None
    """What was decided upon it."""
    model: ModelRow | None = None
    """Its registered model."""
    history: Sequence[StageChange] = ()
    """Stages of the model, oldest first."""
    measurements: Mapping[str, Measurement] = field(default_factory=dict)
    """Everything measured."""
    intervals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Two-sided 95 % intervals where there are per-item scores."""
    training: Mapping[str, Any] = field(default_factory=dict)
    """Facts of the training."""
    losses: Sequence[Row] = ()
    """`loss.csv`."""
    log: Sequence[Row] = ()
    """Steps of the training log with their loss."""
    recall: Sequence[Row] = ()
    """`recall.csv`: recall at rank k, by system."""
    reliability: Sequence[Row] = ()
    """`reliability.csv`: share of right answers by stated confidence."""
    examples: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    """Hits and misses."""
    flips: Sequence[Flip] = ()
    """Against each baseline."""
    dataset: Mapping[str, Any] = field(default_factory=dict)
    """The dataset's card."""
    sweep: SweepFacts | None = None
    """The sweep that this run is a job of."""
    drive: DrivePath | None = None
    """The drive that this run is an attempt of; the newest of several."""
    parents: Sequence[tuple[str, str, str]] = ()
    """Runs it came from: role, id, verdict."""
    verification: Verification | None = None
    """The chain of digests, link by link; None when it was not verified."""

    @property
    def verdict(self) -> Verdict | None:
        """The present verdict; None for a run that was not judged."""
        return self.judgement.verdict if self.judgement else None

    @property
    def is_sound(self) -> bool:
        """Whether nothing speaks against the archive: files hold, and so does the chain where it was verified."""
        return not self.problem and (self.verification is None or self.verification.ok)

    @property
    def run_id(self) -> str:
        """Its id."""
        return self.view.run.run_id
