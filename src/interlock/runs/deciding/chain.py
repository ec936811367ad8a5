"""From a decision down to what it rests on, as a tree of nodes that were all looked at now.

    tree = chain(home, row, decision)
    tree.broken()           every node that does not hold

decision -> what was tried, reasons, changes, risks -> facts with file and digest; judgement and its gates;
measurements; what the run was made of; and the decisions of the runs that led here. Does not judge or decide again:
`interlock verify` and `interlock decide --replay` do.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from interlock.contracts.card import RunCard
from interlock.contracts.decision import Decision, Statement, Step
from interlock.contracts.verdict import GateResult, Verdict
from interlock.decisions.evidence import render, shown
from interlock.errors import InterlockError
from interlock.provenance.digest import sha256_file
from interlock.registry.archive import read_card
from interlock.registry.decided import DecisionRow, decisions
from interlock.registry.derive import DECISION
from interlock.registry.events import read_events
from interlock.registry.layout import CARD, run_folder
from interlock.registry.queries import archived_run
from interlock.registry.spending import ANSWERS
from interlock.registry.verification.releases import release_id
from interlock.reports.decisions import told_step
from interlock.reports.sections.decided import cost_text, who
from interlock.runs.deciding.checking import Check, check
from interlock.runs.deciding.evidence import ArchivedFiles, Checked
from interlock.runs.deciding.standing import decision_of

State = Literal["ok", "broken", "told"]
"""`told`: nothing to check, or nothing at hand to check it against."""
ANCESTORS_MAX = 100
_JUDGEMENT = "judge/judgement.json#"


@dataclass(frozen=True, kw_only=True)
class Node:
    """One thing, and what it rests on."""

    kind: str
    """`decision`, `tried`, `reason`, `fact`, `change`, `risk`, `judgement`, `gate`, `file`, `run`, `problem` ..."""
    text: str
    """What it says, for people."""
    state: State = "told"
    """Whether it holds now."""
    problem: str = ""
    """Why it does not."""
    about: dict[str, Any] = field(default_factory=dict)
    """The same for scripts: id, value, file, pointer, digest."""
    children: tuple["Node", ...] = ()

    def broken(self) -> Iterator["Node"]:
        """Every node below and this one that does not hold, from the top."""
        if self.state == "broken":
            yield self
        for child in self.children:
            yield from child.broken()

    def as_json(self) -> dict[str, Any]:
        """Nested plain values."""
        below = {"children": [child.as_json() for child in self.children]} if self.children else {}
        return {
            "kind": self.kind,
            "text": self.text,
            "state": self.state,
            "problem": self.problem,
            **self.about,
            **below,
        }


def chain(home: Path, row: DecisionRow, decision: Decision) -> Node:
    """The tree of a decision. Raises ProvenanceError for an event log that cannot be believed."""
    looked = check(home, row, decision)
    facts = {item.evidence.id: item for item in looked.evidence}
    state, problem = _recorded(home, row, decision)
    current = looked.context.current if looked.context else {}
    return Node(
        kind="decision",
        text=f"{decision.action.value.replace('_', ' ')}, by {who(decision)}, confidence {decision.confidence}",
        state=state,
        problem=problem,
        about={
            "decision_id": decision.decision_id, "action": decision.action.value, "policy": decision.policy,
            "agent": decision.agent, "run_id": decision.run_id, "made_at": row.at, "path": f"{row.path}/{DECISION}",
        },
        children=(
            *(_tried(step, looked, run_id=decision.run_id) for step in decision.trail),
            *(_statement("reason", item, decision, facts) for item in decision.reasons),
            *(_change(key, value, current) for key, value in sorted(decision.proposed_overrides.items())),
            *(_statement("risk", item, decision, facts) for item in decision.risks),
            *_elsewhere(looked),
            _release(home, row, decision, looked)
            if decision.kind == "release"
            else _judgement(home, row, decision, looked),
            *_made_of(home, decision.run_id),
            *_ancestors(home, decision, looked),
        ),
    )  # fmt: skip


def _recorded(home: Path, row: DecisionRow, decision: Decision) -> tuple[State, str]:
    """Whether the event log names these bytes."""
    sha256 = sha256_file(home / row.path / DECISION)
    said = [
        event.body for event, _ in read_events(home) if event.kind == "decided" and event.subject == decision.run_id
    ]
    if any(body.get("sha256") == sha256 for body in said):
        return "ok", ""
    if any(body.get("decision_id") == decision.decision_id for body in said):
        return "broken", "the event log recorded other bytes of it"
    return "broken", "no event names it; interlock sync records it if it was interrupted"


def _tried(step: Step, looked: Check, *, run_id: str) -> Node:
    state: State = "told"
    problem = ""
    about: dict[str, Any] = {"model": step.model, "outcome": step.outcome.value, "key": step.key}
    if step.answer_sha256 is not None:
        found = looked.answers.get(step.answer_sha256)
        state, problem = ("ok", "") if found else ("broken", "its recorded answer is missing, or was changed")
        about |= {"answer_sha256": step.answer_sha256, "usage": step.usage.model_dump(mode="json")}
        about["path"] = f"runs/{run_id}/{ANSWERS}/{step.key}"
    cost = f" ({cost_text(step.usage)})" if step.calls else ""
    return Node(kind="tried", text=f"{told_step(step)}{cost}", state=state, problem=problem, about=about)


def _statement(kind: str, statement: Statement, decision: Decision, facts: dict[str, Checked]) -> Node:
    try:
        text, state, problem = render(statement.text, decision.evidence), "told", ""
    except InterlockError as error:
        text, state, problem = statement.text, "broken", error.message
    below = tuple(_fact(facts[name], said=text) for name in statement.evidence if name in facts)
    return Node(kind=kind, text=text, state="broken" if state == "broken" else "told", problem=problem, children=below)


def _fact(item: Checked, *, said: str) -> Node:
    """`said`: the sentence above, which a fact's own words are not repeated below."""
    evidence = item.evidence
    is_told = isinstance(evidence.value, str) and bool(evidence.value) and evidence.value in said
    place, _, digest = evidence.pointer.partition("@sha256:")
    return Node(
        kind="fact",
        text=evidence.id if is_told else f"{evidence.id} = {shown(evidence.value)}",
        state="broken" if item.problem else "ok",
        problem=item.problem,
        about={"id": evidence.id, "value": evidence.value, "pointer": place, "sha256": digest, "path": item.path},
    )


