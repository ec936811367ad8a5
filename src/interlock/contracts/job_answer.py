"""The job's answer: what the architect says of several lanes together, `job_answer.yaml`.

The words are those of the lane reports that it sums up. It proves nothing: the judgements that it names do.
"""

from typing import Literal

from interlock.contracts.base import Contract
from interlock.contracts.decision import Action
from interlock.contracts.lane_report import Actuals
from interlock.contracts.measurement import Sha256
from interlock.contracts.verdict import Verdict

LaneState = Literal["completed", "failed", "escalated", "missing"]


class LaneAnswer(Contract):
    """One lane of the answer."""

    lane: str
    """Name of the lane, or id of the job card."""
    state: LaneState
    """As its lane report says; `missing` where nothing finished, or what is there cannot be trusted."""
    run_id: str | None
    """The run; None where nothing was judged."""
    verdict: Verdict
    """What its judgement folds to; the lane report's own word is not believed."""
    action: str
    """What its director decided; empty where nothing finished."""
    judgement_sha256: Sha256 | None
    """Digest of the judgement that was read; None without one."""
    artifacts: tuple[dict[str, str], ...] = ()
    """What was produced, by kind, with paths under the archived run."""
    acceptance_results: dict[str, float | bool | None] = {}
    """Observed value by gate, read from the judgement."""
    actuals: Actuals | None = None
    """What it took; None where no lane report says so."""
    managers_used: tuple[dict[str, str], ...] = ()
    """Managers by the source's spelling, with the work they did."""


class JobAnswer(Contract):
    """`job_answer.yaml`."""

    job: str
    """Name of the job."""
    verdict: Verdict
    """All lanes folded; a missing one is `blocked`."""
    action: Action
    """What the architect decided."""
    decision_id: Sha256
    """The decision, in `decision.json` beside this file."""
    policy: str
    """How it was decided."""
    reasons: tuple[str, ...]
    """Why, with every number filled in from evidence."""
    lanes: tuple[LaneAnswer, ...]
    """In the order in which they were asked for."""
    actuals: Actuals
    """Summed over the lanes that say what they took."""
    managers_used: tuple[dict[str, str], ...]
    """Of all lanes, each with its lane in brackets."""
    remarks: tuple[str, ...] = ()
    """What is missing, what contradicts itself, what recovery changed."""
