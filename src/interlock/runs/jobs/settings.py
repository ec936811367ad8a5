"""What a card changes in a configuration, and the seam through which it is composed.

A `Setting` keeps the place in the card that it comes from, so that a value which the configuration refuses is told
where the person wrote it. Composing itself belongs to `interlock.config`; the caller hands a `Composer` in.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from interlock.errors import ConfigError, Fault
from interlock.runs.jobs.card_yaml import CardText, Place
from interlock.runs.jobs.reading import fault_at


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One key of the configuration."""

    key: str
    """A dotted key, or the name of a group (`data`, `hardware`)."""
    value: Any
    place: Place
    """Where it stands in the card."""


@dataclass(frozen=True, kw_only=True)
class Composed:
    """A valid configuration."""

    values: Mapping[str, Any]
    """As plain values."""
    text: str
    """In its canonical spelling, as stages read it."""
    needs: Mapping[str, "Need"] = field(default_factory=dict)
    """Lanes that it is made from, by the name of the input."""


@dataclass(frozen=True, kw_only=True)
class Need:
    """A lane that has to be run before."""

    lane: str
    """Its name."""
    composed: Composed


class Composer(Protocol):
    """Composes `conf/`; `interlock.commands.job.ConfComposer` is the real one."""

    def choices(self) -> Mapping[str, tuple[str, ...]]:
        """Option names by group: `lane`, `data`, `model`, `trainer` ..."""
        ...

    def compose(self, lane: str, settings: Mapping[str, Any]) -> Composed:
        """The configuration of the lane with these groups and keys set. Raises ConfigError with all faults."""
        ...


def as_mapping(settings: Iterable[Setting]) -> dict[str, Any]:
    """Values by key."""
    return {setting.key: setting.value for setting in settings}


def faults_in_card(error: ConfigError, settings: Iterable[Setting], text: CardText) -> Iterator[Fault]:
    """The configuration's faults, told where the card caused them."""
    known = {setting.key: setting for setting in settings}
    for fault in error.faults:
        setting = next((known[key] for key in _upwards(fault.key) if key in known), None)
        if setting is None:
            yield fault
            continue
        said = fault_at(text, setting.place, "", allowed=fault.allowed, nearest=fault.nearest)
        problem = (
            f"cannot be {setting.key}: {fault.problem}" if setting.key == fault.key else f"{fault.key}: {fault.problem}"
        )
        yield Fault(**{**vars(said), "problem": problem})


def _upwards(key: str) -> Iterator[str]:
    """`lane.data.path`, `lane.data`, `data`, `lane`: the key, those around it, and the groups behind them."""
    parts = key.split(".")
    for length in range(len(parts), 0, -1):
        yield ".".join(parts[:length])
        if length > 1 and parts[0] == "lane":
            yield ".".join(parts[1:length])
