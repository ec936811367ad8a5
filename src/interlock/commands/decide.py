"""`interlock decide`: decide upon an archived run, by the configured policy, a language model or a person; or again."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.commands.screen import print_json
from interlock.errors import ExitCode, UsageError
from interlock.provenance.workspace import interlock_home

if TYPE_CHECKING:
    from interlock.contracts.decision import Number
    from interlock.contracts.experiment import Experiment
    from interlock.decisions.person import PersonsChoice
    from interlock.registry.queries import RunRow

KEYS = (
    "agent",
    "agents",
    "budget",
    "executives",
    "lane.search_space",
    "lineage",
    "llm",
    "max_attempts",
    "prices",
    "recovery.gate_failures_max",
)
"""What a decision depends on besides the run."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What was typed after the run."""

    overrides: tuple[str, ...] = ()
    replay: bool = False
    decision: str = ""
    """Beginning of the id of the decision that is meant."""
    person: str = ""
    action: str = ""
    values: tuple[str, ...] = ()
    reason: str = ""


def decide(workspace: Path, run: str, asked: Asked, *, as_json: bool) -> ExitCode:
    """Decide and record, or replay. Raises UsageError for options that do not fit together.

    The exit code says whether there is a decision, and not what it is.
    """
    _refuse_mixed(asked)
    home = interlock_home(workspace)
    if asked.replay:
        return _replay(home, run, _named_decision(asked), as_json=as_json)
    from interlock.commands.decide_screen import show_decided
    from interlock.runs.deciding.configured import of_experiment
    from interlock.runs.deciding.deciding import ask
    from interlock.runs.deciding.recording import record
    from interlock.runs.tracked.results import track_again

    row, judgement = _archived_first(workspace, home, run)
    configured = of_experiment(composed(workspace, row.lane, asked.overrides))
    decided = ask(home, row.run_id, configured, judgement=judgement, choice=_choice(asked))
    recorded = record(home, decided, made_at=datetime.now(UTC).isoformat(timespec="seconds"))
    params = workspace / "params" / f"{row.lane}.yaml"
    if said := track_again(home, row.run_id, params=params, workspace=workspace):
        print(said, file=sys.stderr)
    if as_json:
        keys = sorted(decided.asked)
        folder = recorded.folder.relative_to(home).as_posix()
        about = {"asked": keys, "spent": decided.spent, "warnings": decided.warnings, "folder": folder}
        print_json({"decision": decided.decision, **about, "events": recorded.events})
    else:
        show_decided(decided, recorded, home=home, pipeline=_in_pipeline(workspace, decided.decision.run_id, row.lane))
    return ExitCode.PASS


def _archived_first(workspace: Path, home: Path, run: str) -> "tuple[RunRow, str]":
    """The run and its standing judgement; one that DVC has just judged is archived first.

    Raises UsageError for no such run, and for one that was not judged.
    """
    from interlock.runs.deciding.standing import judged_run
    from interlock.runs.sync import sync

    try:
        return judged_run(home, run)
    except UsageError:
        if not any(lane.events for lane in sync(workspace, home).lanes):
            raise
        print("what had finished was archived first, as interlock sync does it", file=sys.stderr)
        return judged_run(home, run)


def composed(workspace: Path, lane: str, overrides: Sequence[str]) -> "Experiment":
    """The configuration of a lane as it stands now, with overrides of what a decision depends on.

    Raises UsageError for an override of anything else, ConfigError for one that does not hold.
    """
    from interlock.config.compose import compose_lane
    from interlock.config.params_file import lane_overrides, read_params
    from interlock.config.validate import validate

    refuse_other_than_deciding(overrides)
    params = lane_overrides(read_params(workspace / "params.yaml"), lane)
    return validate(compose_lane(workspace / "conf", [*params, *overrides]), subject=f"lane {lane}")


