"""Drives on the terminal: a line for each attempt while one runs, the path as a table, the list of all drives."""

import shlex
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from interlock.commands.screen import say
from interlock.contracts.drive import DrivenAttempt, DrivePath, DriveState
from interlock.contracts.verdict import Verdict
from interlock.reports.driven import (
    GATES_MAX,
    change_texts,
    gate_text,
    shown_gates,
    state_text,
    usage_text,
    worst_gate,
)
from interlock.runs.drive.states import DriveEvent

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    from interlock.runs.drive.begin import Opened
    from interlock.runs.drive.following import Next

WIDE = 130
"""Columns from which run ids are shown whole."""
_SHORT_DIGITS = 8
_WIDE_ONLY = frozenset({"lane", "last run", "updated"})
"""Columns of the list that a narrow terminal does without, so that the command can be read."""
_REASONS_MAX = 2
_STATES = {
    DriveState.ACCEPTED: "green",
    DriveState.WAITING: "magenta",
    DriveState.STOPPED: "yellow",
    DriveState.FAILED: "red",
}
_FOLLOWS = {
    DriveEvent.ACCEPTED: "accept",
    DriveEvent.REPAIR: "repair: evaluate, export and judge again",
    DriveEvent.STOPPED: "stop",
    DriveEvent.ASKED: "ask a person",
}


def say_opened(path: DrivePath, opened: "Opened") -> None:
    """How the drive was found."""
    record = path.record
    said = {
        "begun": f"drive {record.id}: lane {record.lane}, at most {_count(path.attempts_max)}",
        "goes_on": f"drive {record.id}: goes on, {state_text(path, is_driven=True)}",
        "begun_anew": f"drive {record.id}: code, data or environment changed since, so it begins anew; "
        "what still fits is used again",
    }[opened.how]
    say(said)
    if opened.before and opened.changed:
        named = ", ".join(opened.changed[:GATES_MAX]) + (" and more" if len(opened.changed) > GATES_MAX else "")
        say(f"  not drive {opened.before}, which the same words began: {named} changed in conf/")
    sys.stdout.flush()


def say_step(path: DrivePath, following: "Next") -> None:
    """One line for an attempt that was decided upon: what it gave, and what follows."""
    attempt = path.attempts[-1]
    assert attempt.decision
    worst = worst_gate(attempt)
    gate = f" ({gate_text(worst)})" if worst is not None else ""
    line = f"attempt {attempt.attempt} of {path.attempts_max}: run {attempt.run_id} {attempt.verdict}{gate}; "
    line += f"{attempt.decision.policy}: {attempt.decision.action.replace('_', ' ')}"
    if following.event is DriveEvent.RETRAIN:
        line += f", {'; '.join(change_texts(following.changes))}"
    elif _FOLLOWS.get(following.event, "") not in line:
        line += f" -> {_FOLLOWS[following.event]}"
    say(line)
    sys.stdout.flush()


def say_note(text: str) -> None:
    """Anything else that a person should hear of at once."""
    say(f"  {text}")
    sys.stdout.flush()


def show_path(path: DrivePath, *, is_driven: bool = False) -> None:
    """The path as a table, why it ended, and what to type next."""
    from rich.text import Text

    console = _console()
    if path.attempts:
        console.print(path_table(path, width=console.width))
    console.print(_end(path, is_driven=is_driven))
    for line in next_lines(path):
        console.print(Text(line, style="dim" if line.startswith("spent") else ""), soft_wrap=True)


