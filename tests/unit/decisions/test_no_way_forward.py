"""Nothing makes a run or a release move forward without a passing verdict: not words, nesting, votes, or records.

Worlds are drawn from a seeded generator, ten times as fast as a strategy of this depth; a failure names its seed.
"""

from random import Random

import pytest
from decision_worlds import (
    CURRENT,
    EXECUTIVES,
    SPACE,
    Raises,
    Says,
    Scripted,
    agent,
    answered,
    context,
    models,
    nothing,
    row,
)

from interlock.contracts.agent import QuorumPolicy
from interlock.contracts.answer import Outcome
from interlock.contracts.decision import MOVES_FORWARD, Action, Decision, View
from interlock.contracts.verdict import Cause, Verdict
from interlock.decisions.actions import ACTIONS, decision_faults, guard
from interlock.decisions.evidence import render
from interlock.decisions.guarded import Guard
from interlock.decisions.language import LanguagePolicy
from interlock.decisions.quorum import Quorum
from interlock.decisions.rules.by_kind import Rules
from interlock.decisions.rules.choice import deciding
from interlock.errors import NoDecisionError, NotRecordedError

QUORUM = QuorumPolicy(kind="quorum", members=EXECUTIVES, chair=EXECUTIVES[2])
GATES = ("g0", "g1", "g2", "g3")
IDS = ("verdict", "gate.g0.reason", "gate.g1.reason", "gate.g2.reason", "gate.g2.observed", "train.trend", "nothing")
TEXTS = ("so it seems",) * 6 + ("see {gate.g0.observed}", "recall is 0.99", "ninety percent", "{", "{x}", "")
BOLD = (Action.ACCEPT, Action.GO, Action.ACCEPT, Action.GO, Action.RETRAIN) * 2 + tuple(Action)
JUNK = ({}, {"action": "accept"}, {"action": ["go"]}, {"a": {"b": None}}, {"action": "go", "reasons": "yes"})


def some(rng, items, count):
    return tuple(rng.choice(items) for _ in range(rng.randint(0, count)))


def a_context(rng, kind=None):
    kind = kind or rng.choice(["lane", "release"])
    rows = []
    for gate in GATES[: rng.choice([0, 1, 2, 3, 3, 4])]:
        verdict = rng.choice([*Verdict, *[Verdict.PASS] * 12])
        cause = rng.choice(list(Cause)) if verdict is Verdict.BLOCKED else None
        severity = rng.choice(["block", "block", "block", "halt", "advise"])
        rows.append(row(rng.choice(["r_at_5", "echo_loop", "m"]), verdict, cause=cause, gate=gate, severity=severity))
    if rng.random() < 0.6:
        views = {name: View(rows=(gate,), evidence=()) for name, gate in zip(EXECUTIVES, GATES, strict=False)}
    else:
        views = {name: View(rows=some(rng, (*GATES, "g9"), 3), evidence=some(rng, IDS, 3)) for name in EXECUTIVES}
    return context(
        *rows,
        kind=kind,
        attempts=rng.randint(1, 3),
        facts={"train.trend": rng.choice(["rising", "improving"])},
        space=SPACE if kind == "lane" else {},
        current=CURRENT if kind == "lane" else {},
        views=views,
        **({"allowed": some(rng, tuple(Action), 9)} if rng.random() < 0.2 else {}),
    )


def a_proposal(rng, shown):
    def sentences(least):
        return [
            {"text": rng.choice(TEXTS), "evidence": [rng.choice(IDS) for _ in range(rng.choice([1, 1, 1, 2, 0]))]}
            for _ in range(max(least, rng.choice([0, 0, 1])))
        ]

    said = {"action": str(rng.choice(BOLD)), "reasons": sentences(1), "risks": sentences(0), "confidence": "high"}
    if shown.search_space and rng.random() < (0.9 if said["action"] == "retrain" else 0.2):
        key, value = rng.choice([*SPACE, "seed"]), rng.choice([20, 0.02, 0.02, 7.5, 1e9])
        said["proposed_overrides"] = [{"key": key, "value": value}] * rng.choice([0, 1, 1, 1, 2])
    return said | ({"verdict": "pass"} if rng.random() < 0.05 else {})


def a_reply(rng, shown):
    """A failure, or something that says of itself that it was answered."""
    if rng.random() < 0.25:
        return rng.choice([outcome for outcome in Outcome if outcome is not Outcome.ANSWERED])
    said = rng.choice(JUNK) if rng.random() < 0.15 else a_proposal(rng, shown)
    return lambda question: answered(question, said)


class Forger:
    """A policy that never looks at a guard: another verdict, another kind, somebody else's judgement."""

    def __init__(self, rng):
        ways = {
            "verdict": Verdict.PASS,
            "policy": rng.choice(["person", "rules"]),
            "kind": rng.choice(["lane", "job", "release"]),
            "judgement_id": "e" * 64,
            "proposed_overrides": {"lane.optimizer.lr": 1e-4},
        }
        self.changes = {key: ways[key] for key in ways if rng.random() < 0.4}
        self.action = rng.choice(BOLD)

    def decide(self, shown):
        return Says(self.action).decide(shown).model_copy(update=self.changes)


