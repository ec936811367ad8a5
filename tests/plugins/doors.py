"""The four doors, each through its own code but inside this process: what does a set of overrides compose to?

    dvc repro         params.yaml as a person writes it        -> compose_workspace
    dvc exp run -S    DVC's own parser and writer of -S        -> compose_workspace
    interlock run     Hydra's main                             -> what the job is given
    interlock run -m  the plan, and Hydra's sweeper and basic launcher, which must agree

An answer is the composed text, or the faults with which the door refuses. Starts no processes and runs no stages.
"""

from dvc.utils.cli_parse import to_path_overrides
from dvc.utils.hydra import apply_overrides

from interlock.config.compose import compose_lane, first_values
from interlock.config.hydra_main import overrides_of, run_main
from interlock.config.params import compose_workspace, composed_text
from interlock.config.sweep_plan import compose_jobs, expand, read_settings
from interlock.config.validate import validate
from interlock.errors import ConfigError

DOORS = ("dvc repro", "dvc exp run -S", "interlock run", "interlock run -m")
NEEDED = {"follower": ("toy",)}
"""Lanes that another one is made from: they run beside it, and overrides are for that one alone."""
_QUIET = ("hydra/job_logging=none", "hydra/hydra_logging=none")  # Hydra would configure the test's own logging
_given = []


def answers(workspace, lane, settings):
    """What each door makes of the settings, by its name; Hydra writes into the current folder."""
    return {
        "dvc repro": _answer(repro, workspace, lane, settings),
        "dvc exp run -S": _answer(experiment, workspace, lane, settings),
        "interlock run": _answer(run, workspace, lane, settings),
        "interlock run -m": _answer(multirun, workspace, lane, settings),
    }


def _answer(door, workspace, lane, settings):
    try:
        return door(workspace, lane, settings)
    except ConfigError as error:
        return sorted((fault.key, fault.problem, fault.nearest) for fault in error.faults)


def repro(workspace, lane, settings):
    """Write `params.yaml` with nested overrides, values as a person may spell them in YAML."""
    lines = "".join(_yaml_lines(settings))
    write_params(workspace, lane, f"overrides:\n{lines}" if lines else "overrides: {}\n")
    return composed_text(compose_workspace(workspace)[lane])


def experiment(workspace, lane, settings):
    """Let DVC edit a committed `params.yaml` as `dvc exp run -S` does."""
    write_params(workspace, lane, "overrides: {}\n")
    texts = [f"++{place_of(lane)}.{setting.key}={setting.hydra}" for setting in settings]
    for path, overrides in to_path_overrides(texts).items():
        apply_overrides(workspace / path, overrides)
    return composed_text(compose_workspace(workspace)[lane])


def run(workspace, lane, settings):
    """The check before Hydra starts, then Hydra."""
    conf, argv = workspace / "conf", _argv(lane, settings)
    validate(compose_lane(conf, first_values(overrides_of(argv))), subject="configuration")
    (text,) = _through_hydra(conf, [*argv, *_QUIET])
    return text


def multirun(workspace, lane, settings):
    """The plan of the sweep, and what its only job is given."""
    conf, argv = workspace / "conf", ["-m", *_argv(lane, settings)]
    (planned,) = compose_jobs(conf, expand(conf, read_settings(conf, overrides_of(argv))))
    (text,) = _through_hydra(conf, [*argv, *_QUIET])
    assert planned.text == text, "the planned job and the launched one differ"
    return text


def place_of(lane):
    """Where `params.yaml` keeps overrides of the lane."""
    return f"lane_overrides.{lane}" if lane in NEEDED else "overrides"


def write_params(workspace, lane, overrides):
    """A `params.yaml` for one lane, and for those that it needs."""
    lanes, rest = ", ".join((*NEEDED.get(lane, ()), lane)), f"{overrides}lane_overrides: {{}}\n"
    if lane in NEEDED:
        first, *lines = overrides.splitlines()
        nested = "".join(f"  {line}\n" for line in (first.replace("overrides", lane, 1), *lines))
        rest = f"overrides: {{}}\nlane_overrides:\n{nested}"
    (workspace / "params.yaml").write_text(f"experiment: default\nlanes: [{lanes}]\n{rest}")


def _argv(lane, settings):
    return [f"lane={lane}", *(f"{setting.key}={setting.hydra}" for setting in settings)]


def _through_hydra(conf, argv):
    _given.clear()
    run_main(conf, argv, note)
    return list(_given)


def note(number, lane, composition):
    """The job: keeps the composed text instead of running stages."""
    _given.append(composed_text(validate(composition, subject=f"lane {lane}")))


def _yaml_lines(settings):
    """Nested mappings of one entry would repeat keys, so they are joined first."""
    tree = {}
    for setting in settings:
        *parents, last = setting.key.split(".")
        node = tree
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = setting.yaml
    yield from _indented(tree, 1)


def _indented(tree, depth):
    for name, value in tree.items():
        if isinstance(value, dict):
            yield f"{'  ' * depth}{name}:\n"
            yield from _indented(value, depth + 1)
        else:
            yield f"{'  ' * depth}{name}: {value}\n"
