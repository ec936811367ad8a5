"""`interlock status`: the verdict of every lane with the reason for each gate, and one exit code over all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from interlock.commands.screen import print_json
from interlock.commands.team import stage_lines
from interlock.config.freshness import stale_reason
from interlock.contracts.stage import STAGES
from interlock.contracts.verdict import EXIT_CODES, Judgement, Verdict, worst
from interlock.errors import ConfigError, ExitCode, Fault, InterlockError
from interlock.provenance.environment import environment_digest
from interlock.provenance.workspace import interlock_home
from interlock.registry.waivers import shown_waiver, standing_waiver
from interlock.runs.healing.shown import told_of
from interlock.stages.current import why_not_current
from interlock.stages.place import JUDGEMENT, Place, load_record


@dataclass(frozen=True, kw_only=True)
class LaneStatus:
    """How far one lane is."""

    lane: str
    verdict: Verdict
    """`blocked` when there is no judgement, or one of another configuration."""
    remark: str
    """Why there is no valid judgement; empty when there is."""
    judgement: Judgement | None
    action: str | None
    """What the decide stage chose."""
    exported: bool
    """Whether the model was shipped; if not, gates on the shipped file are blocked."""
    recovered: tuple[str, ...] = ()
    """Faults of the training and what was done about them; also of one that was not healed."""
    waived: str = ""
    """Who waived the inconclusive verdict and until when; the verdict and the exit code stay what they are."""


def status(workspace: Path, *, as_json: bool) -> ExitCode:
    """Print every lane's verdict; returns the code of the worst."""
    lanes = [lane_status(workspace, lane) for lane in _lanes(workspace)]
    if stale := stale_reason(workspace):
        lanes = [_blocked(item.lane, f"{stale}; run dvc repro") for item in lanes]
    lanes = [replace(item, waived=_waived(workspace, item.judgement)) for item in lanes]
    lanes = [replace(item, recovered=_recovered(workspace, item.lane)) for item in lanes]
    stages = {item.lane: _stages(workspace, item.lane) for item in lanes}
    if as_json:
        print_json([vars(item) | {"verdict": item.verdict.value, "stages": stages[item.lane]} for item in lanes])
    else:
        _show(lanes, stages)
    return EXIT_CODES[worst(item.verdict for item in lanes)]


def lane_status(workspace: Path, lane: str) -> LaneStatus:
    """Read what the stages of a lane left behind; anything unfinished, changed or mixed blocks."""
    place, environment = Place.of_workspace(workspace, lane), environment_digest(workspace)
    for stage in STAGES:
        if reason := why_not_current(stage, place, environment=environment):
            return _blocked(lane, f"{stage} is not up to date: {reason}; run dvc repro")
    records = {stage: load_record(place.folder / stage) for stage in STAGES}
    try:
        judgement = Judgement.model_validate_json((place.folder / "judge" / JUDGEMENT).read_bytes())
    except ValidationError as error:
        return _blocked(lane, f"{JUDGEMENT} is not a valid judgement: {error.errors()[0]['msg']}; run dvc repro")
    judged, facts = records["judge"], {"verdict": judgement.verdict.value, "judgement_id": judgement.judgement_id}
    if judgement.run_id != judged.run_id or facts != {name: judged.facts.get(name) for name in facts}:
        return _blocked(lane, "the judgement is not the one that was recorded; run dvc repro")
    return LaneStatus(
        lane=lane,
        verdict=judgement.verdict,
        remark="",
        judgement=judgement,
        action=str(records["decide"].facts.get("action")),
        exported=records["export"].status == "completed",
    )


def _stages(workspace: Path, lane: str) -> list[str]:
    """Who holds a stage of the lane. A registry that cannot be read says nothing about the verdict."""
    try:
        return stage_lines(interlock_home(workspace), [lane])
    except InterlockError as error:
        return [f"stages are not known: {error}"]


def _recovered(workspace: Path, lane: str) -> tuple[str, ...]:
    """What training says of its faults, or the last faults of one that has not ended well."""
    try:
        return told_of(workspace, lane)
    except InterlockError as error:
        return (f"faults are not known: {error}",)


def _waived(workspace: Path, judgement: Judgement | None) -> str:
    """The waiver that stands for this judgement; a registry that cannot be read says nothing about it."""
    if judgement is None or judgement.verdict is not Verdict.INCONCLUSIVE:
        return ""
    try:
        found = standing_waiver(interlock_home(workspace), judgement.run_id, now=datetime.now(UTC))
    except InterlockError as error:
        return f"waivers are not known: {error}"
    return shown_waiver(found) if found and found.judgement_id == judgement.judgement_id else ""


def _blocked(lane: str, remark: str) -> LaneStatus:
    return LaneStatus(lane=lane, verdict=Verdict.BLOCKED, remark=remark, judgement=None, action=None, exported=False)


def _lanes(workspace: Path) -> list[str]:
    """The lanes of params.yaml; read without Hydra, because only names are needed and it must be quick."""
    path = workspace / "params.yaml"
    try:
        values: Any = yaml.safe_load(path.read_text())
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError([Fault(key="params.yaml", problem=f"cannot be read: {error}", has_value=False)]) from error
    lanes = values.get("lanes") if isinstance(values, dict) else None
    if not isinstance(lanes, list) or not lanes:
        raise ConfigError([Fault(key="lanes", problem="must list at least one lane", value=lanes, source=str(path))])
    return [str(lane) for lane in lanes]


def _show(lanes: list[LaneStatus], stages: Mapping[str, list[str]]) -> None:
    from rich.console import Console

    from interlock.reports.verdicts import STYLES, verdict_table

    console = Console(highlight=False)
    for item in lanes:
        style = STYLES[item.verdict]
        run = f"  run {item.judgement.run_id}" if item.judgement else ""
        console.print(f"[bold]{item.lane}[/bold]  [bold {style}]{item.verdict}[/]{run}", soft_wrap=True)
        for told in item.recovered:
            console.print(f"  recovery: {told}", style="yellow", markup=False, soft_wrap=True)
        if item.waived:
            console.print(f"  {item.waived}", style="bold red", markup=False, soft_wrap=True)
        if item.remark:
            console.print(f"  {item.remark}", style=style, soft_wrap=True)
        if item.judgement:
            console.print(verdict_table(item.judgement, width=console.width))
        if item.judgement and not item.exported:
            console.print("not exported, because gates before the export did not pass", style="dim")
        for line in stages[item.lane]:
            alarming = "WITHOUT APPROVAL" in line or "CONTESTED" in line
            console.print(line, markup=False, soft_wrap=True, style="red" if alarming else None)
        if item.action:
            reasons = f"artifacts/lanes/{item.lane}/decide/decision.md"
            console.print(f"decision: [bold]{item.action}[/bold]  (reasons: {reasons})\n")
