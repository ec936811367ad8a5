"""`interlock drive`: compose, drive, show the path.

Everything after `drive` is one composition's Hydra overrides. The screen is drawn by `interlock.commands.drive_screen`;
looking at drives is `interlock.commands.drives`, which loads nothing that runs one.
"""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from interlock.commands import drive_screen as screen
from interlock.commands.drives import exit_code
from interlock.commands.running import prepared_place, require_writable, shown
from interlock.commands.screen import say
from interlock.config.compose import compose_lane, parse
from interlock.config.inputs import as_planned, lanes_needed
from interlock.config.params import composed_text
from interlock.config.validate import validate
from interlock.errors import BusyError, ExitCode, UsageError
from interlock.provenance.canonical import plain
from interlock.provenance.workspace import interlock_home
from interlock.runs.deciding.configured import of_experiment
from interlock.runs.drive.attempt import Compose, Composed
from interlock.runs.drive.begin import drive_of, open_drive
from interlock.runs.drive.driver import Driver
from interlock.runs.drive.folder import DriveFolder
from interlock.runs.runner import WAIT_S
from interlock.stages.entry import interrupt
from interlock.stages.progress import terminal_progress

_FLAGS = {
    ("-m", "--multirun"): "a drive chooses its runs itself; a sweep is interlock run -m KEY=A,B",
    ("-c", "--cfg", "--info", "-i"): "interlock run --cfg job prints the configuration",
}


def drive(workspace: Path, argv: Sequence[str]) -> ExitCode:
    """Begin a drive or go on with it; returns its exit code. Raises UsageError, ConfigError before anything runs."""
    overrides = _overrides(argv)
    compose = composer(workspace, overrides)
    home = interlock_home(workspace)
    require_writable(home, home, setting="INTERLOCK_HOME")
    composed = compose(())
    folder = drive_of(home, composed)
    signal.signal(signal.SIGTERM, interrupt)
    with _alone(folder):
        opened = open_drive(folder, composed, command=overrides, workspace=workspace)
        screen.say_opened(folder.read(), opened)
        driver = Driver(
            folder=folder, workspace=workspace, compose=compose, tell=screen.say_step, note=screen.say_note,
            progress=terminal_progress(),
        )  # fmt: skip
        path = driver.run()
    screen.show_path(path)
    if driver.error is not None:
        shown(driver.error)
    return exit_code(path)


def composer(workspace: Path, overrides: Sequence[str]) -> Compose:
    """Composes what was asked for, with further overrides behind it. Raises ConfigError."""

    def compose(extra: Sequence[str]) -> Composed:
        composition = compose_lane(workspace / "conf", [*overrides, *extra])
        lane = composition.lane
        experiment = validate(composition, subject=f"lane {lane}")
        needs = {
            name: prepared_place(workspace, other, as_planned(workspace / "conf", other))
            for name, other in lanes_needed(experiment.lane.inputs).items()
        }
        return Composed(
            lane=lane,
            text=composed_text(experiment),
            config=plain(experiment),
            needs=needs,
            configured=of_experiment(experiment),
        )

    return compose


def _overrides(argv: Sequence[str]) -> tuple[str, ...]:
    """The overrides of one composition. Raises UsageError for flags, sweeps and other words."""
    for text in argv:
        if text.startswith("-"):
            name = text.split("=", 1)[0]
            hint = next((hint for names, hint in _FLAGS.items() if name in names), "interlock drive KEY=VALUE ...")
            raise UsageError("is a flag, and a drive takes overrides alone", key=text, hint=hint)
        if "=" not in text and not text.startswith("~"):
            raise UsageError("is not KEY=VALUE", key=text, hint=f"write {text}=VALUE, or leave it out")
        if parse(text).is_sweep_override():
            raise UsageError(
                "is a sweep of several runs, and a drive begins with one", key=text,
                hint="give one value; the decisions choose the next ones inside lane.search_space",
            )  # fmt: skip
    return tuple(argv)


@contextmanager
def _alone(folder: DriveFolder) -> Iterator[None]:
    """Be the drive's only driver; where another process is, say so and wait for it."""
    with ExitStack() as stack:
        try:
            stack.enter_context(folder.driving())
        except BusyError as error:
            say(f"drive {folder.id}: {error.message}; waiting for it")
            sys.stdout.flush()
            stack.enter_context(folder.driving(wait_s=WAIT_S))
        yield
