"""Approvals and waivers: what a person said, of exactly what, until when; and the rules for what needs one.

    requested --> granted --> used       the model went into production with it
        |  |         | +----> expired    its time is over
        |  |         +------> denied     taken back
        |  +---------+------> void       what was approved is not there any more, or more is asked for now
        +-------------------> denied     a later request or grant begins anew from every one of them

An approval is bound to the run id (before training) or to the digest of the model's main file (before deployment), and
to the facts that were approved: another digest or a larger number is another thing.
"""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from interlock.contracts.base import Contract
from interlock.contracts.measurement import Sha256

Purpose = Literal["deployment", "first_release", "production_data", "cluster_time", "more_attempts"]
State = Literal["requested", "granted", "denied", "expired", "void", "used"]
Facts = dict[str, JsonValue]

TRANSITIONS: dict[State, tuple[State, ...]] = {
    "requested": ("granted", "denied", "void"),
    "granted": ("used", "expired", "void", "denied", "requested"),
    "denied": ("granted", "requested"),
    "expired": ("granted", "requested", "denied"),
    "void": ("granted", "requested", "denied"),
    "used": ("granted", "requested", "denied"),
}
"""Moves between states; what was never spoken of becomes `requested`, `granted` or `denied`. A grant becomes
`requested` again when more is asked for than it covers."""


class Rule(Contract):
    """What needs an approval. A fact that is not known counts as over its limit."""

    binds: Literal["run", "artifact"]
    """To what it is bound: the run's id, or the digest of the model's main file."""
    when: Facts = Field(default_factory=dict)
    """Facts that must have these values."""
    above: dict[str, float] = Field(default_factory=dict)
    """Facts that must be larger than these."""
    scope: tuple[str, ...]
    """Facts that an approval is bound to: numbers may not grow, anything else may not differ."""
    because: str
    """Why it is asked for, with the facts in braces."""
    valid_days_max: Annotated[float, Field(gt=0.0)]
    """How far ahead it may expire."""


RULES: dict[Purpose, Rule] = {
    "deployment": Rule(
        binds="artifact",
        when={"goes_live": True, "is_first_release": False},
        scope=("services",),
        because="lane {lane} would answer {services} with it",
        valid_days_max=7.0,
    ),
    "first_release": Rule(
        binds="artifact",
        when={"goes_live": True, "is_first_release": True},
        scope=("services",),
        because="it would be the first model of lane {lane} to answer {services}",
        valid_days_max=7.0,
    ),
    "production_data": Rule(
        binds="run",
        when={"is_production_data": True},
        above={"samples": 100_000.0},
        scope=("dataset", "samples"),
        because="dataset {dataset} is production data with {samples} samples, more than 100,000",
        valid_days_max=30.0,
    ),
    "cluster_time": Rule(
        binds="run",
        when={"is_gpu": True},
        above={"estimated_hours": 4.0},
        scope=("estimated_hours",),
        because="an estimate of {estimated_hours} h on GPUs is more than 4 h",
        valid_days_max=30.0,
    ),
    "more_attempts": Rule(
        binds="run",
        above={"attempts_beyond": 0.0},
        scope=("max_attempts",),
        because="{max_attempts} attempts are more than the policy allows",
        valid_days_max=30.0,
    ),
}
"""What needs a person. Canary and production answer live requests (`goes_live`)."""
WAIVER_DAYS_MAX = 14.0
"""How far ahead a waiver may expire."""


class Said(Contract):
    """What a person said, as the event keeps it."""

    by: Annotated[str, Field(min_length=1)]
    """Who."""
    reason: Annotated[str, Field(min_length=1)]
    """Why."""
    keyid: str = ""
    """Digest of the public key that signed it; empty where no key is configured."""
    signature: str = ""
    """DSSE envelope over everything else."""


class Requested(Contract):
    """Body of an event `approval_requested`."""

    purpose: Purpose
    """For what."""
    scope: Facts
    """Facts that are asked for."""
    because: str
    """Why a person is asked."""
    lane: str
    """Lane of the run or the model."""
    run: str
    """The run, or the model's run."""
    model: str = ""
    """The model's name; empty before training."""


class Granted(Said):
    """Body of an event `approval_granted`."""

    purpose: Purpose
    """For what."""
    scope: Facts
    """Facts that were approved."""
    expires_at: str
    """Until when (UTC, ISO 8601)."""
    lane: str
    """Lane of the run or the model."""
    run: str
    """The run, or the model's run."""
    model: str = ""
    """The model's name; empty before training."""


class Denied(Said):
    """Body of an event `approval_denied`: a request is refused, or an approval taken back."""

    purpose: Purpose
    """For what."""
    run: str
    """The run, or the model's run."""
    model: str = ""
    """The model's name; empty before training."""


class Waived(Said):
    """Body of an event `waived`: a person goes on after `inconclusive`. The verdict stays what it is."""

    run_id: str
    """The run."""
    judgement_id: Sha256
    """The inconclusive judgement; any other one voids the waiver."""
    lane: str
    """Its lane."""
    expires_at: str
    """Until when (UTC, ISO 8601)."""


class Approval(Contract):
    """Where one purpose of one run or artifact stands."""

    id: Sha256
    """Key of the event that it rests on."""
    subject: str
    """Run id, or digest of the model's main file."""
    purpose: Purpose
    """For what."""
    state: State
    """Where it stands."""
    scope: Facts
    """Facts that are approved or asked for."""
    lane: str
    """Lane of the run or the model."""
    run: str
    """The run, or the model's run."""
    model: str = ""
    """The model's name; empty before training."""
    because: str = ""
    """Of a request: why a person is asked."""
    by: str = ""
    """Who granted or denied it; empty while nobody has."""
    reason: str = ""
    """In that person's words."""
    at: str
    """When that was written down (UTC, ISO 8601)."""
    expires_at: str = ""
    """Until when it holds (UTC, ISO 8601); empty unless it was granted."""
    host: str = ""
    """Machine where it was written down."""
    keyid: str = ""
    """Digest of the public key that signed it; empty for an unsigned one."""
    note: str = ""
    """Why it is void, or what used it."""


class Waiver(Contract):
    """A waiver that somebody gave, and whether it stands."""

    id: Sha256
    """Key of its event."""
    run_id: str
    """The run."""
    judgement_id: Sha256
    """The judgement that it is about."""
    lane: str
    """Its lane."""
    by: str
    """Who."""
    reason: str
    """Why."""
    at: str
    """When it was written down (UTC, ISO 8601)."""
    expires_at: str
    """Until when (UTC, ISO 8601)."""
    state: Literal["standing", "expired", "void"]
    """`void`: the run was judged anew since."""
    keyid: str = ""
    """Digest of the public key that signed it; empty for an unsigned one."""

    @property
    def stands(self) -> bool:
        """Whether it holds now."""
        return self.state == "standing"


class Need(Contract):
    """An approval that something needs before it may go on."""

    purpose: Purpose
    """For what."""
    scope: Facts
    """Facts that the approval must cover."""
    because: str
    """Why, with the numbers in it."""
