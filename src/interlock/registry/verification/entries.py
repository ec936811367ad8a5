"""The registry's entries of a run against its archive, both ways: nothing named that is gone, nothing kept unnamed."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from interlock.contracts.verification import Link
from interlock.errors import InterlockError
from interlock.provenance.canonical import canonical_json
from interlock.registry.derive import (
    DECISION,
    DECISIONS,
    JUDGEMENT,
    JUDGEMENTS,
    run_proposals,
    statement_proposal,
)
from interlock.registry.events import Line, Proposal
from interlock.registry.kept import COMPLETE_BY, SUPERSEDED, kept_digests, kept_names
from interlock.registry.layout import CARD
from interlock.registry.verification.archived import Archived
from interlock.registry.verification.findings import SYNC, Findings, shown, shown_path
from interlock.registry.verification.logs import Logs

_STATEMENTS = ((JUDGEMENTS, JUDGEMENT, "judged"), (DECISIONS, DECISION, "decided"))


def check_entry(archived: Archived, logs: Logs) -> list[Link]:
    """From the registry's events to the card and the model that they name."""
    findings = Findings(section="run card", home=archived.home)
    card = archived.card
    if card is None:
        return findings.links
    path = archived.folder / "models" / CARD
    lines = logs.of_run(archived.run_id)
    ours = logs.of_copy(archived.run_id, archived.card_sha256)
    try:
        proposals = run_proposals(archived.home, archived.run_id)
    except InterlockError as error:
        findings.failed("run card", error)
        return findings.links
    for proposal in proposals:
        _check_proposal(proposal, lines, logs, findings, path)
    if card.export == "skipped" and (named := _last(ours, "model_registered")):
        detail = "a model is registered, the card says that its export was skipped"
        findings.broken(f"{logs.place(named)} -> run card", detail, path=path)
    return findings.links


def _check_proposal(proposal: Proposal, lines: Iterable[Line], logs: Logs, findings: Findings, path: Path) -> None:
    what = "run card" if proposal.kind == "run_archived" else "model"
    told = [line for line in lines if line.event.kind == proposal.kind]
    same = [line for line in told if not _differing(line.event.body, proposal.body)]
    line = _last(same or told, proposal.kind)
    if line is None:
        findings.broken(f"event log -> {what}", f"no event says {proposal.kind} of this run", path=path, way_out=SYNC)
        return
    name = f"{logs.place(line)} -> {what}"
    if line.event.subject != proposal.subject:
        findings.broken(name, f"it is called {proposal.subject}, the event says {line.event.subject}", path=path)
    elif differing := _differing(line.event.body, proposal.body):
        key = "card_sha256" if "card_sha256" in differing else differing[0]
        stated, found = shown(line.event.body.get(key)), shown(proposal.body.get(key))
        findings.broken(name, f"{key} is {found}, the event says {stated}", path=path)
    else:
        findings.holds(name, proposal.subject if what == "model" else "", path=path)


def check_statements(archived: Archived, logs: Logs, kind: str) -> list[Link]:
    """Judgements or decisions of the run against the events that name them."""
    (_, main, event_kind) = next(item for item in _STATEMENTS if item[0] == kind)
    findings = Findings(section="judgements" if kind == JUDGEMENTS else "decisions", home=archived.home)
    lines = [line for line in logs.of_run(archived.run_id) if line.event.kind == event_kind]
    ours = logs.of_copy(archived.run_id, archived.card_sha256)
    backed: set[str] = set()
    for folder in sorted(path.parent for path in (archived.folder / kind).glob(f"*/{main}")):
        name = f"{kind}/{shown(folder.name)}"
        try:
            proposal = statement_proposal(archived.run_id, folder, main)
        except InterlockError as error:
            findings.failed(name, error)
            continue
        naming = [line for line in lines if not _differing(_unsourced(line.event.body), _unsourced(proposal.body))]
        backed |= {line.sha256 for line in naming}
        if naming:
            said = proposal.body.get("verdict") or proposal.body.get("action")
            findings.holds(f"{logs.place(naming[-1])} -> {name}", str(said))
        else:
            _say_unnamed(name, proposal, lines, logs, findings, folder / main)
    for line in lines:
        link = f"{logs.place(line)} -> {kind}"
        if line.sha256 not in backed and line not in ours:
            findings.unchecked(link, "another home says so of its own copy of the run")
        elif line.sha256 not in backed and not findings.has_broken:
            detail = "the archive has none that says what the event says"
            findings.broken(link, detail, path=archived.folder / kind)
    return findings.links


