"""One hostile model on the whole real path: HTTP, the vendor's client, parser, guard, record, archive, log, replay.

    path = LanePath(world, server)     # archived runs, decisions recorded; PolicyPath: every kind and verdict
    tried = path.attack(7)             # what came of attack 7, and every way in which it got through

Nothing is replaced but the vendor's machine. Clients are the real ones, `conf/` is the real one, the run is archived.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hostile_answers import Hostile, family_of, hostile
from hostile_contexts import context, contexts
from hostile_oracle import breaches
from hostile_proposals import dumps, forward, good, has_overrides
from hostile_server import Asked, HostileServer, Said
from hostile_worlds import World

from interlock.config.compose import compose_lane
from interlock.config.validate import validate
from interlock.contracts.decision import Decision, DecisionContext
from interlock.contracts.llm import LanguageModels, Model, Price
from interlock.contracts.spelling import spelled
from interlock.contracts.verdict import Verdict
from interlock.decisions import policies
from interlock.decisions.answers import Answers, Live, Replaying
from interlock.decisions.asking import Asker
from interlock.decisions.llm.wire import Wire
from interlock.decisions.quorum import seen_by
from interlock.provenance.canonical import pretty_json
from interlock.registry.decided import decisions
from interlock.runs.deciding.checking import check
from interlock.runs.deciding.configured import Configured, of_experiment
from interlock.runs.deciding.deciding import Decided, ask, context_of, ledger_of
from interlock.runs.deciding.recording import record
from interlock.runs.deciding.replaying import replay
from interlock.runs.deciding.standing import standing_judgement

ROOT = Path(__file__).resolve().parents[2]
KEY_ENV = "HOSTILE_API_KEY"
KEY = "sk-hostile-0123456789-abcdefghij"  # pragma: allowlist secret
WAYS = (
    ("openai_compatible", "tools"),
    ("anthropic", "tools"),
    ("google", "tools"),
    ("openai_compatible", "json_schema"),
    ("anthropic", "json"),
    ("google", "json_schema"),
    ("openai_compatible", "json"),
)
"""Protocols and modes."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """What came of one attack."""

    number: int
    family: str
    label: str
    """The run, or whatever was decided upon."""
    way: tuple[str, str]
    decision: Decision
    got_through: tuple[str, ...]
    """Breaches; empty where everything held."""

    @property
    def ended(self) -> str:
        """`taken`, `voted`, or how the last question ended before the rules decided."""
        known = {"llm": "taken", "quorum": "voted"}
        return known.get(self.decision.policy) or str(self.decision.trail[-1].outcome)

    @property
    def verdict(self) -> str:
        """Of what was decided upon."""
        return self.decision.verdict.value


def base_configuration(*overrides: str) -> Configured:
    """The toy lane's configuration with a price for the hostile models."""
    experiment = validate(compose_lane(ROOT / "conf", ["lane=toy", *overrides]), subject="toy")
    price = Price(
        model="hostile",
        input_usd_per_million_tokens=1.0,
        output_usd_per_million_tokens=2.0,
        as_of="2026-01-01",
        source="made up",
    )
    return replace(of_experiment(experiment), prices={"hostile": price})


def models(urls: Mapping[str, str], *ways: tuple[str, str], **settings: Any) -> LanguageModels:
    """Hostile models behind the server, in this order; every question is asked and recorded."""
    made = {
        f"m{index}": Model(
            provider=provider,  # type: ignore[arg-type]
            model="hostile",
            base_url=urls[provider],
            key_env=KEY_ENV,
            mode=mode,  # type: ignore[arg-type]
            context_tokens=64_000,
            answer_tokens_max=1024,
            timeout_s=10.0,
        )
        for index, (provider, mode) in enumerate(ways)
    }
    usual = {"mode": "live", "corrections_max": 0, "retries_max": 0}
    return LanguageModels.model_validate(
        {"kind": "models", "models": made, "order": tuple(made), **usual, **settings}, strict=False
    )


