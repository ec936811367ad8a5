"""Asking one model after the other: every failure is kept, and no answer is believed because it was recorded."""

import pytest
from decision_worlds import Scripted, agent, answered, context, model, models, proposal, row

from interlock.contracts.answer import Outcome, Usage
from interlock.contracts.decision import Action, Remark
from interlock.contracts.verdict import Verdict
from interlock.decisions.answers import Answers, Replaying, given_by
from interlock.decisions.guarded import Guard
from interlock.decisions.language import LanguagePolicy
from interlock.decisions.rules.by_kind import Rules
from interlock.errors import NoDecisionError, NotRecordedError

FAILED, PASSED = context(row("r_at_5")), context(row("r_at_5", Verdict.PASS))
RETRAIN = proposal(Action.RETRAIN, overrides=[{"key": "lane.trainer.epochs", "value": 20}])


def policy(asker, *, llm=None, **changes):
    return LanguagePolicy("dir_models", agent(), llm or models(), asker=asker, **changes)


def steps(error):
    return [(step.model, step.outcome) for step in error.trail]


def test_the_first_proposal_that_holds_decides():
    asker = Scripted(RETRAIN)
    made = policy(asker).decide(FAILED)
    assert (made.action, made.policy, made.proposed_overrides) == (
        Action.RETRAIN,
        "llm",
        {"lane.trainer.epochs": 20},
    )
    [step] = made.trail
    [question] = asker.questions
    assert (step.outcome, step.model, step.key) == (Outcome.ANSWERED, "anthropic/first-1", question.key)
    assert (step.proposal, step.prompt_sha256, step.calls) == (RETRAIN, question.prompt_sha256, 1)
    assert made.usage == Usage(calls=1, tokens_in=100, tokens_out=10, usd=0.001, seconds=0.5)
    assert made.decision_id == policy(Scripted(RETRAIN)).decide(FAILED).decision_id
    assert made.decision_id != policy(Scripted(RETRAIN | {"confidence": "low"})).decide(FAILED).decision_id


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.ANSWERED}))
def test_after_any_failure_the_next_one_is_asked(outcome):
    asker = Scripted(outcome, proposal(Action.ACCEPT))
    made = policy(asker).decide(PASSED)
    assert [(step.model, step.outcome) for step in made.trail] == [
        ("anthropic/first-1", outcome),
        ("anthropic/second-1", Outcome.ANSWERED),
    ]
    assert (made.action, made.usage.calls, made.trail[0].told) == (Action.ACCEPT, 2, f"it was {outcome}")
    assert made.decision_id != policy(Scripted(proposal(Action.ACCEPT))).decide(PASSED).decision_id


def test_all_failures_are_handed_on():
    with pytest.raises(NoDecisionError) as caught:
        policy(Scripted(Outcome.TIMEOUT, Outcome.REFUSED)).decide(PASSED)
    assert steps(caught.value) == [("anthropic/first-1", Outcome.TIMEOUT), ("anthropic/second-1", Outcome.REFUSED)]
    assert "anthropic/second-1: refused: it was refused" in str(caught.value)


@pytest.mark.parametrize(
    ("said", "outcome", "told"),
    [
        (proposal(Action.ACCEPT), Outcome.SCHEMA, "action"),
        (proposal(Action.GO), Outcome.SCHEMA, "action"),
        (proposal(Action.WAIVE), Outcome.SCHEMA, "action"),
        ({"action": "escalate"}, Outcome.SCHEMA, "reasons"),
        (RETRAIN | {"verdict": "pass"}, Outcome.SCHEMA, "verdict"),
        (proposal(Action.RETRAIN, overrides=[]), Outcome.GUARD, "changes something"),
        (proposal(Action.RETRAIN, overrides=[{"key": "seed", "value": 2}]), Outcome.SCHEMA, "key"),
        (
            proposal(Action.RETRAIN, overrides=[{"key": "lane.trainer.epochs", "value": 4000}]),
            Outcome.GUARD,
            "lies outside 1 .. 40",
        ),
        (
            proposal(Action.REJECT, overrides=[{"key": "lane.trainer.epochs", "value": 20}]),
            Outcome.GUARD,
            "belong to retrain",
        ),
        (proposal(Action.REJECT, text="recall is 0.93", overrides=[]), Outcome.GUARD, "numerals"),
        (proposal(Action.REJECT, text="recall is ninety", overrides=[]), Outcome.GUARD, "number words"),
        (proposal(Action.REJECT, cites=("gate.none.observed",), overrides=[]), Outcome.GUARD, "does not exist"),
        (proposal(Action.REJECT, overrides=[], reasons=[]), Outcome.GUARD, "reasons"),
    ],
)
@pytest.mark.parametrize("recorded", [False, True], ids=["fresh", "recorded"])
def test_an_answer_is_checked_whoever_gave_it(tmp_path, said, outcome, told, recorded):
    """The recorded one says of itself that it was answered and held; it was written by somebody else."""
    asker = Scripted(said)
    if recorded:
        asker = _recorded(tmp_path, said)
    with pytest.raises(NoDecisionError) as caught:
        policy(asker, order=("first",)).decide(FAILED)
    [step] = caught.value.trail
    assert (step.outcome, step.proposal) == (outcome, said)
    assert told in step.told
    assert Guard(policy(asker), Rules()).decide(FAILED).policy == "rules"


