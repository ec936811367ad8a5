"""A guard around whatever proposes: what stays inside the context is taken, everything else goes to the fallback.

    Guard(LanguagePolicy(...), Rules()).decide(context)
    Guard(Quorum(...), Rules(), withheld=MOVES_FORWARD).decide(context)

It only narrows: a proposal is taken as it is or not at all, the fallback's own decision is held to the same bounds, and
`withheld` takes actions away from the fallback alone. An error of a replay without its recorded answer passes through:
whoever replays wants the same decision and not another one.
"""

from collections.abc import Collection

from pydantic import JsonValue, ValidationError

from interlock.contracts.answer import Outcome
from interlock.contracts.decision import Action, Decision, DecisionContext, Statement, Step
from interlock.decisions.actions import guard
from interlock.decisions.policy import Policy, answers_of, by_person, decision_id, no_decision, told_of
from interlock.errors import DecisionError, NoDecisionError, NotRecordedError

SAID = {
    Outcome.MALFORMED: "an answer that is no JSON",
    Outcome.SCHEMA: "an answer of another form",
    Outcome.GUARD: "a proposal outside of what is allowed",
    Outcome.REFUSED: "a refusal to answer",
    Outcome.EMPTY: "an empty answer",
    Outcome.TRUNCATED: "an answer that was cut off",
    Outcome.TOO_LARGE: "an answer that is too large",
    Outcome.TIMEOUT: "no answer in time",
    Outcome.RATE_LIMITED: "a rate limit",
    Outcome.SERVER_ERROR: "a failure of the server",
    Outcome.REJECTED: "a call that the provider does not accept",
    Outcome.UNREACHABLE: "a server out of reach",
    Outcome.NO_KEY: "no API key",
    Outcome.OVER_BUDGET: "no budget for a call",
    Outcome.OVER_WINDOW: "a context larger than the model's window",
    Outcome.NOT_RECORDED: "no recorded answer",
    Outcome.WAITING: "a person who has not answered yet",
    Outcome.NOT_HEARD: "a member without a vote",
}
"""How a step that gave no decision is told in a sentence without numerals. A model that is not configured is no news:
then rules decide, as they always did."""


class Guard:
    """A policy inside another one's bounds."""

    def __init__(self, proposal: Policy, fallback: Policy, *, withheld: Collection[Action] = ()) -> None:
        """`withheld`: actions that the fallback may not choose, e.g. GO where a quorum was to vote on it."""
        self._proposal, self._fallback, self._withheld = proposal, fallback, frozenset(withheld)

    def decide(self, context: DecisionContext) -> Decision:
        """The proposal if it holds, else the fallback's decision with all that was tried.

        Raises NoDecisionError where the fallback cannot decide either, NotRecordedError for a replay that lacks an
        answer.
        """
        taken, trail = _attempt(self._proposal, context)
        return taken if taken is not None else self._fall_back(context, trail)

    def _fall_back(self, context: DecisionContext, trail: tuple[Step, ...]) -> Decision:
        allowed = tuple(action for action in context.allowed if action not in self._withheld)
        decided, tried = _attempt(self._fallback, context.model_copy(update={"allowed": allowed}))
        if decided is None:
            subject = f"the decision of {context.agent}"
            raise no_decision((*trail, *tried), subject=subject, hint=by_person(context))
        trail = (*trail, *decided.trail)
        identity = decision_id(context, policy=decided.policy, answers=answers_of(trail))
        reasons = (*decided.reasons, *_told(decided, trail))
        final = decided.model_copy(update={"trail": trail, "reasons": reasons, "decision_id": identity})
        return guard(final, context)


def _attempt(policy: Policy, context: DecisionContext) -> tuple[Decision | None, tuple[Step, ...]]:
    """A decision that holds, or else everything that was tried. Raises NotRecordedError."""
    proposed: Decision | None = None
    try:
        proposed = policy.decide(context)
        return guard(proposed, context), ()
    except NotRecordedError:
        raise
    except NoDecisionError as error:
        return None, tuple(error.trail)
    except (DecisionError, ValidationError) as error:
        return None, (*(proposed.trail if proposed else ()), _refused(context, proposed, error))


def _told(decided: Decision, trail: tuple[Step, ...]) -> tuple[Statement, ...]:
    """The sentence that says who decides and why; it rests on what the decision rests on anyway."""
    failed = dict.fromkeys(SAID[step.outcome] for step in trail if step.outcome in SAID)
    if not failed:
        return ()
    text = f"the {decided.policy} decided, for nothing else held: {', '.join(failed)}"
    return (Statement(text=text, evidence=decided.reasons[0].evidence[:1]),)


def _refused(context: DecisionContext, proposed: Decision | None, error: DecisionError | ValidationError) -> Step:
    told = told_of(error) if isinstance(error, DecisionError) else told_of([item["msg"] for item in error.errors()])
    proposal = None if proposed is None else _proposal(proposed)
    outcome = Outcome.GUARD if isinstance(error, DecisionError) else Outcome.SCHEMA
    policy = proposed.policy if proposed else "unknown"
    return Step(agent=context.agent, policy=policy, outcome=outcome, told=told, proposal=proposal)


def _proposal(decision: Decision) -> dict[str, JsonValue]:
    said: dict[str, JsonValue] = decision.model_dump(
        mode="json", include={"action", "reasons", "proposed_overrides", "risks", "confidence"}
    )
    return {key: value for key, value in said.items() if value}
