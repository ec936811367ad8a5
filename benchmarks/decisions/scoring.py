"""Was what a policy decided among what really worked?

A retrain is known exactly when these very overrides were run. Where they were not, the tried move of the same key in
the same direction that is nearest (in the ratio of the values) stands for it; overrides of several keys count as their
best part. The score says how many were judged that way.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from decisions.situations import Outcome, Situation

ZERO = 1e-6
"""Stands for zero in ratios, as of a dropout that is switched on."""


BECAUSE: Mapping[tuple[str, str], str] = {
    ("borderline gate", "gather_more"): "the number of items that would decide is known, and twice the source did not "
    "decide; whether so many can be had is no part of the evidence",
    ("evaluation is broken", "repair"): "that the fault is in the code shows only when repairing does not help; drive "
    "repairs once and then asks a person",
    ("gate out of reach", "retrain"): "nothing in the evidence says that no configuration reaches the bound",
    ("overfitting", "gather_more"): "the rules look at overfitting where a gate fails, not where it stays open",
    ("wrong config outside the search space", "retrain"): "the cause is a key that no decision may change",
}
"""Why a policy that sees only the evidence misses, by kind of situation and chosen action."""


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a policy decided in one situation."""

    situation: Situation
    action: str
    overrides: Mapping[str, float]
    says: str = ""
    """Its first reason, or why there is no decision."""

    @property
    def known(self) -> str:
        """How it is known where this leads: `exact`, `nearest`, or `nothing` where nothing like it was tried."""
        if self.action != "retrain":
            return "exact"
        return "exact" if _exact(self) else "nearest" if list(_near(self)) else "nothing"

    @property
    def hit(self) -> bool:
        """Whether the action is among what worked."""
        return self._is_among(self.situation.right)

    @property
    def hit_in_one_step(self) -> bool:
        """Whether it is, where only a pass of the very next run counts."""
        return self._is_among(self.situation.right_at_once)

    def _is_among(self, right: frozenset[str]) -> bool:
        if self.action in ("accept", "escalate"):
            return self.action in right
        if self.action == "retrain":
            found = _exact(self)
            return bool(right & ({found.name} if found else {item.name for item in _near(self)}))
        return any(item.name in right for item in self.situation.outcomes if item.action == self.action)

    @property
    def at_once(self) -> bool:
        """Whether it is a hit and no further decision was needed."""
        found = _exact(self) if self.action == "retrain" else None
        return self.hit and (found is None or found.verdict == "pass")

    @property
    def miss(self) -> str:
        """Why it is no hit, in a sentence; empty for a hit."""
        if self.hit:
            return ""
        worked = ", ".join(sorted(self.situation.right))
        chosen = f"{self.action} {_shown(self.overrides)}".strip()
        led = {item.verdict for item in ([_exact(self)] if _exact(self) else _near(self)) if item}
        ended = f", which ended in {' or '.join(sorted(led))}" if led else ""
        return f"chose {chosen}{ended}; what worked: {worked}"


def score(answers: Iterable[Answer]) -> dict[str, Any]:
    """Hits in all, by split, by kind of situation and by chosen action."""
    answers = list(answers)
    by_split = {split: [item for item in answers if item.situation.split == split] for split in ("dev", "test")}
    kinds = sorted({item.situation.kind for item in answers})
    return {
        "all": _share(answers),
        **{split: _share(found) for split, found in by_split.items()},
        "by_kind": {kind: _share([item for item in answers if item.situation.kind == kind]) for kind in kinds},
        "confusion": {kind: _confusion([item for item in answers if item.situation.kind == kind]) for kind in kinds},
        "known": dict(sorted(Counter(item.known for item in answers).items())),
        "misses": [_told(item) for item in answers if not item.hit],
    }


def blind(situations: Iterable[Situation]) -> dict[str, float]:
    """What needs no thought reaches: the expected share of hits of a random tried action, and of always escalating."""
    situations = list(situations)
    chances = []
    for item in situations:
        options = (
            {outcome.name for outcome in item.outcomes}
            | {"escalate"}
            | ({"accept"} if item.verdict == "pass" else set())
        )
        chances.append(len(options & item.right) / len(options))
    escalating = [("escalate" in item.right) for item in situations]
    in_one_step = [("escalate" in item.right_at_once) for item in situations]
    return {
        "random action": round(math.fsum(chances) / len(chances), 3),
        "always escalate": round(sum(escalating) / len(escalating), 3),
        "always escalate, in one step": round(sum(in_one_step) / len(in_one_step), 3),
    }


def _told(answer: Answer) -> dict[str, str]:
    situation = answer.situation
    because = BECAUSE.get((situation.kind, answer.action), "")
    return {
        "situation": situation.name,
        "kind": situation.kind,
        "why": answer.miss,
        "because": because,
        "reason": answer.says,
    }


def _share(answers: list[Answer]) -> dict[str, Any]:
    hits = sum(item.hit for item in answers)
    at_once = sum(item.at_once for item in answers)
    in_one_step = sum(item.hit_in_one_step for item in answers)
    return {
        "situations": len(answers),
        "hits": hits,
        "at_once": at_once,
        "share": round(hits / len(answers), 3) if answers else None,
        "in_one_step": in_one_step,
    }


def _confusion(answers: list[Answer]) -> dict[str, int]:
    """`<what worked> -> <what was chosen>` and how often; the kinds of action alone."""
    pairs = Counter(f"{' or '.join(sorted(_actions(item.situation)))} -> {item.action}" for item in answers)
    return dict(sorted(pairs.items()))


def _actions(situation: Situation) -> set[str]:
    named = {item.name: item.action for item in situation.outcomes}
    return {named.get(name, name) for name in situation.right}


def _exact(answer: Answer) -> Outcome | None:
    same = [
        item
        for item in answer.situation.outcomes
        if item.action == "retrain" and dict(item.overrides) == dict(answer.overrides)
    ]
    return same[0] if same else None


def _near(answer: Answer) -> list[Outcome]:
    """For each key the tried move of that key alone, in the same direction, that is nearest."""
    current = _current(answer.situation)
    found = []
    for key, value in answer.overrides.items():
        wanted = _ratio(value, current[key])
        tried = [
            item for item in answer.situation.outcomes if item.action == "retrain" and set(item.overrides) == {key}
        ]
        same = [item for item in tried if _ratio(item.overrides[key], current[key]) * wanted > 0]
        if same:
            found.append(min(same, key=lambda item: abs(_ratio(item.overrides[key], current[key]) - wanted)))
    return found


def _current(situation: Situation) -> Mapping[str, float]:
    return dict(situation.context().current)


def _ratio(value: float, before: float) -> float:
    return math.log(max(value, ZERO) / max(before, ZERO))


def _shown(overrides: Mapping[str, float]) -> str:
    return ", ".join(f"{key.rpartition('.')[2]}={value:g}" for key, value in sorted(overrides.items()))