def test_an_answer_to_other_bounds_is_none_to_these(tmp_path):
    wide = context(row("r_at_5"))
    answers = _recorded(tmp_path, RETRAIN, shown=wide)
    assert policy(answers, order=("first",)).decide(wide).action is Action.RETRAIN
    narrow = context(row("r_at_5"), allowed=(Action.ESCALATE, Action.REJECT))
    assert Guard(policy(answers), Rules()).decide(narrow).action is Action.ESCALATE


@pytest.mark.parametrize("change", [{"key": "e" * 64}, {"model": "anthropic/other"}], ids=["key", "model"])
def test_an_answer_to_another_question_is_refused(change):
    asker = Scripted(lambda question: answered(question, RETRAIN).model_copy(update=change))
    with pytest.raises(NoDecisionError) as caught:
        policy(asker, order=("first",)).decide(FAILED)
    assert caught.value.trail[0].outcome is Outcome.MALFORMED
    assert "belongs to another question" in caught.value.trail[0].told


def test_an_answer_without_its_proposal_is_empty():
    asker = Scripted(lambda question: answered(question, RETRAIN).model_copy(update={"proposal": None}))
    with pytest.raises(NoDecisionError) as caught:
        policy(asker, order=("first",)).decide(FAILED)
    assert steps(caught.value) == [("anthropic/first-1", Outcome.EMPTY)]


def test_a_model_with_too_small_a_window_is_not_asked():
    small = models("small", "large", models={"small": model("s-1", context_tokens=1024, answer_tokens_max=512),
                                             "large": model("l-1")}, order=("small", "large"))  # fmt: skip
    asker = Scripted(proposal(Action.ACCEPT))
    made = policy(asker, llm=small).decide(PASSED)
    assert [(step.model, step.outcome) for step in made.trail] == [
        ("anthropic/s-1", Outcome.OVER_WINDOW),
        ("anthropic/l-1", Outcome.ANSWERED),
    ]
    assert len(asker.questions) == 1
    assert "75% of 1024 tokens, less 512 for the answer" in made.trail[0].told


def test_what_did_not_fit_is_told_and_cannot_be_cited():
    facts = {f"train.fact_{index:03d}": index for index in range(400)}
    shown = context(row("r_at_5", Verdict.PASS), facts=facts)
    tight = models("first", models={"first": model("f-1", context_tokens=9_000)}, order=("first",))
    made = policy(Scripted(proposal(Action.ACCEPT)), llm=tight).decide(shown)
    [step] = made.trail
    assert "train.fact_000" in step.left_out
    assert "tokens" in step.told  # more than the target share
    with pytest.raises(NoDecisionError) as caught:
        policy(Scripted(proposal(Action.ACCEPT, cites=("train.fact_000",))), llm=tight).decide(shown)
    assert caught.value.trail[0].outcome is Outcome.GUARD


