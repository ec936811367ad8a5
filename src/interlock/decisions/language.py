"""A language model as a policy: ask one model after the other until a proposal holds.

    LanguagePolicy("dir_models", agent, models, asker=asker).decide(context)

An answer is checked here whoever gave it, and a recorded one as if it had just come: it must belong to this very
question, have its form, and stay inside the context. Whatever fails becomes a step of the trail, and the next model is
asked. Does not talk to anybody (`interlock.decisions.llm`) and does not write prompts (`interlock.decisions.prompt`).
"""

from functools import partial

from pydantic import ValidationError

from interlock.contracts.agent import Agent
from interlock.contracts.answer import Answer, Outcome
from interlock.contracts.decision import Decision, DecisionContext, Step
from interlock.contracts.llm import LanguageModels, Model
from interlock.decisions.actions import allowed_actions
from interlock.decisions.asking import Asker, Given, Question
from interlock.decisions.policy import answers_of, no_decision, told_of
from interlock.decisions.prompt import Prompt, prompt
from interlock.decisions.proposal import as_decision, form, proposal_faults, schema_fault
from interlock.errors import NotRecordedError
from interlock.provenance.canonical import canonical_json

LLM = "llm"
"""Name of this policy in decisions."""


class LanguagePolicy:
    """Models in an order."""

    def __init__(
        self, agent_id: str, agent: Agent, models: LanguageModels, *, asker: Asker, order: tuple[str, ...] = ()
    ) -> None:
        """`order`: short names from `models`; empty is `models.order`."""
        self._agent_id, self._agent, self._models = agent_id, agent, models
        self._asker, self._order = asker, order or models.order

    def decide(self, context: DecisionContext) -> Decision:
        """The first proposal that holds.

        Raises NoDecisionError where there is none, and NotRecordedError where replay alone was asked for and an answer
        is missing: each question before the one that decided has a recorded answer, if only one that says why not.
        """
        narrowed = _narrowed(context)
        trail: list[Step] = []
        for name in self._order if narrowed.allowed else ():
            decision = self._try(narrowed, self._models.models[name], trail)
            if decision is not None:
                return decision
        if not narrowed.allowed:
            told = "nothing that is allowed here is a language model's to choose"
            trail.append(Step(agent=self._agent_id, policy=LLM, outcome=Outcome.GUARD, told=told))
        hint = "ask another model, mend what the steps say, or decide by rules: llm=none"
        raise no_decision(trail, subject=f"the decision of {self._agent_id}", hint=hint)

    def _try(self, context: DecisionContext, model: Model, trail: list[Step]) -> Decision | None:
        """Ask one model and add what came of it to the trail."""
        shown = prompt(context, model, self._agent)
        if shown is None:
            trail.append(self._over_window(model))
            return None
        question = self._question(context, model, shown)
        if any(step.key == question.key for step in trail):
            return None  # one model under two names: a question has one answer, or no replay would know which
        given = self._asker.ask(question)
        outcome, told = _checked(question, given.answer)
        step = _step(question, given, shown).model_copy(update={"outcome": outcome, "told": told or shown.warning})
        trail.append(step)
        if outcome is Outcome.NOT_RECORDED and self._models.mode == "replay":
            raise _not_recorded(question, context, trail)
        if outcome is not Outcome.ANSWERED or given.answer.proposal is None:
            return None
        answers = answers_of(trail)
        return as_decision(given.answer.proposal, context, policy=LLM, trail=tuple(trail), answers=answers)

    def _question(self, context: DecisionContext, model: Model, shown: Prompt) -> Question:
        return Question(
            agent=self._agent_id,
            model=model,
            messages=shown.messages,
            form=form(context),
            check=partial(proposal_faults, context=context, left_out=shown.left_out),
            sample=self._models.sample,
            corrections_max=self._models.corrections_max,
            retries_max=self._models.retries_max,
        )

    def _over_window(self, model: Model) -> Step:
        return Step(
            agent=self._agent_id,
            policy=LLM,
            outcome=Outcome.OVER_WINDOW,
            told=f"the shortest context is larger than this agent may send: {self._agent.tokens_hard_ratio:.0%} of "
            f"{model.context_tokens} tokens, less {model.answer_tokens_max} for the answer",
            model=f"{model.provider}/{model.model}",
        )


def _narrowed(context: DecisionContext) -> DecisionContext:
    """The context without what only a person may do, also where it was built for one."""
    own = allowed_actions(context.verdict, policy=LLM, kind=context.kind)
    return context.model_copy(update={"allowed": tuple(action for action in context.allowed if action in own)})


def _checked(question: Question, answer: Answer) -> tuple[Outcome, str]:
    """How the answer holds now; never believed because it was recorded as answered."""
    if (answer.key, answer.model) != (question.key, question.model_id):
        return Outcome.MALFORMED, f"the answer belongs to another question, {answer.key[:12]} to {answer.model}"
    if answer.outcome is not Outcome.ANSWERED:
        return answer.outcome, answer.told
    if answer.proposal is None:
        return Outcome.EMPTY, "the answer says that it has a proposal, and has none"
    try:
        question.form.model_validate_json(canonical_json(answer.proposal))
    except (ValidationError, ValueError) as error:
        return Outcome.SCHEMA, _told(error) if isinstance(error, ValidationError) else str(error)
    faults = question.check(answer.proposal)
    return (Outcome.GUARD, told_of(faults)) if faults else (Outcome.ANSWERED, "")


def _step(question: Question, given: Given, shown: Prompt) -> Step:
    answer = given.answer
    return Step(
        agent=question.agent,
        policy=LLM,
        outcome=answer.outcome,
        model=question.model_id,
        prompt_sha256=question.prompt_sha256,
        key=question.key,
        answer_sha256=None if answer.outcome is Outcome.NOT_RECORDED else given.sha256,
        left_out=shown.left_out,
        proposal=answer.proposal,
        calls=answer.usage.calls,
        usage=answer.usage,
    )


def _not_recorded(question: Question, context: DecisionContext, trail: list[Step]) -> NotRecordedError:
    asks = f"interlock decide {context.run_id} with the same llm asks and records; " if context.kind == "lane" else ""
    error = NotRecordedError(
        no_decision(trail, subject="", hint="").faults,
        subject=f"the replay of {question.agent}",
        hint=f"{asks}llm.mode=auto lets the rules decide where nothing is recorded",
    )
    error.trail = tuple(trail)
    return error


def _told(error: ValidationError) -> str:
    return told_of([schema_fault(item) for item in error.errors()])