def refuse_other_than_deciding(overrides: Sequence[str]) -> None:
    """Raise UsageError for the first override of something that an archived run is made of."""
    for override in overrides:
        key = override.lstrip("+~").partition("=")[0].partition("@")[0].strip()
        if not any(key == known or key.startswith((f"{known}.", f"{known}/")) for known in KEYS):
            raise UsageError(
                "only who decides can be overridden here: an archived run stays as it is",
                key=key or override,
                hint=f"keys of {', '.join(KEYS)}; to train with other values: interlock run",
            )


def _refuse_mixed(asked: Asked) -> None:
    """One of three: the policy, a person, or once more."""
    if asked.replay and (asked.person or asked.action or asked.values or asked.reason):
        raise UsageError(
            "a replay decides nothing new", key="--replay", hint="leave out --as, --action, --set and --reason"
        )
    if asked.decision and not asked.replay:
        raise UsageError("a decision is only named to replay it", key="--decision", hint="add --replay")
    given = {"--action": asked.action, "--set": asked.values, "--reason": asked.reason}
    if not asked.person and (extra := [name for name, value in given.items() if value]):
        raise UsageError("says what a person decides, and no person is named", key=extra[0], hint="add --as NAME")
    if asked.person and (missing := [name for name in ("--action", "--reason") if not given[name]]):
        raise UsageError(
            "a person says what to do, and why",
            key=" ".join(missing),
            hint='--as NAME --action escalate --reason "..."',
        )


def _named_decision(asked: Asked) -> str:
    """`--decision ID`, or the one word after `--replay`."""
    words = (*asked.overrides, *([asked.decision] if asked.decision else []))
    if len(words) > 1 or any("=" in word for word in words):
        raise UsageError(
            "a replay takes nothing but the id of a decision: it needs no configuration",
            key="--replay",
            value=" ".join(words),
            hint="interlock decide RUN --replay [DECISION]",
        )
    return words[0] if words else ""


def _choice(asked: Asked) -> "PersonsChoice | None":
    if not asked.person:
        return None
    from interlock.contracts.decision import Action
    from interlock.decisions.person import PersonsChoice

    actions = [action.value for action in Action]
    if asked.action not in actions:
        raise UsageError("no such action", key="--action", value=asked.action, hint=", ".join(actions))
    values = dict(_value(text) for text in asked.values)
    return PersonsChoice(by=asked.person, action=Action(asked.action), reason=asked.reason, overrides=values)


def _value(text: str) -> "tuple[str, Number]":
    """`lane.optimizer.lr=1e-3`, as a whole number where it is written as one."""
    key, sign, value = text.partition("=")
    try:
        number = int(value) if value.strip().lstrip("+-").isdecimal() else float(value)
    except ValueError:
        number = float("nan")
    if not sign or not key.strip() or number != number or number in (float("inf"), float("-inf")):
        raise UsageError("is no KEY=NUMBER", key="--set", value=text, hint="--set lane.optimizer.lr=1e-3")
    return key.strip(), number


def _in_pipeline(workspace: Path, run_id: str, lane: str) -> str:
    """The id of the decision that DVC's stage holds for this run; empty where it holds another run, or none."""
    import json

    path = workspace / "artifacts" / "lanes" / lane / "decide" / "decision.json"
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return ""
    return str(found.get("decision_id", "")) if found.get("run_id") == run_id else ""


def _replay(home: Path, run: str, decision: str, *, as_json: bool) -> ExitCode:
    from interlock.commands.decide_screen import show_replayed
    from interlock.registry.queries import find_run
    from interlock.runs.deciding.replaying import replay
    from interlock.runs.deciding.standing import decision_of

    row, recorded = decision_of(home, find_run(home, run), decision)
    found = replay(home, row, recorded)
    if as_json:
        print_json(
            {
                "run_id": recorded.run_id,
                "decision_id": recorded.decision_id,
                "action": recorded.action,
                "same": found.same,
                "answers": found.answers,
                "differences": found.differences,
            }
        )
    else:
        show_replayed(row, recorded, found)
    return ExitCode.PASS if found.same else ExitCode.ERROR
