"""Decision contexts made by hand, and policies that say what a test tells them to."""

from interlock.contracts.agent import Agent, GuardPolicy, ModelPolicy
from interlock.contracts.answer import Answer, Call, Outcome, Usage
from interlock.contracts.decision import Action, Decision, DecisionContext, Evidence, Statement, Step, View
from interlock.contracts.lane import Range
from interlock.contracts.llm import LanguageModels, Model
from interlock.contracts.verdict import Cause, GateResult, Verdict, fold
from interlock.decisions.actions import allowed_actions
from interlock.decisions.asking import Given
from interlock.errors import NoDecisionError
from interlock.provenance.canonical import sha256_json

SHA = "d" * 64
SPACE = {
    "lane.optimizer.lr": Range(low=1e-5, high=1e-2, scale="log"),
    "lane.model.dropout": Range(low=0.0, high=0.5),
    "lane.model.temperature": Range(low=0.01, high=0.2, scale="log"),
    "lane.trainer.epochs": Range(low=1, high=40, integer=True),
}
CURRENT = {
    "lane.optimizer.lr": 1e-3,
    "lane.model.dropout": 0.1,
    "lane.model.temperature": 0.05,
    "lane.trainer.epochs": 10,
}
EXECUTIVES = ("infrastructure_monitor", "quality_safety_officer", "ops_commander")


def row(metric, verdict=Verdict.FAIL, *, cause=None, n_needed=None, severity="block", gate=None):
    """One row of the judge."""
    return GateResult(
        gate=gate or metric,
        metric=metric,
        severity=severity,
        verdict=verdict,
        observed=None if cause else 0.3,
        bound=0.32,
        target=0.5,
        comparison=">=",
        unit="ratio",
        n=200,
        method="wilson",
        reason=f"{metric} 0.300 against 0.500, n=200",
        evidence=f"metrics.json#/{metric}",
        n_needed=n_needed,
        cause=cause or (Cause.MISSING if verdict is Verdict.BLOCKED else None),
    )


def context(*rows, kind="lane", attempts=1, max_attempts=2, facts=None, space=SPACE, current=CURRENT, **changes):
    """A context of these rows; `facts` are further evidence by id."""
    verdict = fold(rows)
    fields = {
        "kind": kind,
        "agent": "dir_models" if kind == "lane" else "release_team",
        "run_id": "0123456789abcdef",
        "judgement_id": SHA,
        "lane": "l",
        "verdict": verdict,
        "rows": rows,
        "evidence": evidence_of(rows, {"verdict": str(verdict), **(facts or {})}, current, (attempts, max_attempts)),
        "current": dict(current),
        "search_space": dict(space),
        "attempts": attempts,
        "max_attempts": max_attempts,
        "allowed": allowed_actions(verdict, policy="rules", kind=kind),
    }
    return DecisionContext(**(fields | changes))


def evidence_of(rows, facts, current, lineage):
    values = dict(facts)
    for item in rows:
        for field in ("verdict", "metric", "observed", "target", "n", "n_needed", "reason"):
            if getattr(item, field) is not None:
                value = getattr(item, field)
                values[f"gate.{item.gate}.{field}"] = str(value) if isinstance(value, Verdict) else value
    values |= {f"search.{key}": value for key, value in current.items()}
    values |= {"lineage.attempts": lineage[0], "lineage.max_attempts": lineage[1]}
    return tuple(
        Evidence(id=name, value=value, pointer=f"facts.json#/{name}@sha256:{SHA}")
        for name, value in sorted(values.items())
    )


def release(verdicts=(Verdict.PASS,) * 3, *, views=None, **changes):
    """A release context: one gate for each executive, seen by that executive alone."""
    rows = tuple(row(f"slo_{name}", verdict, gate=name) for name, verdict in zip(EXECUTIVES, verdicts, strict=True))
    seen = {name: View(rows=(name,), evidence=(f"gate.{name}.reason",)) for name in EXECUTIVES}
    return context(*rows, kind="release", views=seen if views is None else views, space={}, current={}, **changes)


