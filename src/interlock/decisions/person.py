"""A person's choice as a policy: the same set of actions, the same bounds, the same rule that numbers are cited.

    Person("dir_models", PersonsChoice(by="Ada", action=Action.RETRAIN, reason="...", overrides={...})).decide(context)
    Person("dir_models", None)          waits: NoDecisionError

Does not waive: that is an event of its own, with an end, in `interlock.registry.waiving`.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from shlex import quote
from typing import Literal

from interlock.contracts.answer import Outcome
from interlock.contracts.decision import Action, Decision, DecisionContext, Number, Statement, Step
from interlock.decisions.actions import PERSON, guard
from interlock.decisions.evidence import shown
from interlock.decisions.policy import by_person, decided_upon, decision_id, no_decision
from interlock.errors import DecisionError, ExitCode, Fault, UsageError
from interlock.provenance.canonical import sha256_json
from interlock.registry.persons import person, words

_CITED = re.compile(r"\{([^\s{}]+)\}")
_SHOWN_MAX = 12


@dataclass(frozen=True, kw_only=True)
class PersonsChoice:
    """What a person says."""

    by: str
    """Their name; an agent's is refused."""
    action: Action
    reason: str
    """Why, in words; a number is cited as `{gate.r_at_5.observed}`."""
    overrides: Mapping[str, Number] = field(default_factory=dict)
    """New values by configuration key, with `retrain`."""
    confidence: Literal["low", "medium", "high"] = "high"


class Person:
    """Decides what a person said, or waits for one."""

    def __init__(self, agent: str, choice: PersonsChoice | None, *, agents: Collection[str] = ()) -> None:
        """`agent` is whose decision it is; none of `agents` is a person."""
        self._agent, self._choice, self._agents = agent, choice, agents

    def decide(self, context: DecisionContext) -> Decision:
        """The person's decision.

        Raises NoDecisionError while nobody has said anything, UsageError for an agent's name, empty words or a waiver,
        DecisionError (exit code 2) naming everything that steps outside the context.
        """
        if self._choice is None:
            raise self._waiting(context)
        if self._choice.action is Action.WAIVE:
            raise UsageError(
                "a waiver is not decided but signed, and it ends",
                key="--action",
                value="waive",
                hint=f"interlock waive {context.run_id} --by {quote(self._choice.by)} "
                f"--reason {quote(self._choice.reason)}",
            )
        return _decision(context, self._choice, by=person("--as", self._choice.by, self._agents))

    def _waiting(self, context: DecisionContext) -> DecisionError:
        told = "a person is asked, and has not answered yet"
        step = Step(agent=self._agent, policy=PERSON, outcome=Outcome.WAITING, told=told)
        return no_decision([step], subject=f"the decision of {self._agent}", hint=by_person(context))


def _decision(context: DecisionContext, choice: PersonsChoice, *, by: str) -> Decision:
    text = words("--reason", choice.reason)
    cited = tuple(dict.fromkeys(_CITED.findall(text))) or _default_evidence(context)
    said = {"by": by, "action": choice.action, "reason": text, "overrides": dict(choice.overrides)}
    decision = Decision.model_construct(
        **decided_upon(context),
        decision_id=decision_id(context, policy=PERSON, answers=(sha256_json(said),)),
        action=choice.action,
        reasons=(Statement(text=text, evidence=cited),),
        proposed_overrides=dict(choice.overrides),
        confidence=choice.confidence,
        policy=PERSON,
        person=by,
        evidence=tuple(item for item in context.evidence if item.id in cited),
    )
    try:
        guard(decision, context)
    except DecisionError as error:
        faults = tuple(replace(fault, key=_typed(fault.key)) for fault in error.faults)
        refused = DecisionError(faults, subject=f"what {by} decided", hint=_way_out(faults, context))
        refused.exit_code = ExitCode.USAGE  # it was typed so
        raise refused from error
    return Decision.model_validate(decision.model_dump())


def _default_evidence(context: DecisionContext) -> tuple[str, ...]:
    """Words that cite nothing rest on the verdict, or on the first fact there is."""
    ids = [item.id for item in context.evidence]
    return ("verdict",) if "verdict" in ids else tuple(ids[:1])


def _typed(key: str) -> str:
    """A fault's key as the option that it came from; a key of the search space stays."""
    return {"action": "--action", "proposed_overrides": "--set"}.get(key, "--reason" if "reasons" in key else key)


def _way_out(faults: Sequence[Fault], context: DecisionContext) -> str:
    """For the first fault, for that is what a person mends first."""
    if faults[0].key == "--action":
        return "choose one of these; a verdict changes only with its gate: change that in conf/ and judge again"
    if faults[0].key != "--reason":
        space = sorted(context.search_space.items())
        keys = [f"{name} {shown(item.low)} .. {shown(item.high)}" for name, item in space]
        return f"--action retrain --set KEY=VALUE, inside the search space: {', '.join(keys) or 'which is empty'}"
    facts = sorted(context.evidence, key=lambda item: (not item.id.startswith("gate."), item.id))
    ids = [f"{{{item.id}}}" for item in facts if isinstance(item.value, int | float)]
    named = ", ".join(ids[:_SHOWN_MAX]) + (" ..." if len(ids) > _SHOWN_MAX else "")
    return f"numbers come from the evidence, so cite them by name: {named}" if ids else "write it without numbers"
