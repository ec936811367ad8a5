"""`interlock drives`: list drives, show the path of one, and the exit code that a path stands for.

Reads what drives wrote down. Driving is `interlock.commands.drive`; nothing of what runs a lane is loaded here.
"""

import sys
from pathlib import Path

from interlock.commands import drive_screen as screen
from interlock.commands.screen import print_json
from interlock.contracts.drive import DrivePath, DriveState
from interlock.contracts.verdict import EXIT_CODES, Verdict
from interlock.errors import ExitCode, ProvenanceError
from interlock.provenance.canonical import plain
from interlock.provenance.workspace import interlock_home
from interlock.runs.drive.folder import find_drive, list_drives
from interlock.runs.drive.states import ENDED


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
        print(f"ERROR: {problem}", file=sys.stderr)
    return ExitCode.ERROR if problems else ExitCode.PASS


def show(workspace: Path, text: str, *, as_json: bool) -> None:
    """The path of one drive. Raises UsageError."""
    folder = find_drive(interlock_home(workspace), text)
    path = folder.read()
    if as_json:
        print_json(_json(path, is_driven=folder.is_driven))
        return
    screen.show_path(path, is_driven=folder.is_driven)


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