def path_table(path: DrivePath, *, width: int) -> "Table":
    """Attempts from the first to the last, for a terminal of `width` columns."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, ratio in (("", None), ("run", None), ("verdict", None), ("changed", 3), ("gates", 3), ("decision", 5)):
        table.add_column(name, no_wrap=ratio is None, ratio=ratio, overflow="fold")
    for attempt in path.attempts:
        run = attempt.run_id or "-"
        table.add_row(
            str(attempt.attempt),
            run if width >= WIDE else run[:_SHORT_DIGITS],
            _verdict(attempt.verdict),
            Text("\n".join(change_texts(attempt.changes)) or "as asked"),
            Text("\n".join(gate_text(gate) for gate in shown_gates(attempt))),
            _decisions(attempt),
        )
    return table


def next_lines(path: DrivePath) -> list[str]:
    """Spend, why it ended as it did, what a person may do next."""
    spent = usage_text(path.usage)
    lines = [f"spent: {path.compute_hours * 3600:.1f} s of stages{f'; {spent}' if spent else ''}"]
    last = next((item for item in reversed(path.attempts) if item.run_id), None)
    if path.state is DriveState.WAITING and path.asked_run and last is not None:
        again = shlex.join(("interlock", "drive", *path.record.command))
        lines += [
            f"next: interlock approve {path.asked_run} --for more_attempts --attempts {path.attempts_max + 1} "
            '--by NAME --reason "..."',
            f'  or: interlock decide {last.run_id} --as NAME --action retrain --set KEY=VALUE --reason "..."',
            f"then: {again}   (the same command again)",
            f" why: interlock why {last.run_id}",
        ]
    elif path.state is DriveState.ACCEPTED and last is not None:
        lines += [f"next: interlock why {last.run_id}", f"      interlock report {last.run_id}"]
    elif path.way_out:
        lines.append(f"next: {path.way_out}")
    return lines


def show_drives(found: Sequence[tuple[DrivePath, bool]]) -> None:
    """One line per drive; the flag says whether a process is at work on it."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    if not found:
        say("no drives yet: interlock drive lane=NAME max_attempts=4")
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    console = _console()
    names = ("drive", "lane", "attempts", "state", "last run", "verdict", "updated", "command")
    shown = [name for name in names if console.width >= WIDE or name not in _WIDE_ONLY]
    for name in shown:
        justify: Literal["right", "left"] = "right" if name == "attempts" else "left"
        table.add_column(name, no_wrap=name != "command", overflow="fold", justify=justify)
    for path, is_driven in found:
        last = path.attempts[-1] if path.attempts else None
        judged = sum(item.verdict is not None for item in path.attempts)
        cells: tuple[Text | str, ...] = (
            path.record.id,
            path.record.lane,
            f"{judged} of {path.attempts_max}",
            Text(state_text(path, is_driven=is_driven), style=_STATES.get(path.state, "cyan")),
            (last.run_id or "-")[:_SHORT_DIGITS] if last else "-",
            _verdict(last.verdict if last else None),
            path.updated_at[:16].replace("T", " "),
            Text(" ".join(path.record.command) or "(no words)"),
        )
        table.add_row(*(cell for name, cell in zip(names, cells, strict=True) if name in shown))
    console.print(table)


def _decisions(attempt: DrivenAttempt) -> "Text":
    """What was decided, by whom and why; every decision where there were several."""
    from rich.text import Text

    text = Text()
    for number, decision in enumerate(attempt.decisions):
        if number:
            text.append("\nthen " if not attempt.is_repaired else "\nrepaired, then ")
        asked = f" ({', '.join(decision.models)})" if decision.models and decision.policy == "llm" else ""
        text.append(decision.action.replace("_", " "), style="bold").append(f" by {decision.policy}{asked}")
        if decision.usage.calls:
            text.append(f", {usage_text(decision.usage)}")
        for reason in decision.reasons[:_REASONS_MAX]:
            text.append(f"\n{reason}", style="dim")
        for told in decision.told[:_REASONS_MAX]:
            text.append(f"\nnot taken: {told}", style="yellow")
    return text


def _end(path: DrivePath, *, is_driven: bool) -> "Text":
    from rich.text import Text

    text = Text(f"drive {path.record.id} ")
    text.append(state_text(path, is_driven=is_driven), style=f"bold {_STATES.get(path.state, 'cyan')}")
    if path.why:
        text.append(f": {path.why}")
    return text


def _count(number: int) -> str:
    return "1 attempt" if number == 1 else f"{number} attempts"


def _verdict(verdict: Verdict | None) -> "Text":
    from rich.text import Text

    from interlock.reports.verdicts import STYLES

    return Text(verdict.value, style=f"bold {STYLES[verdict]}") if verdict else Text("-")


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False)
