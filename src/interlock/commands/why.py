"""`interlock why`: the chain from a decision to what it rests on, as a tree; exit code 1 where a link does not hold."""

from pathlib import Path
from typing import TYPE_CHECKING

from interlock.commands.screen import print_json
from interlock.errors import ExitCode
from interlock.provenance.workspace import interlock_home
from interlock.reports.verdicts import STYLES

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text
    from rich.tree import Tree

    from interlock.contracts.decision import Decision
    from interlock.runs.deciding.chain import Node

_MARKS = {"ok": ("✓", "green"), "broken": ("✗", "bold red"), "told": ("·", "dim")}
_PLAIN = {"ok": "ok", "broken": "BROKEN", "told": "-"}
_TITLES = {"tried": "tried", "reason": "why", "change": "change", "risk": "risk", "led here": "led here"}
"""Kinds that are named in front of what they say; the others speak for themselves."""
_DIGITS = 12
_NAMED = frozenset({"judgement", "model", "measured", "data", "code", "settings", "lock"})


def why(workspace: Path, run: str, *, decision: str, as_json: bool) -> ExitCode:
    """Show the chain. Raises UsageError for no such run and for one that nothing was decided upon."""
    from interlock.registry.queries import find_run
    from interlock.runs.deciding.chain import chain
    from interlock.runs.deciding.standing import decision_of

    home = interlock_home(workspace)
    row, found = decision_of(home, find_run(home, run), decision)
    tree = chain(home, row, found)
    broken = list(tree.broken())
    if as_json:
        print_json({"ok": not broken, "tree": tree.as_json()})
    else:
        _show(tree, found, broken)
    return ExitCode.ERROR if broken else ExitCode.PASS


def _show(tree: "Node", decision: "Decision", broken: "list[Node]") -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    verdict = decision.verdict
    head = Text.assemble(
        (decision.lane, "bold"), f"  run {decision.run_id}  ", (str(verdict), f"bold {STYLES[verdict]}")
    )
    console.print(head.append(f"  decision {decision.decision_id[:_DIGITS]}"), soft_wrap=True)
    console.print(_branch(tree, console))
    links = _count(tree)
    if not broken:
        console.print(f"[bold green]every link holds[/]: {links} looked at now")
        return
    console.print(f"[bold red]{len(broken)} of {links} links broken[/], first at:")
    console.print(Text(f"  {broken[0].text}: {broken[0].problem}", style="red"), soft_wrap=True)
    path = broken[0].about.get("path")
    if path:
        console.print(Text(f"  file: {path}"), soft_wrap=True)
    console.print(Text(f"  way out: interlock verify {decision.run_id[:8]} names what was changed; restore it from a "
                       "backup or with interlock pull"), soft_wrap=True)  # fmt: skip


def _branch(node: "Node", console: "Console") -> "Tree":
    from rich.tree import Tree

    is_plain = not console.encoding.lower().startswith("utf")
    root = Tree(_line(node, is_plain), guide_style="dim", highlight=False)
    for child in node.children:
        _grow(root, child, is_plain)
    return root


def _grow(parent: "Tree", node: "Node", is_plain: bool) -> None:
    branch = parent.add(_line(node, is_plain))
    for child in node.children:
        _grow(branch, child, is_plain)


def _line(node: "Node", is_plain: bool) -> "Text":
    from rich.text import Text

    mark, style = _MARKS[node.state]
    said = Text(f"{_PLAIN[node.state] if is_plain else mark} ", style=style)
    if node.kind in _TITLES or node.kind in _NAMED:
        said.append(f"{_TITLES.get(node.kind, node.kind)}  ", style="dim")
    said.append(node.text, style="bold" if node.kind == "decision" else "red" if node.state == "broken" else "")
    place = node.about.get("pointer") if node.kind in ("fact", "gate") else ""
    if place:
        said.append(f"  {place}", style="dim")
    if node.about.get("sha256"):
        said.append(f"  {node.about['sha256'][:_DIGITS]}", style="dim cyan")
    if node.problem:
        said.append(f"  {node.problem}", style="bold red")
    return said


def _count(node: "Node") -> int:
    """Nodes that were checked."""
    return (node.state != "told") + sum(_count(child) for child in node.children)
