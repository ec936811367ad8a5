"""Other runs that a run is made from: how a configuration names one, and what a stage says of the one that it read.

    lane.inputs.first_stage: lane:query_tower                         the lane of the same pipeline
    lane.inputs.first_stage: run:0123456789abcdef                     an archived run
    lane.inputs.first_stage: registry:query_tower@production          the run whose model holds that stage

Composing turns the last two into `run:<id>@sha256:<digest>`, so that stages only ever meet the forms below. Does not
look anything up (`interlock.config.pins` does, while composing) and opens no files (`interlock.stages.inputs`).
"""

import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from interlock.contracts.base import Contract
from interlock.contracts.measurement import Sha256

_COMPOSED = r"^(?:lane:[A-Za-z0-9_][A-Za-z0-9_.-]*|run:[0-9a-f]{16}@sha256:[0-9a-f]{64})$"

InputReference = Annotated[str, Field(pattern=_COMPOSED)]
"""A composed value of `lane.inputs`."""

PASSED = "pass"
"""The one verdict with which a run may be used without further ado."""
NOT_JUDGED = "not judged"
"""Stands for the verdict of an archived run that nobody judged."""


class InputUse(Contract):
    """A run that a stage read as an input, as it was then."""

    reference: InputReference
    """What the composed configuration names."""
    run_id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    """The run."""
    sha256: Sha256
    """Digest of all that is used of it; part of the identity of the run that uses it."""
    verdict: str | None = None
    """Its verdict, told by prepare alone, so that a verdict that changes never trains again; None in later stages."""


@dataclass(frozen=True)
class Reference:
    """A value of `lane.inputs`, taken apart."""

    lane: str | None
    """Lane of the same pipeline; None for an archived run."""
    run_id: str
    """Archived run; empty for a lane."""
    sha256: str
    """Digest that it is pinned to; empty for a lane."""


def taken_apart(reference: str) -> Reference:
    """Read a composed value. Raises ValueError for one of another form."""
    if not re.fullmatch(_COMPOSED, reference):
        raise ValueError(f"{reference!r} is no composed input")
    form, _, name = reference.partition(":")
    if form == "lane":
        return Reference(lane=name, run_id="", sha256="")
    run_id, _, digest = name.partition("@")
    return Reference(lane=None, run_id=run_id, sha256=digest.removeprefix("sha256:"))


def run_named(reference: str) -> str:
    """The run id in a card's `run:<id>@sha256:<digest>`, also where somebody cut the digest off."""
    return reference.removeprefix("run:").partition("@")[0]


def pinned(run_id: str, sha256: str) -> str:
    """The composed value that names an archived run with the digest of what is used of it."""
    return f"run:{run_id}@sha256:{sha256}"
