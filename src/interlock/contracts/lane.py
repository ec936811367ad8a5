"""What every lane's configuration shares: gates and the search space around the lane's own body.

The body (`kind data model optimizer trainer inputs`) belongs to the lane and is validated by its own model; it is what
the weights depend on. Gates and search space judge and steer, and never enter the run id.
"""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from interlock.contracts.base import Contract
from interlock.contracts.gate import Gate, families, mixed_family
from interlock.contracts.input import InputReference

BODY_KEYS = ("kind", "data", "model", "optimizer", "trainer", "inputs")
"""Keys of `lane.*` that enter the run id."""


class LaneBody(Contract):
    """Base of a lane's own configuration model; subclasses add `data`, `model`, `optimizer` and `trainer`."""

    kind: str
    """Name of the lane, e.g. `query_tower`."""
    inputs: dict[str, InputReference] = {}
    """Other lanes or runs that this one needs: `lane:<name>`, `run:<id>` or `registry:<name>@<stage>`; once composed
    the last two read `run:<id>@sha256:<digest of what is used of it>`."""


class Range(Contract):
    """Bounds inside which a decision may propose a number."""

    low: float
    """Smallest value."""
    high: float
    """Largest value."""
    scale: Literal["linear", "log"] = "linear"
    """How steps are taken between the bounds."""
    integer: bool = False
    """True when only whole numbers are valid."""

    @model_validator(mode="after")
    def _ordered(self) -> "Range":
        if not self.low < self.high:
            raise ValueError(f"low {self.low:g} must be under high {self.high:g}")
        if self.scale == "log" and self.low <= 0:
            raise ValueError(f"a log range needs low > 0, not {self.low:g}")
        return self


class LanePolicy(Contract):
    """The part of `lane.*` that judges and steers."""

    gates: dict[str, Gate]
    """Gates by name; an empty mapping is refused because nothing would ever be proven."""
    search_space: dict[str, Range] = {}
    """Configuration keys that a decision may change, with their bounds."""
    allow_unpassed: dict[str, bool] = {}
    """Inputs that may be used although their verdict is no pass, `true` by name; the run card and the report say so."""

    @model_validator(mode="after")
    def _has_a_blocking_gate(self) -> "LanePolicy":
        if not any(gate.severity in ("block", "halt") for gate in self.gates.values()):
            raise ValueError("at least one gate must have severity block or halt")
        return self

    @model_validator(mode="after")
    def _families_can_be_judged_jointly(self) -> "LanePolicy":
        for family, members in families(self.gates).items():
            if (fault := mixed_family(family, members)) is not None:
                raise ValueError(fault)
        return self


Seed = Annotated[int, Field(ge=0, le=2**31 - 1)]