def a_leaf(rng, shown):
    """Something that decides by itself, or fails to."""
    match rng.choice(["language", "language", "forger", "says", "fails", "rules"]):
        case "language":
            asker = Scripted(*[a_reply(rng, shown) for _ in range(rng.randint(1, 3))])
            mode = rng.choice(["auto", "auto", "auto", "replay"])
            return LanguagePolicy(shown.agent, agent(), models(mode=mode), asker=asker)
        case "forger":
            return Forger(rng)
        case "says":
            own = rng.choice([None, None, [rng.choice(IDS)]])
            return Says(rng.choice(BOLD), text=rng.choice(TEXTS[:8]), cites=own)
        case "fails":
            return Raises(nothing(rng.choice(list(Outcome))))
        case _:
            return Rules()


def a_member(rng, shown):
    """Mostly one that votes, for three must."""
    if rng.random() < 0.6:
        return Says(rng.choice([Action.GO, Action.GO, Action.GO, Action.GO, Action.SHADOW_ONLY, Action.REJECT]))
    leaf = a_leaf(rng, shown)
    return Guard(leaf, Rules()) if rng.random() < 0.5 else leaf


def a_policy(rng, shown, depth=2):
    """Guards around guards, quorums and leaves."""
    kind = rng.choice(["leaf", "quorum", "quorum", "guard"]) if depth else "leaf"
    if kind == "guard":
        inner, outer = a_policy(rng, shown, depth - 1), a_policy(rng, shown, depth - 1)
        return Guard(inner, outer, withheld=rng.choice([(), MOVES_FORWARD]))
    if kind == "quorum":
        return Quorum(QUORUM, {name: a_member(rng, shown) for name in EXECUTIVES})
    return a_leaf(rng, shown)


def test_only_a_pass_moves_forward_however_policies_nest():
    seen = set()
    for seed in range(1000):
        rng = Random(seed)
        shown = a_context(rng)
        try:
            made = Guard(a_policy(rng, shown), Rules()).decide(shown)
        except NotRecordedError:
            continue
        except NoDecisionError:
            cautious = {Action.ESCALATE} if shown.kind == "lane" else {Action.PAUSE_AND_FIX, Action.REJECT}
            assert not cautious & set(shown.allowed) or not deciding(shown), seed
            continue
        seen.add((made.action, made.policy))
        _holds(made, shown, seed)
    # else it would hold for want of anything that goes
    assert {(Action.ACCEPT, "llm"), (Action.ACCEPT, "rules"), (Action.GO, "quorum")} <= seen


def _holds(made, shown, seed):
    assert guard(made, shown) is made, seed
    assert made.action in ACTIONS[shown.kind][shown.verdict], seed
    assert made.action in shown.allowed, seed
    assert made.verdict is shown.verdict, seed
    assert made.action is not Action.WAIVE or made.policy == "person", seed
    assert made.action not in MOVES_FORWARD or shown.verdict is Verdict.PASS, seed
    for statement in (*made.reasons, *made.risks):
        assert render(statement.text, made.evidence), seed
    assert Decision.model_validate_json(made.model_dump_json()) == made, seed


def test_a_quorum_goes_on_three_heard_votes_and_two_on_facts_of_their_own():
    gone = 0
    for seed in range(500):
        rng = Random(seed)
        shown = a_context(rng, kind="release")
        members = {name: a_member(rng, shown) for name in EXECUTIVES}
        try:
            made = Guard(Quorum(QUORUM, members), Rules(), withheld=MOVES_FORWARD).decide(shown)
        except NoDecisionError:
            continue
        if made.action not in MOVES_FORWARD:
            continue
        gone += 1
        assert (made.action, made.policy, shown.verdict) == (Action.GO, "quorum", Verdict.PASS), seed
        assert [vote.agent for vote in made.votes] == list(EXECUTIVES), seed
        assert {vote.verdict for vote in made.votes} == {Verdict.PASS}, seed
        assert not {Action.REJECT, Action.ROLLBACK} & {vote.action for vote in made.votes}, seed
        goes = [vote for vote in made.votes if vote.action is Action.GO and vote.counts]
        assert {vote.agent for vote in goes} - {QUORUM.chair}, seed
        pointers = {item.id: item.pointer for item in shown.evidence}
        rests = [frozenset(pointers[name] for reason in vote.reasons for name in reason.evidence) for vote in goes]
        assert len(set(rests)) == len(rests) >= 2, seed
    assert gone > 8


@pytest.mark.parametrize("verdict", [Verdict.FAIL, Verdict.BLOCKED, Verdict.INCONCLUSIVE])
@pytest.mark.parametrize("kind", ["lane", "release", "job"])
def test_every_action_by_every_name_on_every_verdict_but_a_pass(kind, verdict):
    """The whole table once more, without chance: whoever proposes whatever, nobody moves forward."""
    shown = context(row("r_at_5", verdict), kind=kind, allowed=tuple(Action))
    for action in Action:
        for name in ("llm", "rules", "person", "quorum", "root"):
            said = Says(action, policy=name, overrides={"lane.optimizer.lr": 1e-4}).decide(shown)
            assert list(decision_faults(said, shown)) or action not in MOVES_FORWARD
