"""One attempt of a drive: its configuration, the folder that it runs in, its run, its verdict, its decision.

    composed = compose(overrides_for(attempt, drive=drive.id, attempts_max=None))
    place = attempt_place(composed, workspace, drive=drive.id, attempt=1)
    judged = run_to_verdict(place, progress=progress)

The folder belongs to the drive and the attempt's number, so that another ceiling, or a killed drive, finds the stages
that are there. Composing itself is passed in: configuration belongs to the command line.
"""

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from interlock.contracts.answer import Outcome
from interlock.contracts.decision import Decision, Number
from interlock.contracts.drive import DrivenAttempt, DrivenDecision
from interlock.contracts.lane import Range
from interlock.contracts.stage import STAGES, Observations, StageName
from interlock.contracts.verdict import Judgement
from interlock.decisions.evidence import render
from interlock.lanes.catalog import find_lane
from interlock.lanes.spec import Progress
from interlock.provenance.canonical import canonical_json, sha256_json
from interlock.provenance.dotted import lookup
from interlock.provenance.environment import environment_digest
from interlock.provenance.files import write_atomic
from interlock.provenance.workspace import interlock_home
from interlock.runs.deciding.configured import Configured
from interlock.runs.runner import WAIT_S, needed_folders, run_lane
from interlock.runs.sync import sync_lane
from interlock.stages.current import stage_key
from interlock.stages.frame import open_frame
from interlock.stages.place import JUDGEMENT, OBSERVATIONS, RECORD, Place, load_record, read_composed
from interlock.stages.progress import Silent
from interlock.stages.train import identify

FIRST: tuple[StageName, ...] = ("prepare",)
"""What has to be there before a run has an id."""
TO_VERDICT: tuple[StageName, ...] = STAGES[: STAGES.index("judge") + 1]
"""Stages up to the verdict."""
LAST: tuple[StageName, ...] = ("decide",)
AGAIN: tuple[StageName, ...] = ("evaluate", "export", "judge")
"""What a repair runs again."""
DECISION = "decision.json"
_QUIET = (Outcome.ANSWERED, Outcome.NOT_CONFIGURED)
"""Outcomes of which a table says nothing."""
_SHOWN_ONLY = ("tracking", "control")
_SPACE = TypeAdapter(dict[str, Range])


@dataclass(frozen=True, kw_only=True)
class Composed:
    """A composed and validated configuration."""

    lane: str
    """Name of the lane."""
    text: str
    """Canonical YAML."""
    config: Mapping[str, Any]
    """The same as values."""
    needs: Mapping[str, Place]
    """Lanes that it is made from, by the name of the input."""
    configured: Configured
    """Who decides, whom they may ask, under which ceilings."""

    @property
    def asked(self) -> dict[str, Any]:
        """What a drive is identified by: all but what shows and watches."""
        return {key: value for key, value in self.config.items() if key not in _SHOWN_ONLY}

    @property
    def digest(self) -> str:
        """Of the lane, of what is asked, and of the lanes that it is made from."""
        needs = {name: place.folder.name for name, place in self.needs.items()}
        return sha256_json({"lane": self.lane, "asked": self.asked, "needs": needs})

    @property
    def search_space(self) -> dict[str, Range]:
        """What a decision may change."""
        return _SPACE.validate_json(canonical_json(self.config["lane"].get("search_space") or {}))

    def current(self) -> dict[str, Number]:
        """Present values of the search space's keys."""
        return {key: value for key in self.search_space if isinstance(value := lookup(self.config, key), int | float)}


Compose = Callable[[Sequence[str]], Composed]
"""Composes what was asked for with further overrides. Raises ConfigError."""


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A run with its verdict."""

    run_id: str
    judgement: Judgement
    seconds: float
    """Wall time of those of its stages that ran since the drive began."""


def overrides_for(attempt: DrivenAttempt, *, drive: str, attempts_max: int | None) -> list[str]:
    """Hydra overrides of an attempt, besides those that a person typed. Ids are quoted: `12e4...` is no number."""
    changed = [f"{key}={json.dumps(value)}" for key, value in sorted(attempt.overrides.items())]
    parent = [f"lineage.parent_run='{attempt.parent_run}'"] if attempt.parent_run else []
    ceiling = [f"max_attempts={attempts_max}"] if attempts_max is not None else []
    return [*changed, *parent, f"lineage.attempt={attempt.attempt}", f"lineage.drive='{drive}'", *ceiling]


def attempt_place(composed: Composed, workspace: Path, *, drive: str, attempt: int) -> Place:
    """The folder of an attempt, with its configuration written. Links to its lanes are made when it runs."""
    name = f"{composed.lane}-{sha256_json([drive, attempt])[:12]}"
    folder = interlock_home(workspace) / "work" / name
    params = folder / "params.yaml"
    if not params.is_file() or params.read_text() != composed.text:
        write_atomic(params, composed.text)
    return Place(
        workspace=workspace, folder=folder, params=params, lane=composed.lane, wait_s=WAIT_S, needs=composed.needs
    )


def basis(composed: Composed, workspace: Path) -> str:
    """Digest of everything besides the configuration that a drive's results follow from: code, lock, data."""
    return sha256_json(_basis(composed.config, composed.needs, workspace))