def _say_unnamed(
    name: str, proposal: Proposal, lines: Iterable[Line], logs: Logs, findings: Findings, path: Path
) -> None:
    key = "judgement_id" if proposal.kind == "judged" else "decision_id"
    line = next((line for line in lines if line.event.body.get(key) == proposal.body[key]), None)
    if line is None:
        findings.broken(f"event log -> {name}", "no event names it", path=path, way_out=SYNC)
        return
    differing = _differing(_unsourced(line.event.body), _unsourced(proposal.body))[-1]
    stated, found = shown(line.event.body.get(differing)), shown(proposal.body.get(differing))
    findings.broken(f"{logs.place(line)} -> {name}", f"{differing} is {found}, the event says {stated}", path=path)


def check_kept(archived: Archived, logs: Logs, kind: str) -> list[Link]:
    """Files of one growing folder against the digests that the log remembers: changed, missing, and unnamed."""
    section = kind if kind in ("judgements", "answers", "decisions") else "attempts"
    findings = Findings(section=section, home=archived.home)  # type: ignore[arg-type]
    lines, ours = logs.of_run(archived.run_id), logs.of_copy(archived.run_id, archived.card_sha256)
    stated = {name: digests for name, digests in _named(lines).items() if _kind(name) == kind}
    needed = {name for name in _named(ours) if _kind(name) == kind}
    listed = {f"models/{name}" for name in archived.card.artifacts} if archived.card else set()
    found = {name: item.sha256 for name, item in archived.files.items() if _kind(name) == kind and name not in listed}
    bad = [name for name in sorted({*needed, *found}) if found.get(name) not in stated.get(name, ())]
    for name in bad:
        _say_kept(archived, name, stated.get(name), findings)
    if found and not bad:
        findings.holds(f"event log -> {kind}/", f"{len(found)} files", path=archived.folder / kind)
    return findings.links


def _named(lines: Iterable[Line]) -> dict[str, tuple[str, ...]]:
    return kept_digests(line.event for line in lines)


def _say_kept(archived: Archived, name: str, stated: tuple[str, ...] | None, findings: Findings) -> None:
    path, link, found = archived.folder / name, f"event log -> {shown_path(name)}", archived.sha256(name)
    if found is None:
        findings.broken(link, "the file is missing", path=path)
    elif stated is not None:
        findings.broken(link, f"sha256 is {shown(found)}, the log says {shown(stated[0])}", path=path)
    elif name not in kept_names(archived.folder):
        findings.unchecked(link, "it belongs to an entry that is not whole yet", path=path, way_out=SYNC)
    else:
        findings.broken(link, "no event names this file", path=path, way_out=SYNC)


def check_places(archived: Archived) -> list[Link]:
    """Whatever stands in the run's folder and belongs to no part of it."""
    findings = Findings(section="files", home=archived.home)
    places = {name.partition("/")[:2] for name in archived.files}
    for first, slash in sorted(places):
        if not slash:
            detail = "no part of a run has such a file"
            findings.broken(f"runs/ -> {first}", detail, path=archived.folder / first, way_out="remove the file")
        elif first not in ("models", "signatures", *COMPLETE_BY):
            findings.unchecked(f"runs/ -> {first}/", "no digests of these files are kept", path=archived.folder / first)
    return findings.links


def _kind(name: str) -> str:
    """Growing folder that a file belongs to; a superseded record of `models/` counts to the revisions."""
    return "revisions" if name == SUPERSEDED else name.partition("/")[0]


def _last(lines: Iterable[Line], kind: str) -> Line | None:
    return next((line for line in reversed(list(lines)) if line.event.kind == kind), None)


def _differing(stated: dict[str, Any], found: dict[str, Any]) -> list[str]:
    keys = sorted({*stated, *found})
    return [key for key in keys if canonical_json(stated.get(key)) != canonical_json(found.get(key))]


def _unsourced(body: dict[str, Any]) -> dict[str, Any]:
    """Without who asked for it: the pipeline and a person may come to the same judgement."""
    return {key: value for key, value in body.items() if key != "source"}
