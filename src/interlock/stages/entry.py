"""How a stage script ends: one clear message and a documented exit code, whatever happened."""

import argparse
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

from interlock.contracts.stage import StageName
from interlock.errors import ExitCode, InterlockError
from interlock.stages.declared import require_declared_code
from interlock.stages.place import Place
from interlock.stages.progress import terminal_progress, tracked


def stage_main(stage: StageName, run: Callable[..., object], *, workspace: Path) -> int:
    """Run a stage, as DVC does, for the lane named on the command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("lane", help="name of the lane, as in params.yaml")
    lane = parser.parse_args().lane
    place = Place.of_workspace(workspace, lane)

    def action() -> None:
        require_declared_code(stage, place)
        with tracked(place, terminal_progress()) as progress:
            run(place, progress=progress)

    return guarded(action)


def guarded(action: Callable[[], object]) -> int:
    """Run `action`, print errors as sentences, and return the exit code. SIGTERM counts as an interruption."""
    signal.signal(signal.SIGTERM, interrupt)
    try:
        action()
    except InterlockError as error:
        print(f"ERROR: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("interrupted: finished stages are kept, the next run resumes", file=sys.stderr)
        return ExitCode.INTERRUPTED
    except OSError as error:
        print(f"ERROR: {explained(error)}", file=sys.stderr)
        return ExitCode.ERROR
    return ExitCode.PASS


def interrupt(number: int, frame: FrameType | None) -> None:
    """Signal handler: end as Ctrl-C does, so that states are saved and attempts closed."""
    raise KeyboardInterrupt


def explained(error: OSError) -> str:
    """One sentence with the file's name and the way out."""
    where = error.filename or "a file"
    name = os.strerror(error.errno) if error.errno else str(error)
    hint = "free space or make the folder writable, then run again; nothing half-written is used"
    return f"{where}: {name}\n  way out: {hint}"
