"""What `interlock verify` answers: the links of a run's chain in order, each holding, broken, or not checked."""

from typing import Annotated, Literal, get_args

from pydantic import Field

from interlock.contracts.base import Contract

LinkState = Literal["holds", "broken", "unchecked"]
"""`unchecked`: what it would be checked against is not at hand; it is said, and never counts as holding."""

Section = Literal[
    "event log",
    "run card",
    "files",
    "stages",
    "data",
    "inputs",
    "code",
    "measurements",
    "judgements",
    "answers",
    "decisions",
    "attempts",
    "index",
    "signature",
]
"""Part of the chain, from the registry's entry down to what it was made from, and then what was said about it."""

SECTIONS: tuple[Section, ...] = get_args(Section)
"""In the order in which links are listed."""


class Link(Contract):
    """One step of the chain: something states a digest or a fact, and something else must agree."""

    section: Section
    """Where in the chain it is."""
    name: str
    """What leads to what, e.g. `run card -> models/per_query.parquet`."""
    state: LinkState
    """What was found."""
    detail: str = ""
    """Of a broken link both sides; of an unchecked one what is not at hand; else a remark."""
    path: str = ""
    """The file to look at; relative to the home where it lies inside it."""
    way_out: str = ""
    """What a person can do about it."""

    def __str__(self) -> str:
        head = f"{self.name}: {self.detail}" if self.detail else self.name
        return f"{head}\n  way out: {self.way_out}" if self.way_out else head


class Verification(Contract):
    """The chain of one run."""

    run_id: str
    """The run."""
    links: tuple[Link, ...]
    """In the order of the chain."""
    num_files: Annotated[int, Field(ge=0)] = 0
    """Files whose bytes were read."""
    size_bytes: Annotated[int, Field(ge=0)] = 0
    """How much that was."""
    signed_by: tuple[str, ...] = ()
    """Ids of the keys whose signature was verified and covers everything the run has."""

    @property
    def ok(self) -> bool:
        """Whether no link is broken and at least one holds; unchecked links are told by `unchecked`."""
        return self.first_broken is None and any(link.state == "holds" for link in self.links)

    @property
    def first_broken(self) -> Link | None:
        """The first broken link of the chain."""
        return next((link for link in self.links if link.state == "broken"), None)

    @property
    def unchecked(self) -> tuple[Link, ...]:
        """Links that could not be checked."""
        return tuple(link for link in self.links if link.state == "unchecked")


class HomeVerification(Contract):
    """Everything in a home: what belongs to no single run, and each run."""

    links: tuple[Link, ...]
    """The logs, the index, runs without a card or without an event."""
    runs: tuple[Verification, ...]
    """Each archived run, oldest first."""

    @property
    def ok(self) -> bool:
        """Whether nothing is broken anywhere."""
        return all(link.state != "broken" for link in self.links) and all(run.ok for run in self.runs)
