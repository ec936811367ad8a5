"""Read a card whole: what it is, what it changes in the configuration, which managers do what, and every fault at once.

    plan = plan_job(data, "card.yaml", composer=..., workspace=..., home=...)     # or ConfigError with all faults

Nothing is written and nothing is run. What a valid card still has to wait for is told by `interlock.runs.jobs.waiting`.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from interlock.contracts.job import JobCard, ManagerCard
from interlock.errors import ConfigError, DataError, Fault, UsageError
from interlock.lanes.catalog import find_lane
from interlock.lanes.spec import LaneSpec, load_object
from interlock.provenance.canonical import sha256_json
from interlock.provenance.dotted import lookup
from interlock.provenance.files import inside
from interlock.runs.jobs.card_inputs import awaited_paths, dataset_settings, model_settings
from interlock.runs.jobs.card_yaml import CardText
from interlock.runs.jobs.demands import Demand, Demands, read_demands
from interlock.runs.jobs.hyperparameters import group_settings, key_settings
from interlock.runs.jobs.managers import HOURS_SHARE, split
from interlock.runs.jobs.model_type import model_type
from interlock.runs.jobs.reading import fault_at, read_job_card, refusal
from interlock.runs.jobs.settings import Composed, Composer, Need, Setting, as_mapping, faults_in_card
from interlock.runs.runner import work_folder


@dataclass(frozen=True, kw_only=True)
class Plan:
    """A card that can be run."""

    card: JobCard
    card_sha256: str
    """Digest of the card's content; comments and layout do not matter."""
    lane: str
    """Name of the lane in `conf/lane`."""
    settings: tuple[Setting, ...]
    """What the card changes."""
    composed: Composed
    demands: tuple[Demand, ...]
    managers: tuple[ManagerCard, ...]
    work: Path
    """Folder of the stages."""


def plan_job(
    data: bytes, name: str, *, composer: Composer, workspace: Path, home: Path, within: frozenset[Path] = frozenset()
) -> Plan:
    """Read, check and plan a card; `name` is what its writer calls it. Raises ConfigError with every fault.

    `within` are the files of cards that this one is planned for.
    """

    def need_of(path: str) -> Need:
        file = inside(workspace, path)
        if file in within:
            raise UsageError("the cards need each other in a circle", path=file, hint="name an archived run: run:ID")
        planned = plan_job(
            _read(file), path, composer=composer, workspace=workspace, home=home, within=within | {file}
        )  # fmt: skip
        return Need(lane=planned.lane, composed=planned.composed)

    text, card, faults = read_job_card(data, name)
    draft = _Draft(text, composer, workspace, need_of)
    composed = draft.compose()
    faults = [*faults, *draft.faults]
    if faults or card is None or composed is None or draft.lane is None:
        raise refusal(text, faults)
    work = stage_folder(home, draft.lane, composed)
    shown = f"artifacts/{work.relative_to(home).as_posix()}"
    return Plan(
        card=card,
        card_sha256=sha256_json(card),
        lane=draft.lane,
        settings=tuple(draft.settings),
        composed=composed,
        demands=draft.demands,
        managers=split(card, lane=draft.lane, values=composed.values, demands=draft.demands, work=shown),
        work=work,
    )


def _read(card: Path) -> bytes:
    try:
        return card.read_bytes()
    except OSError as error:
        raise UsageError(f"the card cannot be read: {os.strerror(error.errno or 0)}", path=card) from error


def stage_folder(home: Path, lane: str, composed: Composed) -> Path:
    """Where the stages of a composed configuration run; makes nothing."""
    needs = {name: stage_folder(home, need.lane, need.composed).name for name, need in composed.needs.items()}
    return work_folder(home, lane=lane, composed=composed.text, needs=needs)


