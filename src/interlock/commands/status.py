"""`interlock status`: the verdict of every lane with the reason for each gate, and one exit code over all of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from interlock.commands.screen import print_json
from interlock.contracts.stage import STAGE_PARAMS, STAGES, StageName, StageRecord
from interlock.contracts.verdict import EXIT_CODES, Judgement, Verdict, worst
from interlock.errors import ExitCode, InterlockError
from interlock.provenance.canonical import sha256_json
from interlock.provenance.dotted import select
from interlock.stages.frame import Place, load_record, read_composed


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


def status(workspace: Path, *, as_json: bool) -> ExitCode:
    """Print every lane's verdict; returns the code of the worst."""
    lanes = [lane_status(workspace, lane) for lane in _lanes(workspace)]
    if as_json:
        print_json([vars(item) | {"verdict": item.verdict.value} for item in lanes])
    else:
        _show(lanes)
    return EXIT_CODES[worst(item.verdict for item in lanes)]


def lane_status(workspace: Path, lane: str) -> LaneStatus:
    """Read what the stages of a lane left behind."""
    place = Place.of_workspace(workspace, lane)
    try:
        records = {stage: load_record(place.folder / stage) for stage in STAGES}
    except InterlockError as error:
        stage = Path(str(error.path)).parent.name
        remark = f"not judged: {stage} has not finished; run dvc repro"
        return LaneStatus(
            lane=lane, verdict=Verdict.BLOCKED, remark=remark, judgement=None, action=None, exported=False
        )
    judgement = Judgement.model_validate_json((place.folder / "judge" / "judgement.json").read_text())
    changed = _changed_since(place, records)
    remark = f"out of date: {', '.join(changed)} saw another configuration; run dvc repro" if changed else ""
    verdict = Verdict.BLOCKED if changed else judgement.verdict
    action = str(records["decide"].facts.get("action"))
    exported = records["export"].status == "completed"
    return LaneStatus(
        lane=lane, verdict=verdict, remark=remark, judgement=judgement, action=action, exported=exported
    )


def _changed_since(place: Place, records: dict[StageName, StageRecord]) -> list[str]:
    """Stages whose configuration is no longer the composed one."""
    config = read_composed(place.params)
    return [
        stage
        for stage, record in records.items()
        if record.params_sha256 != sha256_json(select(config, STAGE_PARAMS[stage]))
    ]


def _lanes(workspace: Path) -> list[str]:
    """The lanes of params.yaml; read without Hydra, because only names are needed and it must be quick."""
    values: Any = yaml.safe_load((workspace / "params.yaml").read_text())
    return [str(lane) for lane in values["lanes"]]


def _show(lanes: list[LaneStatus]) -> None:
    from rich.console import Console

    from interlock.reports.verdicts import STYLES, verdict_table

    console = Console(highlight=False)
    for item in lanes:
        style = STYLES[item.verdict]
        run = f"  run {item.judgement.run_id}" if item.judgement else ""
        console.print(f"[bold]{item.lane}[/bold]  [bold {style}]{item.verdict}[/]{run}", soft_wrap=True)
        if item.remark:
            console.print(f"  {item.remark}", style=style, soft_wrap=True)
        if item.judgement:
            console.print(verdict_table(item.judgement, width=console.width))
        if item.judgement and not item.exported:
            console.print("not exported, because gates before the export did not pass", style="dim")
        if item.action:
            reasons = f"artifacts/lanes/{item.lane}/decide/decision.md"
            console.print(f"decision: [bold]{item.action}[/bold]  (reasons: {reasons})\n")
