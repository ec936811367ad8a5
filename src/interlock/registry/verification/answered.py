"""Recorded answers of language models: each is one, was paid for as the log says, and is where decisions cite it.

Also the journal of decisions: its chain, and that it says of each decision what the archive says. Whether a decision
follows from its evidence needs policies (`interlock.runs.deciding.checking`).
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from interlock.contracts.decision import DECIDED_UPON, Decision, DecisionContext, Step
from interlock.contracts.verification import Link
from interlock.errors import RegistryError
from interlock.provenance import chain
from interlock.provenance.canonical import canonical_json, plain, sha256_json
from interlock.registry.derive import DECISION
from interlock.registry.events import Line
from interlock.registry.spending import ANSWERS, QUESTION, Recorded, answer_files, read_answer, spent_body
from interlock.registry.verification.archived import Archived
from interlock.registry.verification.findings import SYNC, Findings, shown
from interlock.registry.verification.logs import Logs
from interlock.registry.verification.releases import CONTEXT

JOURNAL = Path("registry") / "decisions.jsonl"
_JOURNALLED = ("run_id", "judgement_id", "agent", "verdict", "action", "policy", "person")
"""What the journal must say as the decision does; the rest of a line follows from the trail."""


def check_answers(archived: Archived, logs: Logs) -> list[Link]:
    """Every recorded answer, and the events that say what it cost; both ways."""
    findings = Findings(section="answers", home=archived.home)
    found = _answers(archived, findings)
    for key in sorted({item.answer.key for item in found.values()}):
        _check_question(archived, key, findings)
    said = [line for line in logs.of_run(archived.run_id) if line.event.kind == "spent"]
    lost = [line for line in said if line.event.body.get("answer_sha256") not in found]
    changed = {line.event.body.get("key") for line in lost}
    for item in found.values():
        _check_spent(item, said, archived, logs, findings, is_changed=item.answer.key in changed)
    ours = logs.of_copy(archived.run_id, archived.card_sha256)
    for line in lost:
        link = f"{logs.place(line)} -> {ANSWERS}/{shown(line.event.body.get('key'))}"
        if line in ours:
            detail = "the archive has no such answer"
            findings.broken(link, detail, path=archived.folder / ANSWERS)
        else:
            findings.unchecked(link, "another home says so of its own copy of the run")
    return findings.links


def check_cited(archived: Archived) -> list[Link]:
    """What each decision was shown, and the answers that its trail names."""
    findings = Findings(section="decisions", home=archived.home)
    digests = {name: item.sha256 for name, item in archived.files.items() if name.startswith(f"{ANSWERS}/")}
    for entry in archived.entries("decisions"):
        folder = archived.folder / "decisions" / entry
        try:
            decision = Decision.model_validate_json((folder / DECISION).read_bytes())
        except (OSError, ValueError):
            continue  # told with the event that names it
        _check_context(decision, folder, f"decisions/{shown(entry)}", findings)
        for step in _steps(decision):
            _check_step(step, digests, f"decisions/{shown(entry)}", findings, folder)
    return findings.links


def check_journal(archived: Archived, logs: Logs) -> list[Link]:
    """The journal's chain, and what it says of this run's decisions: of all that this home's own log names."""
    findings = Findings(section="decisions", home=archived.home)
    path, name = archived.home / JOURNAL, JOURNAL.as_posix()
    broken = chain.verify(path)
    if broken is not None:
        findings.broken(f"{name} line {broken.number}", broken.reason, path=path, way_out="restore it from a backup")
        return findings.links
    lines = {line.payload.get("decision_id"): line.payload for line in chain.read_chain(path)}
    if lines:
        findings.holds(f"{name}: the chain", f"{len(lines)} decisions", path=path)
    own = [line.event for line in logs.of_run(archived.run_id) if line.writer == logs.own]
    decided_here = {event.body.get("decision_id") for event in own if event.kind == "decided"}
    for entry in archived.entries("decisions"):
        try:
            decision = Decision.model_validate_json((archived.folder / "decisions" / entry / DECISION).read_bytes())
        except (OSError, ValueError):
            continue
        line = lines.get(decision.decision_id)
        if line is not None or decision.decision_id in decided_here:
            _check_line(decision, line, f"{name} -> decisions/{shown(entry)}", path, findings)
    return findings.links