class Says:
    """A policy that decides what it is told, by the evidence it is told, inside the context or not."""

    def __init__(
        self, action, *, text="so it seems", cites=None, policy="llm", overrides=None, trail=(), risks=(), risks_cite=()
    ):
        self.action, self.text, self.cites, self.policy = action, text, cites, policy
        self.overrides, self.trail, self.risks, self.risks_cite = overrides or {}, trail, risks, risks_cite

    def decide(self, shown):
        cited = self.cites or [next((e.id for e in shown.evidence if e.id.startswith("gate.")), shown.evidence[0].id)]
        also = list(self.risks_cite or cited)
        said = {"action": self.action, "overrides": self.overrides, "text": self.text, "cited": cited}
        return Decision.model_construct(
            kind=shown.kind,
            agent=shown.agent,
            decision_id=sha256_json({"context": shown, "said": said, "policy": self.policy}),
            judgement_id=shown.judgement_id,
            run_id=shown.run_id,
            lane=shown.lane,
            job=shown.job,
            verdict=shown.verdict,
            action=self.action,
            reasons=(Statement(text=self.text, evidence=tuple(cited)),),
            proposed_overrides=dict(self.overrides),
            risks=tuple(Statement(text=risk, evidence=tuple(also)) for risk in self.risks),
            confidence="high",
            policy=self.policy,
            person="",
            trail=tuple(self.trail),
            votes=(),
            evidence=tuple(item for item in shown.evidence if item.id in {*cited, *also}),
        )


class Raises:
    """A policy that comes to nothing in a given way."""

    def __init__(self, error):
        self.error = error

    def decide(self, shown):
        raise self.error


def nothing(outcome=Outcome.TIMEOUT, *, policy="llm", agent="dir_models", kind=NoDecisionError):
    """The error of a policy that tried once."""
    error = kind([], subject="nothing")
    error.trail = (Step(agent=agent, policy=policy, outcome=outcome, told="it did not work"),)
    return error


class Scripted:
    """An asker that gives prepared replies in order, the last one again and again; remembers what it was asked.

    A reply is an outcome, a proposal, or a function of the question that gives an Answer.
    """

    def __init__(self, *replies):
        self.replies, self.questions = list(replies), []

    def ask(self, question):
        self.questions.append(question)
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        answer = reply(question) if callable(reply) else answered(question, reply)
        return Given(answer=answer, sha256=sha256_json(answer))


def answered(question, reply):
    """An answer to this very question."""
    is_proposal = not isinstance(reply, Outcome)
    outcome = Outcome.ANSWERED if is_proposal else reply
    usage = Usage(calls=1, tokens_in=100, tokens_out=10, usd=0.001, seconds=0.5)
    return Answer(
        key=question.key,
        agent=question.agent,
        model=question.model_id,
        outcome=outcome,
        told="" if is_proposal else f"it was {outcome}",
        proposal=reply if is_proposal else None,
        calls=(Call(outcome=outcome, usage=usage),),
        asked_at="2026-03-01T10:00:00+00:00",
    )


def go_votes():
    """Every executive says GO by its own gate."""
    return {name: Says(Action.GO) for name in EXECUTIVES}


def model(name="claude-x", **changes):
    """A model with room for a small context."""
    fields = {"provider": "anthropic", "model": name, "context_tokens": 100_000, "answer_tokens_max": 1000}
    return Model(**(fields | changes))


def models(*names, mode="auto", **changes):
    """Models by short name; the first two are asked by default."""
    known = {name: model(f"{name}-1") for name in (names or ("first", "second"))}
    fields = {"kind": "models", "models": known, "order": tuple(known), "mode": mode}
    return LanguageModels(**(fields | changes))


def agent(policy=None, tier="director", **changes):
    """An agent; by default a guarded language model."""
    guarded = GuardPolicy(kind="guard", proposal=ModelPolicy(kind="llm"))
    return Agent(tier=tier, responsibilities=("decides",), policy=policy or guarded, **changes)


def proposal(action, *, text="so it seems", cites=("verdict",), overrides=None, **changes):
    """What a language model answers."""
    said = {
        "action": str(action),
        "reasons": [{"text": text, "evidence": list(cites)}],
        "risks": [],
        "confidence": "medium",
        **({} if overrides is None else {"proposed_overrides": overrides}),
    }
    return said | changes
