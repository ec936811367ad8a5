"""The decision on the page: reasons, what was tried and refused, votes, cost; hostile words stay words."""

from page_facts import HOSTILE, SHA, full, judgement

from interlock.contracts.answer import Outcome, Usage
from interlock.contracts.decision import Action, Decision, Evidence, Statement, Step, Vote
from interlock.contracts.verdict import Verdict
from interlock.registry.decided import DecisionRow, SpentRow
from interlock.reports.page import run_page
from interlock.reports.sections.decided import cost_text, decided, ended, who

USAGE = Usage(calls=2, tokens_in=1000, tokens_out=34, usd=0.0041, seconds=3.2)
FACTS = (
    Evidence(id="gate.r_at_5.observed", value=0.66, pointer=f"judge/judgement.json#/rows/0/observed@sha256:{SHA}"),
    Evidence(id="search.lane.lr", value=0.5, pointer=f"decide/settings.json#/current/lane.lr@sha256:{SHA}"),
)
REASON = Statement(text="it rests on {gate.r_at_5.observed}", evidence=("gate.r_at_5.observed",))


def step(outcome, **more):
    values = {"agent": "dir_models", "policy": "llm", "model": "google/gemini", "usage": USAGE, "calls": 2} | more
    return Step(outcome=outcome, **values)


def decision(**changes):
    found = judgement()
    values = {
        "agent": "dir_models", "decision_id": "2" * 64, "judgement_id": found.judgement_id, "run_id": found.run_id,
        "lane": found.lane, "verdict": found.verdict, "action": Action.RETRAIN, "reasons": (REASON,),
        "proposed_overrides": {"lane.lr": 0.25}, "confidence": "medium", "policy": "llm", "evidence": FACTS,
        "trail": (
            step(Outcome.GUARD, told=HOSTILE, proposal={"action": "accept", "reasons": HOSTILE}),
            step(Outcome.ANSWERED, model="anthropic/claude", answer_sha256=SHA, key=SHA),
        ),
    }  # fmt: skip
    return Decision.model_construct(**values | changes)


def values(**changes):
    section = decided(full(decision=decision(**changes)))
    assert section is not None
    return section.values


def test_what_was_refused_is_told_before_what_was_taken():
    refused, taken = values()["steps"]
    assert (refused["outcome"], refused["proposal"], refused["tone"]) == ("refused by the guard", "accept", "fail")
    assert (taken["outcome"], taken["proposal"], taken["tone"]) == ("answered", "", "pass")
    assert refused["told"] == HOSTILE
    assert taken["answer"] == SHA[:12]
    assert values()["cost"] == "4 calls, 2,068 tokens, $0.0082, 6.4 s"


def test_proposals_name_their_overrides_as_a_model_writes_them():
    proposal = {"action": "retrain", "proposed_overrides": [{"key": "lane.lr", "value": 9}, "odd", {"value": 1}]}
    (refused,) = values(trail=(step(Outcome.GUARD, proposal=proposal),))["steps"]
    assert refused["proposal"] == "retrain with lane.lr=9, None=1"


def test_overrides_stand_beside_what_they_replace():
    assert values()["overrides"] == [("lane.lr", "0.500", "0.250")]
    assert values(evidence=FACTS[:1])["overrides"] == [("lane.lr", "", "0.250")]


def test_who_decided():
    assert who(decision()) == "anthropic/claude for dir_models"
    assert who(decision(policy="rules", trail=())) == "the rules for dir_models"
    assert who(decision(policy="person", person="Ada")) == "Ada for dir_models"
    assert cost_text(Usage()) == "no language model was called"
    assert [ended(outcome) for outcome in (Outcome.SCHEMA, Outcome.OVER_BUDGET)] == ["another form", "over budget"]


def test_everything_is_on_the_page_and_hostile_words_stay_words():
    vote = Vote(
        agent="ops", action=Action.REJECT, verdict=Verdict.FAIL, reasons=(REASON,), confidence="low", policy="rules",
        counts=False,
    )  # fmt: skip
    own = Statement(text="on {its.own.fact}", evidence=("its.own.fact",))
    facts = full(decision=decision(votes=(vote, vote.model_copy(update={"reasons": (own,)}))))
    earlier = DecisionRow(
        id="3" * 64, at="2026-03-01T10:00:00+00:00", path="p", decision_id="3" * 64, judgement_id=SHA,
        action="escalate", agent="dir_models", policy="person", person=HOSTILE, source="command",
    )  # fmt: skip
    spent = SpentRow(
        agent="dir_models", model=HOSTILE, answers=1, calls=2, tokens_in=1000, tokens_out=34, usd=0.0041, seconds=3.2
    )
    view = facts.view.model_copy(update={"decisions": (earlier,), "spent": (spent,)})
    page = run_page([type(facts)(**{**vars(facts), "view": view})], title="t")
    for said in (
        "it rests on 0.66", "gate.r_at_5.observed", "does not count", "refused by the guard", "0.0041", "asked by hand",
        "/rows/0/observed", SHA[:12], "on {its.own.fact}",
    ):  # fmt: skip
        assert said in page, said
    assert HOSTILE not in page
    assert "<script" not in page


def test_without_a_decision_there_is_no_section():
    assert decided(full(decision=None)) is None