class PolicyPath:
    """Attacks on decisions about contexts made by hand: every kind and verdict, the same models, wire and guard."""

    def __init__(self, folder: Path, server: HostileServer) -> None:
        """`folder` takes the recorded answers."""
        self._answers, self._server = Answers(folder), server
        self._base = base_configuration()
        shared = [context("release", verdict, shared=True) for verdict in Verdict]
        others = tuple(item for item in contexts() if item.kind != "release")  # votes ask three times as much
        self._shown = (*contexts(), *shared, *others, *others)

    def attack(self, number: int) -> Tried:
        """Let the models say what that attack says, decide, and decide again from the record."""
        rng = random.Random(number)
        # Overrides are an attack only where there is a place for them.
        shown = self._shown if "override" not in family_of(number) else tuple(filter(has_overrides, self._shown))
        return self._attack(number, shown[number % len(shown)], rng)

    def _attack(self, number: int, shown: DecisionContext, rng: random.Random) -> Tried:
        way = rng.choice(WAYS)
        llm = models(self._server.urls, way, sample=number + 1, corrections_max=rng.choice([0, 0, 1, 2]))
        configured = replace(self._base, llm=llm)
        made = self._script(number, shown, rng)
        decision = self._decide(configured, shown, Live(self._answers, Wire(configured.prices, ledger_of(configured))))
        cited = {step.key: step.answer_sha256 for step in decision.trail if step.key and step.answer_sha256}
        again = self._decide(configured, shown, Replaying(self._answers, cited))
        same = pretty_json(again) == pretty_json(decision)
        return Tried(
            number=number,
            family=made,
            label=f"{shown.kind} by hand",
            way=way,
            decision=decision,
            got_through=(*breaches(decision, shown), *(() if same else ("replay differs",))),
        )

    def _script(self, number: int, shown: DecisionContext, rng: random.Random) -> str:
        """What the server says to whoever is asked; a family's name. Many quorums hear GO, from all or all but one."""
        if shown.kind != "release":
            made = hostile(number, shown)
            self._server.script(made.replies)
            return made.family
        members = {name: seen for name in shown.views if (seen := seen_by(shown, name)) is not None}
        family = rng.choice(["unanimous GO", "unanimous GO", "GO over a veto", family_of(number)])
        replies = {name: list(hostile(number, seen).replies) for name, seen in members.items()}
        if "GO" in family:
            replies = {name: [Said(payload=dumps(forward(rng, seen)))] for name, seen in members.items()}
        if "veto" in family:
            name = rng.choice(list(members))
            replies[name] = [Said(payload=dumps(good(rng, members[name]) | {"action": "reject"}))]

        def said(asked: Asked) -> Said:
            left = next(left for name, left in replies.items() if spelled(name) in asked.text)
            return left.pop(0) if len(left) > 1 else left[0]

        self._server.script(said)
        return family

    @staticmethod
    def _decide(configured: Configured, shown: DecisionContext, asker: Asker) -> Decision:
        return policies.build(shown.agent, configured.agents, configured.llm, asker).decide(shown)


class LanePath:
    """Attacks on decisions about archived runs."""

    def __init__(self, world: World, server: HostileServer) -> None:
        self._world, self._server = world, server
        self._base = base_configuration()
        self._labels = tuple(world.runs)

    def attack(self, number: int) -> Tried:
        """Let the models say what that attack says, decide, record, and replay."""
        rng = random.Random(number)
        label, way = rng.choice(self._labels), rng.choice(WAYS)
        configured = replace(self._base, llm=self._models(number, way, rng))
        made = self._said(number, label, configured)
        self._server.script(made.replies)
        decided = ask(self._world.home, self._world.runs[label], configured)
        return Tried(
            number=number,
            family=made.family,
            label=label,
            way=way,
            decision=decided.decision,
            got_through=(*breaches(decided.decision, decided.context), *self._afterwards(decided)),
        )

    def _models(self, number: int, way: tuple[str, str], rng: random.Random) -> LanguageModels:
        ways = (way, rng.choice(WAYS)) if rng.random() < 0.15 else (way,)
        return models(self._server.urls, *ways, sample=number + 1, corrections_max=rng.choice([0, 0, 1, 2]))

    def _said(self, number: int, label: str, configured: Configured) -> Hostile:
        home, run_id = self._world.home, self._world.runs[label]
        return hostile(number, context_of(home, run_id, configured, judgement=standing_judgement(home, run_id)))

    def _afterwards(self, decided: Decided) -> list[str]:
        """Record it, replay it, and look at all that it names."""
        home, decision = self._world.home, decided.decision
        folder = record(home, decided, made_at=f"2999-01-01T00:00:00.{len(decided.asked):06}+00:00").folder
        row = next(item for item in decisions(home, decision.run_id) if home / item.path == folder)
        told = [f"replay differs: {item}" for item in replay(home, row, decision).differences]
        return told + [f"check: {item}" for item in check(home, row, decision).problems]
