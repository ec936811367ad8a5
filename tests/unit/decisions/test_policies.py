"""Configuration made policy: what is built, and what is refused by name before anything is decided."""

import json
from pathlib import Path

import pytest
from decision_worlds import EXECUTIVES, Scripted, agent, context, models, proposal, release, row

from interlock.contracts.agent import GuardPolicy, ModelPolicy, PersonPolicy, QuorumPolicy, RulesPolicy
from interlock.contracts.answer import Outcome
from interlock.contracts.decision import Action
from interlock.contracts.llm import NoModel
from interlock.contracts.verdict import Verdict
from interlock.decisions.person import PersonsChoice
from interlock.decisions.policies import build
from interlock.errors import ConfigError, NotRecordedError

CONF = Path(__file__).resolve().parents[3] / "conf"
NONE = NoModel(kind="none")
RULES = RulesPolicy(kind="rules")
PASSED = context(row("r_at_5", Verdict.PASS))


def guarded(proposal_policy):
    return GuardPolicy(kind="guard", proposal=proposal_policy)


def quorum(**changes):
    fields = {"kind": "quorum", "members": EXECUTIVES, "chair": EXECUTIVES[-1]}
    return guarded(QuorumPolicy(**(fields | changes)))


def team(**changes):
    members = {name: agent(tier="executive") for name in EXECUTIVES}
    return members | {"release_team": agent(quorum(), tier="executive")} | changes


def lane_decision(policy, llm, *replies, **changes):
    asker = Scripted(*(replies or (proposal(Action.ACCEPT),)))
    made = build("dir_models", {"dir_models": agent(policy)}, llm, asker, **changes).decide(PASSED)
    return made, [question.model.model for question in asker.questions]


def test_rules_ask_nobody():
    made, asked = lane_decision(RULES, models())
    assert (made.policy, made.trail, asked) == ("rules", (), [])


def test_no_model_is_the_fallback_with_a_step_that_says_so():
    made, asked = lane_decision(None, NONE)
    alone, _ = lane_decision(RULES, NONE)
    assert (made.action, made.reasons, made.policy, asked) == (alone.action, alone.reasons, "rules", [])
    assert [(s.agent, s.policy, s.outcome) for s in made.trail] == [("dir_models", "llm", Outcome.NOT_CONFIGURED)]


@pytest.mark.parametrize(
    ("order", "asked"),
    [((), ["first-1"]), (("second", "first"), ["second-1"]), (("other", "second"), ["second-1"]), (("other",), [])],
)
def test_an_agents_order_comes_before_the_common_one(order, asked):
    made, found = lane_decision(guarded(ModelPolicy(kind="llm", models=order)), models())
    assert (found, made.policy) == (asked, "llm" if asked else "rules")
    if not asked:
        assert "none of this agent's models ['other'], only ['first', 'second']" in made.trail[0].told


def test_a_guarded_person_waits_and_then_decides():
    policy = guarded(PersonPolicy(kind="person"))
    made, _ = lane_decision(policy, NONE)
    assert (made.action, made.policy, made.trail[0].outcome) == (Action.ESCALATE, "rules", Outcome.WAITING)
    choice = PersonsChoice(by="Ada", action=Action.ACCEPT, reason="it is what we asked for")
    made, _ = lane_decision(policy, NONE, choice=choice)
    assert (made.action, made.policy, made.person) == (Action.ACCEPT, "person", "Ada")


def test_each_member_of_a_quorum_has_its_own_policy_and_its_own_models():
    second = guarded(ModelPolicy(kind="llm", models=("second",)))
    own = {EXECUTIVES[0]: agent(RULES, tier="executive"), EXECUTIVES[1]: agent(second, tier="executive")}
    agents = team(**own)
    asker = Scripted(lambda question: _go(question))
    made = build("release_team", agents, models(), asker).decide(release())
    assert (made.action, made.policy) == (Action.GO, "quorum")
    assert {vote.agent: vote.policy for vote in made.votes} == dict(
        zip(EXECUTIVES, ("rules", "llm", "llm"), strict=True)
    )
    assert [(q.agent, q.model.model) for q in asker.questions] == [
        (EXECUTIVES[1], "second-1"),
        (EXECUTIVES[2], "first-1"),
    ]
    assert [step.agent for step in made.trail] == list(EXECUTIVES[1:])
    assert made.usage.calls == 2


def test_three_models_that_say_go_on_a_failed_release_get_nowhere():
    failed = release((Verdict.PASS, Verdict.PASS, Verdict.FAIL))
    asker = Scripted(lambda question: _go(question))
    made = build("release_team", team(), models(), asker).decide(failed)
    assert made.action in (Action.PAUSE_AND_FIX, Action.REJECT, Action.ROLLBACK)


def test_without_models_the_executives_vote_by_rules():
    made = build("release_team", team(), NONE, Scripted(Outcome.EMPTY)).decide(release())
    assert (made.action, made.policy) == (Action.GO, "quorum")
    assert {vote.policy for vote in made.votes} == {"rules"}


def test_a_strict_replay_of_a_quorum_reaches_the_caller():
    policy = build("release_team", team(), models(mode="replay"), Scripted(Outcome.NOT_RECORDED))
    with pytest.raises(NotRecordedError):
        policy.decide(release())


@pytest.mark.parametrize(
    ("agent_id", "agents", "words"),
    [
        ("dir_model", {"dir_models": agent()}, ["agents: no such agent (got 'dir_model')", "did you mean: dir_models"]),
        (
            "release_team",
            {name: item for name, item in team().items() if name != EXECUTIVES[1]},
            ["agents.release_team.policy.proposal.members[1]: no such agent (got 'quality_safety_officer')"],
        ),
        (
            "release_team",
            team(**{EXECUTIVES[0]: agent(quorum(), tier="executive")}),
            ["members[0]: decides by a quorum itself", "(got 'infrastructure_monitor')"],
        ),
        ("release_team", team(release_team=agent(quorum(members=(*EXECUTIVES[1:], "release_team")))), ["members[2]"]),
    ],
    ids=["agent", "member", "nested", "itself"],
)
def test_refused_before_anything_is_decided(agent_id, agents, words):
    with pytest.raises(ConfigError) as caught:
        build(agent_id, agents, models(), Scripted(Outcome.EMPTY))
    for word in words:
        assert word in str(caught.value)


def test_every_configured_agent_can_be_built():
    from interlock.config.compose import compose_each
    from interlock.config.validate import validate

    [composition] = compose_each(CONF, [["lane=query_tower", "llm=fallback"]])
    found = validate(composition, subject="default")
    assert {"dir_models", "architect", *EXECUTIVES} <= set(found.agents)
    for name in found.agents:
        assert build(name, found.agents, found.llm, Scripted(Outcome.EMPTY))


def _go(question):
    from decision_worlds import answered

    text = question.messages[1].content
    name = next(name for name in EXECUTIVES if f"gate.{name}.reason" in text)
    return answered(question, json.loads(json.dumps(proposal(Action.GO, cites=(f"gate.{name}.reason",)))))