class _Draft:
    """Goes as far as a faulty card allows, collecting what is wrong."""

    def __init__(self, text: CardText, composer: Composer, workspace: Path, need_of: Callable[[str], Need]) -> None:
        self._text, self._composer, self._workspace, self._need_of = text, composer, workspace, need_of
        self._needs: dict[str, Need] = {}
        self._choices = composer.choices()
        self.faults: list[Fault] = []
        self.settings: list[Setting] = []
        self.demands: tuple[Demand, ...] = ()
        self.lane, faults = model_type(text, self._choices.get("lane", ()))
        self.faults += faults

    def compose(self) -> Composed | None:
        """The configuration that the card asks for; None after faults that leave nothing to compose."""
        if self.lane is None:
            return None
        lane = self.lane
        given = _mapping(self._text.values.get("hyperparameters"))
        awaited = awaited_paths(self._text.values)
        data = dataset_settings(
            self._text,
            lane=lane,
            choices=self._choices.get("data", ()),
            workspace=self._workspace,
            awaited=awaited,
        )
        chosen = [*self._take(data), *self._take(group_settings(given, self._choices, self._text))]
        base = self._composed(chosen) or self._composed([])
        if base is None:
            return None
        spec = find_lane(str(lookup(base.values, "lane.kind")))
        more = self._models(lane, spec)
        more += self._take(key_settings(given, base.values, self._text))
        more += self._take(self._budget(base.values))
        more += self._accept(base.values, spec)
        self.settings = _without_repeats([*chosen, *more])
        composed = self._composed(self.settings)
        if composed is not None and not awaited:
            self._require_data(spec, composed)
        return composed

    def _require_data(self, spec: LaneSpec, composed: Composed) -> None:
        """A fault where the data that the lane would read is not there."""
        try:
            body = spec.body(composed.values["lane"])
            _ = load_object(spec.sources)(body, self._workspace) if spec.sources else None
        except DataError as error:
            self.faults.append(fault_at(self._text, ("inputs",), f"cannot be read: {error.message}; {error.hint}"))

    def _take(self, found: tuple[Sequence[Setting], Sequence[Fault]]) -> list[Setting]:
        settings, faults = found
        self.faults += faults
        return list(settings)

    def _composed(self, settings: Sequence[Setting]) -> Composed | None:
        assert self.lane is not None
        try:
            composed = self._composer.compose(self.lane, as_mapping(settings))
            return replace(composed, needs={**composed.needs, **self._needs})
        except ConfigError as error:
            told = {fault.key for fault in self.faults}
            self.faults += [fault for fault in faults_in_card(error, settings, self._text) if fault.key not in told]
            return None

    def _models(self, lane: str, spec: LaneSpec) -> list[Setting]:
        inputs = [item.name for item in spec.inputs]
        settings, faults, self._needs = model_settings(self._text, inputs=inputs, lane=lane, need_of=self._need_of)
        self.faults += faults
        return settings

    def _accept(self, values: Mapping[str, Any], spec: LaneSpec) -> list[Setting]:
        found: Demands = read_demands(
            self._text, kind=spec.kind, gates=lookup(values, "lane.gates"), measurements=spec.measurements
        )
        self.demands = found.demands
        self.faults += found.faults
        return list(found.settings)

    def _budget(self, values: Mapping[str, Any]) -> tuple[list[Setting], list[Fault]]:
        """The card's budget as ceilings, which a card may lower and never raise."""
        budget = _mapping(self._text.values.get("budget"))
        settings, faults = [], []
        place = ("budget", "compute_hours_max")
        hours, ceiling = _positive(budget.get("compute_hours_max")), lookup(values, "budget.compute_hours_max")
        if hours is not None and hours > ceiling:
            problem = f"is over the ceiling of the configuration, {ceiling:g} hours; lower it, or let somebody who may "
            faults.append(fault_at(self._text, place, f"{problem}raise budget.compute_hours_max in conf/config.yaml"))
        elif hours is not None:
            share = hours * HOURS_SHARE["train"]  # the rest belongs to the other managers
            settings.append(Setting(key="budget.compute_hours_max", value=share, place=place))
        for name in ("tokens_target_ratio", "tokens_hard_ratio"):
            ratio = _positive(budget.get(name))
            if ratio is not None and ratio <= 1:
                for agent in values.get("agents") or {}:
                    if values["agents"][agent]["tier"] != "architect":
                        key = f"agents.{agent}.{name}"
                        settings.append(Setting(key=key, value=ratio, place=("budget", name)))
        return settings, faults


def _without_repeats(settings: Sequence[Setting]) -> list[Setting]:
    """The last setting of a key counts: two checks on one metric tighten it twice."""
    return list({setting.key: setting for setting in settings}.values())


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _positive(value: Any) -> float | None:
    """The number, where the contract accepts it."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and value > 0 else None