def _basis(config: Mapping[str, Any], needs: Mapping[str, Place], workspace: Path) -> dict[str, Any]:
    spec, environment = find_lane(str(config["lane"]["kind"])), environment_digest(workspace)
    place = Place.of_workspace(workspace, spec.kind)
    keys = {stage: stage_key(stage, place, spec, config, environment=environment) for stage in STAGES}
    return {
        "stages": {stage: [key.code_sha256, key.lock_sha256, key.sources_sha256] for stage, key in keys.items()},
        "needs": {name: _basis(read_composed(need.params), need.needs, workspace) for name, need in needs.items()},
    }


def expected_run(place: Place, *, progress: Progress) -> str:
    """The run that training would give, before it trains; runs `prepare` and the lanes that it needs."""
    run_lane(place, progress=progress, stages=FIRST)
    found = open_frame("train", place, progress=Silent(), identify=identify).run_id
    assert found
    return found


def run_to_verdict(place: Place, *, progress: Progress, since: str) -> Judged:
    """Run what is not current up to the verdict, and archive it; `since` is when the drive began (UTC, ISO 8601).

    Raises the first stage's error.
    """
    run_lane(place, progress=progress, stages=TO_VERDICT)
    archive(place, progress=progress, track=False)  # it is decided upon at once, and told of then
    judgement = Judgement.model_validate_json((place.folder / "judge" / JUDGEMENT).read_bytes())
    return Judged(run_id=judgement.run_id, judgement=judgement, seconds=_seconds(place, since))


def forget_measurements(place: Place) -> None:
    """Take away what a repair makes again, the last stage first, so that nothing is believed that misses its base."""
    for stage in reversed((*AGAIN, *LAST)):
        (place.folder / stage / RECORD).unlink(missing_ok=True)
        shutil.rmtree(place.folder / stage, ignore_errors=True)


def run_decision(place: Place, *, progress: Progress) -> Decision:
    """Run the decide stage, which replays recorded answers, and archive what it decided."""
    run_lane(place, progress=progress, stages=LAST)
    archive(place, progress=progress)
    load_record(place.folder / "decide")
    return Decision.model_validate_json((place.folder / "decide" / DECISION).read_bytes())


def archive(place: Place, *, progress: Progress, track: bool = True) -> None:
    """Archive the run and the lanes that it is made from; says where trackers show it."""
    for folder in (*needed_folders(place), place.folder):
        synced = sync_lane(folder, workspace=place.workspace, home=interlock_home(place.workspace), track=track)
        if synced.tracking:
            progress.message(synced.tracking)


def driven(decision: Decision) -> DrivenDecision:
    """A decision as the drive's journal keeps it."""
    trail = decision.trail
    return DrivenDecision(
        decision_id=decision.decision_id,
        action=decision.action,
        policy=decision.policy,
        models=tuple(dict.fromkeys(step.model for step in trail if step.model)),
        reasons=tuple(render(item.text, decision.evidence) for item in decision.reasons),
        risks=tuple(render(item.text, decision.evidence) for item in decision.risks),
        overrides=dict(decision.proposed_overrides),
        confidence=decision.confidence,
        told=tuple(dict.fromkeys(step.told for step in trail if step.told and step.outcome not in _QUIET)),
        over_budget=decision.policy == "rules" and any(step.outcome is Outcome.OVER_BUDGET for step in trail),
        usage=decision.usage,
    )


def _seconds(place: Place, since: str) -> float:
    paths = [place.folder / stage / OBSERVATIONS for stage in TO_VERDICT]
    seen = [Observations.model_validate_json(path.read_text()) for path in paths]
    return round(sum(item.duration_s for item in seen if item.started_at >= since), 3)
