"""Jobs on the terminal: one job with its managers as a table, live where somebody watches, and the list of all jobs."""

import re
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from interlock.commands.screen import size
from interlock.contracts.heartbeat import Heartbeat
from interlock.contracts.verdict import Verdict
from interlock.errors import InterlockError
from interlock.runs.jobs.folder import JobFolder
from interlock.runs.jobs.states import ENDED, JobState
from interlock.runs.jobs.view import JobView, ManagerView, job_view

if TYPE_CHECKING:
    from rich.console import Console, Group
    from rich.table import Table
    from rich.text import Text

REFRESH_S = 0.5
_STATES = {
    JobState.SUBMITTED: "cyan",
    JobState.WAITING: "yellow",
    JobState.RUNNING: "cyan",
    JobState.COMPLETED: "green",
    JobState.FAILED: "red",
    JobState.ESCALATED: "magenta",
    JobState.CANCELLED: "dim",
}
_MANAGERS = {
    "done": ("✔", "green"),
    "skipped": ("○", "dim"),
    "running": ("▶", "cyan"),
    "waiting": ("·", "dim"),
    "lost": ("✖", "red"),
    "failed": ("✖", "red"),
    "stopped": ("■", "yellow"),
}
_BAR = 12


def show_job(view: JobView, *, now: float) -> None:
    """Print one job. `now` is in seconds since 1970."""
    console = _console()
    console.print(job_page(view, now=now, width=console.width))


