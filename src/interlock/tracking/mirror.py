"""The process that talks to W&B: `python -m interlock.tracking.mirror HOME RUN_ID MODE SETTINGS [--follow]`.

Started by `interlock.tracking.launch` with no terminal, in a session of its own. It reads a run's local files, sends
what the destination does not have, and notes what it has when W&B has taken it. With `--follow` it stays while the
training writes curves. A timer that every bit of progress sets back ends the process when W&B hangs, also inside
foreign code; whoever comes next goes on from what was noted. Exit codes: 0 done, 1 not done, 75 another one is at it.
"""

import json
import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from pydantic import TypeAdapter

from interlock.contracts.tracking import Sent, WandbMode, WandbTracking
from interlock.provenance.digest import sha256_file
from interlock.provenance.files import inside
from interlock.provenance.locks import exclusive
from interlock.tracking.jsonl import CURVES, FINISHED, RUN, CurveReader, is_being_written, run_tracking
from interlock.tracking.replay import pending, read_run, read_state, replay, write_sent
from interlock.tracking.wandb_mode import destination, wandb_root, without_secrets
from interlock.tracking.wandb_run import WandbTracker

POLL_S = 1.0
"""How often a live mirror looks for new points."""
DONE, NOT_DONE, BUSY = 0, 1, 75
_LOCK = "mirror.lock"
_LOCK_STEP_S = 0.1
_ERROR_MAX_CHARS = 1000


class Mirror:
    """Brings one destination of one run up to date; the caller holds the mirror's lock."""

    def __init__(self, home: Path, folder: Path, *, settings: WandbTracking, mode: WandbMode) -> None:
        """Reads what the destination has."""
        self._home, self._folder, self._settings, self._mode = home, folder, settings, mode
        self._destination = destination(settings, mode, os.environ)
        self._sent = read_state(folder).destinations.get(self._destination, Sent())

    def complete(self) -> None:
        """Send everything that is pending."""
        wanted = pending(self._folder, self._sent)
        if not wanted:
            return
        with self._open() as tracker:
            replay(self._folder, tracker, list(wanted), after=self._sent.last_step, progressed=self.progressed)
        self._note(tracker, {name: digest for name, digest in wanted.items() if name != CURVES})

    def follow(self) -> None:
        """Send the curves while they grow; ends when nobody writes them any more."""
        run_digest = sha256_file(self._folder / RUN)
        with self._open() as tracker:
            reader, growing = CurveReader(self._folder, after=tracker.last_step), True
            while growing:
                growing = is_being_written(self._folder)  # asked before reading, so that no last point is missed
                ended = not growing and (self._folder / FINISHED).is_file()
                for step, values in reader.points(ended=ended):
                    tracker.curve(step, values)
                self.progressed()
                time.sleep(POLL_S if growing else 0.0)
        self._note(tracker, {RUN: run_digest})

    def failed(self, error: Exception) -> None:
        """Note why it did not work."""
        said = without_secrets(f"{type(error).__name__}: {error}")[:_ERROR_MAX_CHARS]
        self._keep(self._sent.model_copy(update={"error": said}))

    def progressed(self) -> None:
        """Set the timer back that ends this process; nothing in it handles the signal, so nothing can hold it up."""
        signal.setitimer(signal.ITIMER_REAL, self._settings.timeout_s)

    @contextmanager
    def _open(self) -> Iterator[WandbTracker]:
        self._discard_torn()
        self._keep(self._sent.model_copy(update={"error": ""}))
        tracker = WandbTracker(self._settings, self._mode, home=self._home, last_step=self._sent.last_step)
        tracker.begin(read_run(self._folder))
        if self._mode == "offline":
            self._keep(self._sent.model_copy(update={"begun": tracker.where}))
        self.progressed()
        yield tracker
        tracker.finish(exit_code=self._exit_code())

    def _discard_torn(self) -> None:
        """An offline run that a kill cut short is written again as a whole, and does not stay beside the whole one."""
        if self._sent.begun:
            name = Path(self._sent.begun).name
            for torn in wandb_root(self._home).glob(f"runs/**/{name}"):
                shutil.rmtree(inside(wandb_root(self._home), str(torn)), ignore_errors=True)

    def _note(self, tracker: WandbTracker, files: dict[str, str]) -> None:
        known = {**self._sent.files, **files}
        self._keep(Sent(files=known, last_step=tracker.last_step, where=tracker.where))

    def _keep(self, sent: Sent) -> None:
        self._sent = sent
        write_sent(self._folder, self._destination, sent)

    def _exit_code(self) -> int:
        """How the run ended; a training that vanished without a word did not end well."""
        try:
            return int(json.loads((self._folder / FINISHED).read_bytes())["exit_code"])
        except (OSError, ValueError, KeyError):
            return NOT_DONE


def main(home: str, run_id: str, asked: str, settings: str, *flags: str) -> int:
    """Run the mirror; returns the exit code."""
    mode: WandbMode = TypeAdapter(WandbMode).validate_python(asked)
    chosen = WandbTracking.model_validate_json(settings)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, chosen.timeout_s)
    folder = run_tracking(Path(home), run_id)
    try:
        with _one_at_a_time(folder, patience_s=0.0 if flags else chosen.timeout_s / 2):
            mirror = Mirror(Path(home), folder, settings=chosen, mode=mode)
            try:
                mirror.follow() if "--follow" in flags else mirror.complete()
            except Exception as error:  # whatever W&B raises: it is written down, and nobody waits for more
                mirror.failed(error)
                print(without_secrets(repr(error)), file=sys.stderr)
                return NOT_DONE
    except BlockingIOError:
        return BUSY
    return DONE


@contextmanager
def _one_at_a_time(folder: Path, *, patience_s: float) -> Iterator[None]:
    """One writer per run. A live mirror that is just closing its run is waited for."""
    deadline = time.monotonic() + patience_s
    with ExitStack() as stack:
        while True:
            try:
                stack.enter_context(exclusive(folder / _LOCK))
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise
                time.sleep(_LOCK_STEP_S)
        yield


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
