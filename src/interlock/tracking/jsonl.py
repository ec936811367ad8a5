"""The local twin: a run's tracking folder, in files that any tool reads. Everything else is fed from it.

    <home>/tracking/<run_id>/run.json         what the run is
                            /curves.jsonl     {"step": 10, "train/loss": 1.2, ...}, one line per point
                            /summary.json     results by name
                            /tables/<name>.json  /charts/<name>.json  /alerts/<name>.json  /lineage.json
                            /finished.json    how it ended; missing while it trains, and after a kill

A resumed training goes on in the same file: points at or after the step of its first one are dropped before that is
written, so steps never go back. Secrets are taken out of everything but the curves, which hold numbers alone.
Not for two writers at once: `writing` holds the lock that also tells a mirror whether more is to come.
"""

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import IO, Any

from interlock.contracts.tracking import Alert, Cell, Chart, Lineage, Table, TrackedRun
from interlock.errors import ProvenanceError
from interlock.provenance.canonical import plain, pretty_json
from interlock.provenance.environment import redact
from interlock.provenance.files import write_atomic
from interlock.provenance.locks import exclusive, is_locked

RUN, CURVES, SUMMARY, LINEAGE, FINISHED = "run.json", "curves.jsonl", "summary.json", "lineage.json", "finished.json"
TABLES, CHARTS, ALERTS = "tables", "charts", "alerts"
STEP = "step"
_WRITER = "writer.lock"


def tracking_root(home: Path) -> Path:
    """Where all runs' tracking folders stand."""
    return home / "tracking"


def run_tracking(home: Path, run_id: str) -> Path:
    """A run's tracking folder. Raises ProvenanceError for an id that could leave the root."""
    if not run_id or run_id.startswith(".") or "/" in run_id or "\\" in run_id:
        raise ProvenanceError("not a run id", key="run_id", value=run_id, hint="16 hexadecimal digits")
    return tracking_root(home) / run_id


def writing(folder: Path) -> AbstractContextManager[None]:
    """Hold the right to add curves. Raises BlockingIOError when another process does."""
    return exclusive(folder / _WRITER)


def is_being_written(folder: Path) -> bool:
    """Whether some process still adds curves; a lock of a killed one is free."""
    return is_locked(folder / _WRITER)


class JsonlTracker:
    """Writes one run's folder. Raises OSError as files do; callers decide what that may cost."""

    def __init__(self, folder: Path) -> None:
        """Touches nothing yet."""
        self._folder = folder
        self._file: IO[str] | None = None

    def begin(self, run: TrackedRun) -> None:
        """Write what the run is."""
        self._write(RUN, run)
        (self._folder / FINISHED).unlink(missing_ok=True)

    def curve(self, step: int, values: Mapping[str, float]) -> None:
        """Append a line; it reaches the operating system at once. Values that are not finite are left out."""
        if self._file is None:
            self._file = self._opened(step)
        finite = {name: value for name, value in values.items() if name != STEP and math.isfinite(value)}
        self._file.write(json.dumps({STEP: step, **finite}, ensure_ascii=False) + "\n")
        self._file.flush()

    def summary(self, values: Mapping[str, Cell]) -> None:
        """Write the results."""
        self._write(SUMMARY, dict(values))

    def table(self, table: Table) -> None:
        """Write a table."""
        self._write(f"{TABLES}/{table.name}.json", table)

    def chart(self, chart: Chart) -> None:
        """Write a chart."""
        self._write(f"{CHARTS}/{chart.name}.json", chart)

    def lineage(self, lineage: Lineage) -> None:
        """Write the lineage."""
        self._write(LINEAGE, lineage)

    def alert(self, alert: Alert) -> None:
        """Write an alert."""
        self._write(f"{ALERTS}/{alert.name}.json", alert)

    def finish(self, *, exit_code: int) -> None:
        """Close the curves and say how the run ended."""
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        # Not atomic on purpose: readers look only when the lock is free, and a torn one counts as no good end.
        (self._folder / FINISHED).write_text(json.dumps({"exit_code": exit_code}), encoding="utf-8")

    def close(self) -> None:
        """Close the curves without an end: the run goes on elsewhere."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _opened(self, first_step: int) -> IO[str]:
        """Open the curves for appending, without what a resumed training is about to repeat or a kill tore."""
        path = self._folder / CURVES
        before = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
        kept = "".join(f"{line}\n" for line, step in _whole_lines(before) if step < first_step)
        if kept != before:
            write_atomic(path, kept)
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("a", encoding="utf-8")

    def _write(self, name: str, value: Any) -> None:
        """Write a file unless it says so already: what has not changed is not sent again."""
        text, path = pretty_json(redact(plain(value))), self._folder / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_atomic(path, text)


class CurveReader:
    """Reads new points of a growing `curves.jsonl`, one per step, in order; call it as often as one likes.

    Lines of one step become one point, so the newest step is held back until a later one shows that it is whole.
    """

    def __init__(self, folder: Path, *, after: int = -1) -> None:
        """Skips steps up to `after`."""
        self._path, self._last = folder / CURVES, after
        self._offset, self._inode = 0, -1
        self._held: dict[str, float] = {}
        self._held_step = after

    def points(self, *, ended: bool) -> Iterator[tuple[int, dict[str, float]]]:
        """Points since the last call; with `ended` also the newest, since nothing more can come."""
        for line, step in _whole_lines(self._new_text()):
            if step <= self._last or step < self._held_step:
                continue
            if step > self._held_step:
                yield from self._release()
                self._held_step = step
            self._held |= {name: value for name, value in json.loads(line).items() if name != STEP}
        if ended:
            yield from self._release()

    def _release(self) -> Iterator[tuple[int, dict[str, float]]]:
        if self._held:
            self._last, values, self._held = self._held_step, self._held, {}
            yield self._last, values

    def _new_text(self) -> str:
        """Whole lines that were added; everything again when a resumed training replaced the file."""
        try:
            with self._path.open("rb") as file:
                inode = os.fstat(file.fileno()).st_ino
                if inode != self._inode:
                    self._offset, self._inode = 0, inode
                    self._held, self._held_step = {}, self._last
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return ""
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        return whole.decode("utf-8", errors="replace")


def _whole_lines(text: str) -> Iterator[tuple[str, int]]:
    """Lines that are points, with their steps. A line torn by a kill is left out; it is repeated by the resumption."""
    for line in text.splitlines():
        try:
            values = json.loads(line)
        except ValueError:
            continue
        step = values.get(STEP) if isinstance(values, dict) else None
        if isinstance(step, int) and not isinstance(step, bool):
            yield line, step