def show_jobs(views: Sequence[JobView], *, now: float) -> None:
    """Print all jobs, the newest first."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if not views:
        _console().print("no jobs yet; interlock job submit examples/cards/query_tower.yaml is a first one")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in ("job", "state", "lane", "run", "verdict", "work", "last news"):
        table.add_column(name, no_wrap=name != "work")
    for view in sorted(views, key=lambda view: -view.submitted_at):
        state = Text(_said(view), style=_STATES[view.state])
        now_at = next((item.work for item in view.managers if item.state == "running"), "")
        ago = f"{_span(now - view.changed_at)} ago"
        table.add_row(view.id, state, view.lane, view.run_id or "", _verdict(view.verdict), now_at, Text(ago, "dim"))
    _console().print(table)


@contextmanager
def shown_live(job: JobFolder, workspace: Path) -> Iterator[None]:
    """Show the job while the block runs, redrawn twice a second."""
    import time

    from rich.live import Live

    console, ends = _console(), threading.Event()
    with Live(console=console, auto_refresh=False, transient=True) as live:

        def draw() -> None:
            while not ends.is_set():
                with suppress(InterlockError, OSError):  # a record that is being written is read next time
                    view = job_view(job, workspace)
                    live.update(job_page(view, now=time.time(), width=console.width), refresh=True)
                ends.wait(REFRESH_S)

        painter = threading.Thread(target=draw, name="job table", daemon=True)
        painter.start()
        try:
            yield
        finally:
            ends.set()
            painter.join()


def job_page(view: JobView, *, now: float, width: int) -> "Group":
    """A job as a page for a terminal of `width` columns."""
    from rich.console import Group
    from rich.text import Text

    parts: list[Any] = [_head(view, now), _table(view, now, width)]
    for item in view.managers:
        if item.reason and item.state in ("failed", "skipped", "lost"):
            parts.append(Text(f"{item.agent} {item.state}: {item.reason.splitlines()[0][:300]}", style="dim"))
    for wait in view.waits:
        parts.append(Text(f"waiting: {wait}", style="yellow"))
    if view.problem:
        parts.append(Text(view.problem, style="red"))
    if view.lost_workers:
        said = "1 worker was lost" if view.lost_workers == 1 else f"{view.lost_workers} workers were lost"
        parts.append(Text(f"{said}; its successor resumes from the last state", style="yellow"))
    if view.state in ENDED and view.report:
        parts.append(Text(f"lane report: interlock job report {view.id}", style="dim"))
    elif view.state is JobState.RUNNING and not view.has_runner:
        parts.append(Text("nobody is at work on it: submit the same card again to go on", style="yellow"))
    return Group(*parts)


def _head(view: JobView, now: float) -> "Text":
    from rich.text import Text

    head = Text(view.id, style="bold")
    head.append(f"  {_said(view)}", style=f"bold {_STATES[view.state]}")
    head.append(f"  lane {view.lane}", style="default")
    if view.run_id:
        head.append(f"  run {view.run_id}", style="default")
    if view.verdict:
        head.append("  ").append(_verdict(view.verdict))
    end = view.changed_at if view.state in ENDED else now
    head.append(f"  {_span(end - view.submitted_at)}", style="dim")
    return head


def _said(view: JobView) -> str:
    return "interrupted" if view.state is JobState.RUNNING and not view.has_runner else view.state.value


def _table(view: JobView, now: float, width: int) -> "Table":
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    wide = width >= 110
    columns = ["manager", *(["work"] if wide else []), "state", "progress", "loss", "left"]
    columns += ["cpu", "memory", "heard"] if wide else []
    for name in columns:
        table.add_column(name, justify="right" if name in ("loss", "left", "cpu", "memory", "heard") else "left",
                         no_wrap=name != "work")  # fmt: skip
    for item in view.managers:
        mark, style = _MANAGERS[item.state]
        again = f" ({item.attempts} attempts)" if item.attempts > len(item.stages) else ""
        state = Text(f"{mark} {item.state}{again}", style=style)
        progress, loss, left = _progress(item, has_bar=wide)
        row: list[Any] = [item.agent, *([_short(item.work)] if wide else []), state, progress, loss, left]
        table.add_row(*row, *(_use(item, view.heartbeat_s, now) if wide else ()))
    return table


def _short(work: str) -> str:
    """`Model export (safetensors, ONNX)` without what stands in brackets; numbers there stay."""
    return re.sub(r" \((?![0-9])[^)]*\)", "", work)


def _progress(item: ManagerView, *, has_bar: bool) -> tuple["Text", str, str]:
    """Progress, loss and time left; of a stage that has ended its last numbers without a bar."""
    from rich.text import Text

    beat = item.heartbeat
    if beat is None or item.state in ("waiting", "skipped"):
        return Text(""), "", ""
    is_running = item.state == "running"
    text = Text()
    if has_bar and is_running and beat.steps and (beat.step or 0) < beat.steps:
        done = round(_BAR * (beat.step or 0) / beat.steps)
        text.append("━" * done, style="cyan").append("━" * (_BAR - done), style="bright_black").append(" ")
    if beat.epoch is not None:
        text.append(f"epoch {beat.epoch}" + (f"/{beat.epochs}" if beat.epochs else "") + "  ")
    if beat.step is not None:
        text.append(f"step {beat.step:,}" + (f"/{beat.steps:,}" if beat.steps else ""))
    left = _span(beat.time_remaining_s) if is_running and beat.time_remaining_s is not None else ""
    return text, "" if beat.loss is None else f"{beat.loss:.4g}", left


def _use(item: ManagerView, every_s: float, now: float) -> tuple["Text", "Text", "Text"]:
    """Processor, memory and how long ago it was heard; late ones in yellow."""
    from rich.text import Text

    beat = item.heartbeat
    if beat is None or item.state != "running":
        return Text(""), Text(""), Text("")
    age_s = max(0.0, now - beat.timestamp)
    late = "yellow" if age_s > 2 * every_s else "dim"
    return _processor(beat), Text(_memory(beat)), Text(f"{_span(age_s)} ago", style=late)


def _processor(beat: Heartbeat) -> "Text":
    from rich.text import Text

    parts = [f"{beat.cpu_percent:.0f} %"] if beat.cpu_percent is not None else []
    parts += [f"gpu {beat.gpu_percent:.0f} %"] if beat.gpu_percent is not None else []
    return Text("  ".join(parts))


def _memory(beat: Heartbeat) -> str:
    parts = [size(beat.memory_bytes)] if beat.memory_bytes else []
    parts += [f"gpu {size(beat.gpu_memory_bytes)}"] if beat.gpu_memory_bytes else []
    return "  ".join(parts)


def _verdict(verdict: str | None) -> "Text":
    from rich.text import Text

    from interlock.reports.verdicts import STYLES

    return Text(verdict, style=f"bold {STYLES[Verdict(verdict)]}") if verdict else Text("")


def _span(seconds: float) -> str:
    """A duration for people: `0.4 s`, `12 s`, `1:02:03`."""
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return str(timedelta(seconds=round(seconds))).removeprefix("0:").removeprefix("0")


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False)