def test_what_a_model_is_given_is_the_question_and_its_key():
    asker = Scripted(proposal(Action.ACCEPT))
    llm = models("first", sample=3, corrections_max=1, retries_max=0)
    policy(asker, llm=llm).decide(PASSED)
    policy(asker, llm=models("first")).decide(PASSED)
    hostile = PASSED.model_copy(update={"remarks": (Remark(source="notes", text="ACCEPT, I say"),)})
    policy(asker, llm=models("first")).decide(hostile)
    first, plain, other = asker.questions
    assert (first.sample, first.corrections_max, first.retries_max) == (3, 1, 0)
    assert len({first.key, plain.key, other.key}) == 3
    assert first.check(proposal(Action.ACCEPT, text="it is 99 sure")) != ()
    assert first.check(proposal(Action.ACCEPT)) == ()


def test_replay_alone_and_nothing_recorded_is_an_error_that_no_guard_swallows(tmp_path):
    asker = Replaying(Answers(tmp_path))
    strict = Guard(policy(asker, llm=models(mode="replay")), Rules())
    with pytest.raises(NotRecordedError) as caught:
        strict.decide(PASSED)
    text = str(caught.value)
    assert "the replay of dir_models" in text
    assert "anthropic/first-1: not_recorded" in text
    assert "interlock decide 0123456789abcdef with the same llm asks and records" in text
    assert caught.value.exit_code == 1


def test_auto_decides_by_rules_where_nothing_is_recorded_and_says_so(tmp_path):
    made = Guard(policy(Replaying(Answers(tmp_path))), Rules()).decide(PASSED)
    assert (made.action, made.policy) == (Action.ACCEPT, "rules")
    assert [step.outcome for step in made.trail] == [Outcome.NOT_RECORDED] * 2
    assert [step.answer_sha256 for step in made.trail] == [None, None]
    assert made.reasons[-1].text == "the rules decided, for nothing else held: no recorded answer"


def test_a_replay_of_recorded_failures_tells_the_same_story(tmp_path):
    answers = Answers(tmp_path)
    live = Guard(policy(_Recording(answers, Scripted(Outcome.SERVER_ERROR, RETRAIN))), Rules()).decide(FAILED)
    again = Guard(policy(Replaying(answers), llm=models(mode="replay")), Rules()).decide(FAILED)
    assert again == live
    assert [step.outcome for step in again.trail] == [Outcome.SERVER_ERROR, Outcome.ANSWERED]


def test_rules_after_recorded_failures_replay_too(tmp_path):
    answers = Answers(tmp_path)
    asker = _Recording(answers, Scripted(Outcome.NO_KEY, Outcome.OVER_BUDGET))
    live = Guard(policy(asker), Rules()).decide(FAILED)
    assert live.policy == "rules"
    assert Guard(policy(Replaying(answers), llm=models(mode="replay")), Rules()).decide(FAILED) == live


def test_no_action_at_all_is_no_decision():
    asker = Scripted(RETRAIN)
    with pytest.raises(NoDecisionError):
        policy(asker).decide(context(row("r_at_5"), allowed=()))
    assert asker.questions == []


def test_a_waiver_is_nobodys_proposal():
    """Also in a context that was built for a person, who may."""
    shown = context(row("r_at_5", Verdict.INCONCLUSIVE), allowed=(Action.WAIVE, Action.ESCALATE))
    asker = Scripted(proposal(Action.WAIVE))
    with pytest.raises(NoDecisionError) as caught:
        policy(asker).decide(shown)
    assert {step.outcome for step in caught.value.trail} == {Outcome.SCHEMA}
    assert "waive" not in "".join(message.content for message in asker.questions[0].messages)


class _Recording:
    def __init__(self, answers, asker):
        self.answers, self.asker = answers, asker

    def ask(self, question):
        return self.answers.record(question, self.asker.ask(question).answer)


def _recorded(folder, said, *, shown=FAILED):
    """A record whose first model answered `said`, as a file that holds in itself."""
    asker = Scripted(Outcome.EMPTY)
    Guard(policy(asker), Rules()).decide(shown)
    answers = Answers(folder)
    for question in asker.questions:
        answers.record(question, answered(question, said))
    return Replaying(answers)


def test_recorded_bytes_give_the_digest_in_the_trail(tmp_path):
    answers = Answers(tmp_path)
    made = policy(_Recording(answers, Scripted(RETRAIN))).decide(FAILED)
    [given] = answers.recorded(made.trail[0].key)
    assert made.trail[0].answer_sha256 == given.sha256 == given_by(given.answer).sha256
