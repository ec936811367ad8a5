"""The same decision again: from the context that it was shown and the recorded answers that it cites.

    replayed = replay(home, row, decision)
    replayed.same, replayed.differences

No network, no key, no configuration: what the policy was made of stands in the decision's folder. The same bytes must
come out. A prompt that a later version of Interlock words otherwise is another question, which nobody has answered:
that is an error and no difference. Does not look at evidence (`interlock.runs.deciding.checking`).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interlock.contracts.decision import Decision
from interlock.decisions import policies
from interlock.decisions.actions import PERSON
from interlock.decisions.answers import Answers, Replaying
from interlock.decisions.person import Person, PersonsChoice
from interlock.decisions.policy import Policy
from interlock.errors import Fault, NotRecordedError, ProvenanceError
from interlock.provenance.canonical import pretty_json
from interlock.registry.decided import DecisionRow
from interlock.registry.derive import DECISION
from interlock.registry.layout import run_folder
from interlock.registry.spending import ANSWERS
from interlock.reports.decisions import CONTEXT
from interlock.runs.deciding.configured import read_policy
from interlock.runs.deciding.recording import POLICY_FILE
from interlock.runs.deciding.standing import read_context

_RECORD = "record.json"
_SHOWN_MAX = 5


@dataclass(frozen=True, kw_only=True)
class Replayed:
    """What came of it."""

    decision: Decision
    """The decision that was made again."""
    answers: int
    """Recorded answers that it rests on."""
    differences: tuple[str, ...]
    """Where its bytes differ from the recorded ones, by key; empty where they are the same."""

    @property
    def same(self) -> bool:
        """Whether every byte is the same."""
        return not self.differences


def replay(home: Path, row: DecisionRow, decision: Decision) -> Replayed:
    """Decide once more.

    Raises ProvenanceError where context, policy or a cited answer is missing or was changed, NotRecordedError where
    this version asks other words than were answered.
    """
    folder = home / row.path
    context = read_context(folder)
    if context is None:
        raise ProvenanceError(
            "it keeps no context, so it cannot be made again",
            path=folder / CONTEXT,
            hint=f"an older version made it; decide again: interlock decide {decision.run_id[:8]}",
        )
    cited = {step.key: step.answer_sha256 for step in decision.trail if step.key and step.answer_sha256}
    answers = Answers(run_folder(home, decision.run_id) / ANSWERS)
    again = _policy(folder, decision, Replaying(answers, cited)).decide(context)
    _require_answered(again, decision)
    recorded = (folder / DECISION).read_text(encoding="utf-8")
    text = pretty_json(again)
    differences = () if text == recorded else tuple(_differences(json.loads(recorded), json.loads(text))) or ("layout",)
    return Replayed(decision=again, answers=len(cited), differences=differences[:_SHOWN_MAX])


def _require_answered(again: Decision, recorded: Decision) -> None:
    """Raise NotRecordedError where a question was put that the recorded decision does not know."""
    known = {step.key for step in recorded.trail}
    for step in again.trail:
        if step.key is not None and step.key not in known:
            fault = Fault(key=step.model, problem="is asked in other words than it answered", has_value=False)
            raise NotRecordedError(
                [fault],
                subject="the replay",
                hint="replay it with the version of Interlock that made it, or ask again: "
                f"interlock decide {recorded.run_id[:8]}",
            )


def _policy(folder: Path, decision: Decision, asker: Replaying) -> Policy:
    if decision.policy == PERSON:
        return Person(decision.agent, _said(decision))
    agents, llm = read_policy(_values(folder), source=folder)
    return policies.build(decision.agent, agents, llm, asker)


def _said(decision: Decision) -> PersonsChoice:
    """What the person said, from what it became."""
    return PersonsChoice(
        by=decision.person,
        action=decision.action,
        reason=decision.reasons[0].text,
        overrides=decision.proposed_overrides,
        confidence=decision.confidence,
    )


def _values(folder: Path) -> dict[str, Any]:
    """Agents and models: kept beside a decision of `interlock decide`, and in the record of one of the pipeline."""
    for name in (POLICY_FILE, _RECORD):
        if (folder / name).is_file():
            values = json.loads((folder / name).read_text(encoding="utf-8"))
            found: dict[str, Any] = values.get("params", values)
            return found
    raise ProvenanceError(
        "nothing says which policy decided", path=folder / POLICY_FILE, hint="restore the file from a backup"
    )


def _differences(recorded: Any, made: Any, key: str = "") -> Iterator[str]:
    """Keys under which two documents differ, with both values."""
    if isinstance(recorded, dict) and isinstance(made, dict):
        for name in sorted({*recorded, *made}):
            yield from _differences(recorded.get(name), made.get(name), f"{key}.{name}" if key else name)
    elif isinstance(recorded, list) and isinstance(made, list) and len(recorded) == len(made):
        for index, (one, other) in enumerate(zip(recorded, made, strict=True)):
            yield from _differences(one, other, f"{key}[{index}]")
    elif recorded != made:
        yield f"{key}: recorded {_short(recorded)}, made again {_short(made)}"


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:77]}..."
