"""Commands about configuration: compose, validate, explain, pipeline render."""

from collections.abc import Sequence
from pathlib import Path

from interlock.commands.screen import print_json, say
from interlock.config import compose as composing
from interlock.config import explain as explaining
from interlock.config.freshness import write_stamp
from interlock.config.params import compose_workspace, composed_text, write_composed
from interlock.config.params_file import spell
from interlock.config.pipeline import require_rendered, write_declared, write_rendered
from interlock.config.validate import validate as validated


def compose(workspace: Path, *, show: bool, as_json: bool) -> None:
    """Compose every lane of params.yaml; write the changed files, or print them."""
    experiments = compose_workspace(workspace)
    if as_json:
        print_json(experiments)
    elif show:
        for lane, experiment in experiments.items():
            say(f"# params/{lane}.yaml\n{composed_text(experiment)}")
    else:
        changed = write_composed(workspace, experiments)
        write_declared(workspace, experiments)
        write_stamp(workspace)
        for lane in experiments:
            say(f"params/{lane}.yaml {'written' if lane in changed else 'unchanged'}")


def validate(workspace: Path, overrides: Sequence[str], *, as_json: bool) -> None:
    """Validate the overrides given, or params.yaml; raises ConfigError with every fault."""
    if overrides:
        composition = composing.compose_lane(workspace / "conf", composing.first_values(overrides))
        experiments = {"configuration": validated(composition, subject="configuration")}
    else:
        experiments = compose_workspace(workspace)
    if as_json:
        print_json({"valid": True, "checked": list(experiments)})
    else:
        say(f"valid: {', '.join(experiments)}")


def explain(workspace: Path, key: str, *, lane: str | None, as_json: bool) -> None:
    """Print what a key means and how to override it."""
    found = explaining.explain(workspace, key, lane=lane)
    if as_json:
        print_json(vars(found))
        return
    say(f"{found.key} = {spell(found.value)}")
    say(f"  {found.meaning}" if found.meaning else "  (no description)")
    say(f"  type:   {found.type}")
    say(f"  set in: {_relative(found.source, workspace)}")
    say("override it")
    width = max(len(door) for door in found.doors)
    for door, text in found.doors.items():
        say(f"  {door:<{width}}  {text}")


def render(workspace: Path, *, check: bool) -> None:
    """Write dvc.yaml, or with `check` only refuse a stale one."""
    experiments = compose_workspace(workspace)
    if check:
        require_rendered(workspace, experiments)
        say("dvc.yaml is up to date")
    else:
        say(f"dvc.yaml {'written' if write_rendered(workspace, experiments) else 'unchanged'}")


def _relative(source: str, workspace: Path) -> str:
    return source.replace(f"{workspace}/", "") or "nowhere: the contract's default"
