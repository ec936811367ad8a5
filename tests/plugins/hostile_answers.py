"""Raw answers of language models that try to get a non-pass through, by number: the same number is the same answer.

    made = hostile(7, context)          # a family's name and what the server says, one `Said` for each request

An attack knows the form of an answer and the facts in the context, and nothing of how the parser and the guard work.
Contents, wrappings and words stand in `hostile_proposals`, `hostile_envelopes` and `hostile_texts`. Does not cover
attacks below HTTP, nor on the recorded files.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import hostile_envelopes as envelopes
import hostile_proposals as proposals
from hostile_server import Said

from interlock.contracts.decision import DecisionContext

SEED = 20260101
"""Another seed is another ten thousand."""


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """One attack."""

    number: int
    family: str
    replies: tuple[Said, ...]
    """What the model says to the question, and then to each correction; the last one again and again."""


FAMILIES: Mapping[str, Callable[[random.Random, DecisionContext], Said | list[Said]]] = {
    "forbidden action": proposals.forbidden,
    "look-alike of an action": proposals.lookalike,
    "duplicate keys": envelopes.duplicates,
    "nested or stringified": envelopes.nested,
    "several tool calls": envelopes.several_calls,
    "another tool": envelopes.other_tool,
    "extra fields": proposals.extra,
    "forged evidence": proposals.forged_evidence,
    "forged numbers": proposals.forged_numbers,
    "overrides outside the space": proposals.overrides_outside,
    "override values": proposals.override_values,
    "injection": proposals.injection,
    "strange text": proposals.strange_text,
    "too much": envelopes.much,
    "wrong content": envelopes.wrong_content,
    "cut off": envelopes.cut,
    "other schema": envelopes.other_schema,
    "fenced": envelopes.fenced,
    "silent or refusing": envelopes.silent,
    "of another run": proposals.of_another_run,
    "mutated": envelopes.mutated,
    "types": proposals.types,
    "changes its mind": envelopes.changes_its_mind,
    "usage": envelopes.usage,
    "failures": envelopes.failures,
}
"""Every family of attacks, in the order in which numbers go through them."""


def family_of(number: int) -> str:
    """Families take turns."""
    return tuple(FAMILIES)[number % len(FAMILIES)]


def hostile(number: int, context: DecisionContext, *, seed: int = SEED) -> Hostile:
    """The attack of that number on that context."""
    rng = random.Random(f"{seed}:{number}")
    family = family_of(number)
    made = FAMILIES[family](rng, context)
    replies = tuple(made) if isinstance(made, list) else (made,)
    if len(replies) == 1 and rng.random() < 0.3:
        replies += (Said(payload=proposals.dumps(proposals.forward(rng, context))),)  # corrected into a plain demand
    return Hostile(number=number, family=family, replies=replies)