def _change(key: str, value: float, current: dict[str, int | float]) -> Node:
    now = f"{shown(current[key])} → " if key in current else ""
    return Node(kind="change", text=f"{key}  {now}{shown(value)}", about={"key": key, "value": value})


def _elsewhere(looked: Check) -> Iterator[Node]:
    """Problems that belong to no single fact: the context, the guard, the id."""
    own = {f"{item.evidence.id}: {item.problem}" for item in looked.evidence}
    for problem in looked.problems:
        if problem not in own and "recorded answer" not in problem:
            yield Node(kind="problem", text="it does not hold", state="broken", problem=problem)


def _judgement(home: Path, row: DecisionRow, decision: Decision, looked: Check) -> Node:
    files = ArchivedFiles(home, decision.run_id, home / row.path)
    rows, evidence = (looked.context.rows, looked.context.evidence) if looked.context else ((), ())
    folders = sorted((run_folder(home, decision.run_id) / "judgements").glob(f"{decision.judgement_id}*"))
    shown_of = next((item for item in evidence if item.pointer.startswith(_JUDGEMENT)), None)
    found = files.check(shown_of) if shown_of is not None and folders else None
    problem = "the archive has no such judgement" if not folders else found.problem if found is not None else ""
    return Node(
        kind="judgement",
        text=f"{decision.verdict} by {len(rows)} gates" if rows else str(decision.verdict),
        state="broken" if problem else "ok",
        problem=problem,
        about={
            "judgement_id": decision.judgement_id, "verdict": decision.verdict.value,
            **({"path": found.path} if found is not None else {}),
        },
        children=tuple(
            _gate(gate, files) for gate in sorted(rows, key=lambda gate: (gate.verdict is Verdict.PASS, gate.gate))
        ),
    )  # fmt: skip


def _release(home: Path, row: DecisionRow, decision: Decision, looked: Check) -> Node:
    """What stands in place of a judgement: the rows of the executives' reports, each looked at in its report."""
    files, context = ArchivedFiles(home, decision.run_id, home / row.path), looked.context
    rows, evidence = (context.rows, context.evidence) if context else ((), ())
    same = context is not None and release_id(decision.run_id, rows, evidence) == decision.judgement_id
    stands = {item.id: files.check(item) for item in evidence if item.id.endswith(".verdict")}
    return Node(
        kind="judgement",
        text=f"{decision.verdict} by {len(rows)} gates of {len(context.views) if context else 0} executives",
        state="ok" if same else "broken",
        problem="" if same else "it is not what was decided upon",
        about={"judgement_id": decision.judgement_id, "verdict": decision.verdict.value},
        children=tuple(
            _reported(gate, stands.get(f"gate.{gate.gate}.verdict"))
            for gate in sorted(rows, key=lambda gate: (gate.verdict is Verdict.PASS, gate.gate))
        ),
    )


