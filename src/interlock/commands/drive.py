"""`interlock drive` and `interlock drives`: compose, drive, show the path.

Everything after `drive` is one composition's Hydra overrides. The screen is drawn by `interlock.commands.drive_screen`.
"""

import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from interlock.commands import drive_screen as screen
from interlock.commands.running import prepared_place, require_writable, shown
from interlock.commands.screen import print_json, say
from interlock.config.compose import compose_lane, parse
from interlock.config.inputs import as_planned, lanes_needed
from interlock.config.params import composed_text
from interlock.config.validate import validate
from interlock.contracts.drive import DrivePath, DriveState
from interlock.contracts.verdict import EXIT_CODES, Verdict
from interlock.errors import BusyError, ExitCode, ProvenanceError, UsageError
from interlock.provenance.canonical import plain
from interlock.provenance.workspace import interlock_home
from interlock.runs.deciding.configured import of_experiment
from interlock.runs.drive.attempt import Compose, Composed
from interlock.runs.drive.begin import drive_of, open_drive
from interlock.runs.drive.driver import Driver
from interlock.runs.drive.folder import DriveFolder, find_drive, list_drives
from interlock.runs.drive.states import ENDED
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


def exit_code(path: DrivePath) -> ExitCode:
    """0 for an accepted run, else the code of the error or of the last verdict.

    A run that passed and was not accepted is undecided: nobody may read its drive as a pass.
    """
    if path.state is DriveState.ACCEPTED:
        return ExitCode.PASS
    if path.exit_code is not None:
        return ExitCode(path.exit_code)
    verdicts = [attempt.verdict for attempt in path.attempts if attempt.verdict is not None]
    if not verdicts:
        return ExitCode.ERROR
    return ExitCode.INCONCLUSIVE if verdicts[-1] is Verdict.PASS else EXIT_CODES[verdicts[-1]]


def list_all(workspace: Path, *, as_json: bool) -> ExitCode:
    """One line per drive, the newest first; one that was changed afterwards is named on stderr: exit code 1."""
    found: list[tuple[DrivePath, bool]] = []
    problems: list[ProvenanceError] = []
    for folder in list_drives(interlock_home(workspace)):
        try:
            found.append((folder.read(), folder.is_driven))
        except ProvenanceError as error:
            problems.append(error)
    if as_json:
        print_json([_json(path, is_driven=is_driven) for path, is_driven in found])
    else:
        screen.show_drives(found)
    for problem in problems:
        shown(problem)
    return ExitCode.ERROR if problems else ExitCode.PASS


def show(workspace: Path, text: str, *, as_json: bool) -> None:
    """The path of one drive. Raises UsageError."""
    folder = find_drive(interlock_home(workspace), text)
    path = folder.read()
    if as_json:
        print_json(_json(path, is_driven=folder.is_driven))
        return
    screen.show_path(path, is_driven=folder.is_driven)


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


def _json(path: DrivePath, *, is_driven: bool) -> dict[str, object]:
    """A drive for scripts: its path without the configuration, and what it spent."""
    values = path.model_dump(mode="json", exclude={"record": {"asked"}})
    return {
        **values,
        "is_driven": is_driven,
        "usage": plain(path.usage),
        "compute_hours": round(path.compute_hours, 6),
        "exit_code": int(exit_code(path)) if path.state in ENDED else None,
    }
