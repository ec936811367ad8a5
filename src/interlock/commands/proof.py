"""Commands that prove: verify, sign, keygen, statement."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from interlock.commands.screen import print_json, say
from interlock.contracts.verification import HomeVerification, Link, LinkState, Verification
from interlock.errors import ExitCode, ProvenanceError, UsageError
from interlock.provenance.files import write_atomic
from interlock.provenance.signing import configured_key, key_id, load_public, new_key, public_path_of
from interlock.provenance.workspace import interlock_home

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_MARKS: dict[LinkState, tuple[str, str]] = {
    "holds": ("✓", "green"),
    "broken": ("✗", "bold red"),
    "unchecked": ("?", "yellow"),
}
_PLAIN: dict[LinkState, str] = {"holds": "ok", "broken": "BROKEN", "unchecked": "?"}


def verify(workspace: Path, run: str | None, *, every: bool, key: Path | None, as_json: bool) -> ExitCode:
    """Verify one run or all of them. Raises UsageError for a run that nothing knows."""
    from interlock.runs.proof.prove import find_run_id, prove_home, prove_run

    home = interlock_home(workspace)
    if every == (run is not None):
        message = "name one run or say --all, not both" if every else "name one run, or say --all"
        raise UsageError(message, key="run", hint="interlock runs list shows them")
    if run is None and not as_json and _is_empty(home):
        say("no runs yet: dvc repro, then interlock sync")
        return ExitCode.PASS
    if run is None:
        found = prove_home(home, workspace=workspace, public_key=key)
        if as_json:
            print_json({**found.model_dump(mode="json"), "ok": found.ok})
        else:
            _show_home(found)
        return ExitCode.PASS if found.ok else ExitCode.ERROR
    one = prove_run(home, find_run_id(home, run), workspace=workspace, public_key=key)
    if as_json:
        print_json(_as_json(one))
    else:
        _show_run(one)
    return ExitCode.PASS if one.ok else ExitCode.ERROR


def sign(workspace: Path, run: str, key: Path | None) -> ExitCode:
    """Sign one run with the key given, or the configured one."""
    from interlock.runs.proof.prove import find_run_id, sign_run

    home, path = interlock_home(workspace), key or configured_key()
    if path is None:
        raise UsageError(
            "no key to sign with", key="--key", hint="give --key PRIVATE_KEY, or set INTERLOCK_SIGNING_KEY to its path"
        )
    run_id = find_run_id(home, run)
    written, is_new = sign_run(home, run_id, path)
    say(f"run {run_id}: {'signed' if is_new else 'signed already, and nothing has come since'}, {written}")
    return ExitCode.PASS


def keygen(path: Path) -> ExitCode:
    """Make a key pair."""
    keyid = new_key(path)
    public = public_path_of(path)
    say(f"key {keyid[:16]}: {path} signs and stays yours alone; {public} verifies and is for everybody")
    return ExitCode.PASS


def statement(workspace: Path, run: str, *, out: Path | None, envelope: bool, key: Path | None) -> ExitCode:
    """Print or write the in-toto statement of a run, or a signed envelope of it.

    Raises ProvenanceError for a run that does not verify: digests of changed files would pass for its own.
    """
    from interlock.runs.proof.prove import current_statement, find_run_id, prove_run

    home = interlock_home(workspace)
    run_id = find_run_id(home, run)
    if not envelope and (broken := prove_run(home, run_id, workspace=workspace).first_broken):
        raise ProvenanceError(
            f"nothing is stated of it: {broken.name}: {broken.detail}", path=home / broken.path, hint=broken.way_out
        )
    text = _envelope(home, run_id, key) if envelope else f"{current_statement(home, run_id).to_json()}\n"
    if out is None:
        sys.stdout.write(text)
    else:
        write_atomic(out, text)
        say(f"run {run_id}: {'envelope' if envelope else 'statement'} written to {out}")
    return ExitCode.PASS


def _envelope(home: Path, run_id: str, key: Path | None) -> str:
    from interlock.registry.statement import envelope_path, envelopes

    found = envelopes(home, run_id)
    if key is not None:
        wanted = envelope_path(home, run_id, key_id(load_public(key)))
        found = [path for path in found if path == wanted]
    if len(found) == 1:
        return found[0].read_text(encoding="utf-8")
    names = ", ".join(path.name for path in found)
    raise UsageError(
        f"the run has several signatures: {names}" if found else "the run has no such signature",
        key="--signed",
        hint="name one with --key PUBLIC_KEY" if found else "interlock sign RUN --key PRIVATE_KEY",
    )


def _is_empty(home: Path) -> bool:
    """Whether nothing was ever archived here: neither runs, nor a log, nor an index that remembers a log."""
    from interlock.registry.events import logs
    from interlock.registry.index import index_path, rows

    if logs(home) or any((home / "runs").glob("*/models")):
        return False
    return not index_path(home).is_file() or not any(rows(home).values())


def _as_json(found: Verification) -> dict[str, object]:
    first = found.first_broken
    broken = None if first is None else first.model_dump(mode="json")
    return {**found.model_dump(mode="json"), "ok": found.ok, "first_broken": broken}


def _show_run(found: Verification) -> None:
    console = _console()
    console.print(_table(found.links, first=found.first_broken, plain=_is_plain(console)))
    _conclude(console, found)


def _show_home(found: HomeVerification) -> None:
    console = _console()
    first = next((link for link in found.links if link.state == "broken"), None)
    console.print(_table(found.links, first=first, plain=_is_plain(console)))
    if first is not None:
        _explain(console, first)
    for run in found.runs:
        _conclude(console, run)
    _say_unchecked(console, found)
    bad = sum(not run.ok for run in found.runs)
    runs = "1 run" if len(found.runs) == 1 else f"{len(found.runs)} runs"
    say(f"{runs}, {bad} broken" + ("" if first is None else "; the home itself is broken"))


def _table(links: "tuple[Link, ...]", *, first: Link | None, plain: bool) -> "Table":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, show_header=False)
    for wide in (False, False, True):
        table.add_column(overflow="fold", no_wrap=not wide)
    section = ""
    for link in links:
        mark, style = _MARKS[link.state]
        shown = _PLAIN[link.state] if plain else mark
        said = Text(link.name, style=style if link is first else "")
        if link.detail:
            said.append(f": {link.detail}", style=style if link.state != "holds" else "dim")
        table.add_row(Text(shown, style=style), Text("" if link.section == section else link.section, "dim"), said)
        section = link.section
    return table


def _conclude(console: "Console", found: Verification) -> None:
    counts = {state: sum(link.state == state for link in found.links) for state in _MARKS}
    size = f"{found.num_files} files, {found.size_bytes / 1e6:,.1f} MB"
    first = found.first_broken
    if first is None:
        signed = f", signed by {', '.join(keyid[:16] for keyid in found.signed_by)}" if found.signed_by else ""
        open_ = f", {counts['unchecked']} not checked" if counts["unchecked"] else ""
        console.print(f"run {found.run_id}: [bold green]verified[/], {counts['holds']} links{open_}{signed}; {size}")
        return
    console.print(f"run {found.run_id}: [bold red]broken[/], first at:")
    _explain(console, first)


def _say_unchecked(console: "Console", found: HomeVerification) -> None:
    """What was not checked, once for all runs that have it in common; what concerns the home stands in its table."""
    from rich.text import Text

    alike: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for run in found.runs:
        for link in run.unchecked:
            alike.setdefault((link.section, link.detail, link.way_out), []).append((link.name, run.run_id))
    if alike:
        console.print("not checked:")
    for (section, detail, way_out), links in alike.items():
        names, ids = ({item[part] for item in links} for part in (0, 1))
        name = links[0][0] if len(names) == 1 else f"{section}, {len(names)} links"
        where = f"{len(ids)} runs" if len(ids) > 1 else f"run {links[0][1]}"
        console.print(Text(f"  {name}: {detail} ({where})", style="yellow"), soft_wrap=True)
        if way_out:
            console.print(Text(f"    way out: {way_out}"), soft_wrap=True)


def _explain(console: "Console", link: Link) -> None:
    from rich.text import Text

    console.print(Text(f"  {link.name}: {link.detail}", style="red"), soft_wrap=True)
    if link.path:
        console.print(Text(f"  file: {link.path}"), soft_wrap=True)
    if link.way_out:
        console.print(Text(f"  way out: {link.way_out}"), soft_wrap=True)


def _is_plain(console: "Console") -> bool:
    """Whether the marks cannot be written: a terminal of another encoding."""
    return not console.encoding.lower().startswith("utf")


def _console() -> "Console":
    from rich.console import Console

    return Console(highlight=False)