def _reported(row: GateResult, found: Checked | None) -> Node:
    problem = "no report says it" if found is None else found.problem
    place, _, digest = found.evidence.pointer.partition("@sha256:") if found else ("", "", "")
    return Node(
        kind="gate",
        text=f"{row.gate}{' (advice)' if row.severity == 'advise' else ''}: {row.verdict}, {row.reason}",
        state="broken" if problem else "ok",
        problem=problem,
        about={"gate": row.gate, "verdict": row.verdict.value, "pointer": place, "sha256": digest},
    )


def _gate(row: GateResult, files: ArchivedFiles) -> Node:
    advice = " (advice)" if row.severity == "advise" else ""
    place, _, digest = row.evidence.partition("@sha256:")
    state: State = "told" if not row.evidence else "ok" if files.holds(row.evidence) else "broken"
    return Node(
        kind="gate",
        text=f"{row.gate}{advice}: {row.verdict}, {row.reason}",
        state=state,
        problem="the file that it rests on is missing, or was changed" if state == "broken" else "",
        about={"gate": row.gate, "verdict": row.verdict.value, "pointer": place, "sha256": digest},
    )


def _made_of(home: Path, run_id: str) -> Iterator[Node]:
    """The run's own digests: the card against the log, its model files against the card."""
    try:
        card = read_card(home, run_id)
    except InterlockError as error:
        yield Node(kind="run", text=f"run {run_id}", state="broken", problem=error.message)
        return
    path = run_folder(home, run_id) / "models" / CARD
    sha256 = sha256_file(path)
    recorded = any(
        event.kind == "run_archived" and event.subject == run_id and event.body["card_sha256"] == sha256
        for event, _ in read_events(home)
    )
    yield Node(
        kind="run",
        text=f"run {run_id}, lane {card.lane}, seed {card.seed}",
        state="ok" if recorded else "broken",
        problem="" if recorded else "its card is not the one that the event log recorded",
        about={"run_id": run_id, "path": path.relative_to(home).as_posix(), "sha256": sha256},
        children=tuple(_card_nodes(home, card)),
    )


def _card_nodes(home: Path, card: RunCard) -> Iterator[Node]:
    models = run_folder(home, card.run_id) / "models"
    for name in (*card.model_files, *(name for name in card.artifacts if name.endswith("measurements.json"))):
        artifact = {**card.artifacts, **card.observations.artifacts}.get(name)
        path = models / name
        if artifact is None:
            continue
        found = sha256_file(path) if path.is_file() else ""
        problem = "" if found == artifact.sha256 else (f"it is {found[:12]}... now" if found else "it is missing")
        kind = "model" if name in card.model_files else "measured"
        about = {"path": path.relative_to(home).as_posix(), "sha256": artifact.sha256}
        yield Node(kind=kind, text=name, state="broken" if problem else "ok", problem=problem, about=about)
    for kind, text, sha256 in (
        ("data", card.dataset, card.dataset_sha256),
        ("code", card.git_commit or "no commit", card.code_sha256),
        ("settings", "configuration", card.config_sha256),
        ("lock", "locked dependencies", card.lock_sha256),
    ):
        yield Node(kind=kind, text=text, about={"sha256": sha256})


def _ancestors(home: Path, decision: Decision, looked: Check) -> Iterator[Node]:
    """The runs that led here, nearest first, each with the decision that stands."""
    parent = (looked.context.parent_run if looked.context else "") or _parent_of_card(home, decision.run_id)
    seen = {decision.run_id}
    while parent and parent not in seen and len(seen) < ANCESTORS_MAX:
        seen.add(parent)
        node, parent = _ancestor(home, parent)
        yield node


def _ancestor(home: Path, run_id: str) -> tuple[Node, str]:
    """A run before, and the one before that."""
    row = archived_run(home, run_id)
    if row is None or not decisions(home, run_id):
        text = f"run {run_id}: {'nothing was decided upon it' if row else 'this home does not have it'}"
        return Node(kind="led here", text=text, about={"run_id": run_id}), _parent_of_card(home, run_id)
    found, decision = decision_of(home, row)
    looked = check(home, found, decision)
    changes = ", ".join(f"{key}={value}" for key, value in sorted(decision.proposed_overrides.items()))
    action = decision.action.value.replace("_", " ")
    text = f"run {run_id} {decision.verdict} → {action}{' with ' if changes else ''}{changes}, by {who(decision)}"
    first = _statement("reason", decision.reasons[0], decision, {})
    node = Node(
        kind="led here",
        text=text,
        state="broken" if looked.problems else "ok",
        problem="; ".join(looked.problems[:1]),
        about={"run_id": run_id, "decision_id": decision.decision_id, "action": decision.action.value},
        children=(first,),
    )
    return node, (looked.context.parent_run if looked.context else "") or _parent_of_card(home, run_id)


def _parent_of_card(home: Path, run_id: str) -> str:
    try:
        return read_card(home, run_id).parent_run or ""
    except InterlockError:
        return ""