def _answers(archived: Archived, findings: Findings) -> dict[str, Recorded]:
    found: dict[str, Recorded] = {}
    for path in answer_files(archived.folder):
        name = path.relative_to(archived.folder).as_posix()
        try:
            item = read_answer(path)
        except RegistryError as error:
            findings.failed(name, error)
            continue
        if item.answer.key != path.parent.name:
            findings.broken(name, f"it answers the question {shown(item.answer.key)}", path=path)
        found[item.sha256] = item
    return found


def _check_question(archived: Archived, key: str, findings: Findings) -> None:
    """What was asked proves itself: its canonical digest is its key."""
    path, name = archived.folder / ANSWERS / key / QUESTION, f"{ANSWERS}/{shown(key)}/{QUESTION}"
    try:
        asked = json.loads(path.read_bytes())
    except FileNotFoundError:
        findings.unchecked(name, "what was asked is not kept", path=path)
        return
    except (OSError, ValueError, RecursionError) as error:
        findings.broken(name, f"it cannot be read: {error}", path=path)
        return
    findings.agree(f"{name} -> key", key, sha256_json(asked), says="its folder", path=path)


def _check_spent(
    item: Recorded, said: Iterable[Line], archived: Archived, logs: Logs, findings: Findings, *, is_changed: bool
) -> None:
    """`is_changed`: the log paid for other bytes under the same question, and those are gone."""
    name = "/".join(shown(part) for part in item.path.relative_to(archived.folder).parts)
    line = next((line for line in said if line.event.body.get("answer_sha256") == item.sha256), None)
    if line is None and is_changed:
        findings.broken(f"event log -> {name}", "it is not the answer that the log recorded", path=item.path)
    elif line is None and item.answer.usage.calls:
        findings.broken(f"event log -> {name}", "no event says what it cost", path=item.path, way_out=SYNC)
    elif line is None:
        findings.holds(name, f"{item.answer.outcome}, nothing was sent", path=item.path)
    elif canonical_json(line.event.body) != canonical_json(spent_body(item)):
        findings.broken(f"{logs.place(line)} -> {name}", "the event says that it cost something else", path=item.path)
    else:
        usage = item.answer.usage
        detail = f"{item.answer.model} {item.answer.outcome}, {usage.tokens} tokens, {usage.usd:.6g} USD"
        findings.holds(f"{logs.place(line)} -> {name}", detail, path=item.path)


def _check_context(decision: Decision, folder: Path, name: str, findings: Findings) -> None:
    path, link = folder / CONTEXT, f"{name} -> {CONTEXT}"
    if not path.is_file():
        findings.unchecked(link, "it keeps no context: what it was shown is not known", path=path)
        return
    try:
        context = DecisionContext.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        problem = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error.strerror)
        findings.broken(link, f"it is not valid: {problem}", path=path)
        return
    other = [field for field in DECIDED_UPON if getattr(context, field) != getattr(decision, field)]
    facts = set(context.evidence)
    foreign = [item.id for item in decision.evidence if item not in facts]
    if other:
        findings.broken(link, f"{', '.join(other)} is another one than the decision says", path=path)
    elif foreign:
        findings.broken(link, f"the decision cites {', '.join(foreign)}, which it was not shown", path=path)
    else:
        findings.holds(link, f"{len(decision.evidence)} of {len(facts)} facts cited", path=path)


def _steps(decision: Decision) -> list[Step]:
    return [step for step in decision.trail if step.answer_sha256 is not None]


def _check_step(step: Step, digests: Mapping[str, str], name: str, findings: Findings, folder: Path) -> None:
    inside = f"{ANSWERS}/{step.key}/"
    place = next(
        (file for file, sha256 in digests.items() if file.startswith(inside) and sha256 == step.answer_sha256), None
    )
    link = f"{name} -> {ANSWERS}/{shown(step.key)}"
    if place is None:
        detail = f"the archive has no answer with sha256 {shown(step.answer_sha256)}"
        findings.broken(link, detail, path=folder / DECISION)
    else:
        findings.holds(link, f"{place.rpartition('/')[2]}, {step.outcome}")


def _check_line(decision: Decision, line: Any, link: str, path: Path, findings: Findings) -> None:
    if line is None:
        findings.unchecked(link, "the journal has no line of it", path=path, way_out="interlock sync writes it")
        return
    stated = {field: line.get(field) for field in _JOURNALLED}
    found = {field: plain(getattr(decision, field)) for field in _JOURNALLED}
    if stated != found:
        other = next(field for field in _JOURNALLED if stated[field] != found[field])
        detail = f"{other} is {shown(found[other])}, the journal says {shown(stated[other])}"
        findings.broken(link, detail, path=path)
    else:
        findings.holds(link, decision.action.value, path=path)
