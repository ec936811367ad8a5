"""Agents' policies: what can be written down, and what is refused before anything is built."""

import json

import pytest
from pydantic import TypeAdapter, ValidationError

from interlock.contracts.agent import Policy

POLICY = TypeAdapter(Policy)
MEMBERS = ["a", "b", "c"]


def parsed(value):
    return POLICY.validate_json(json.dumps(value))


def quorum(**changes):
    return {"kind": "quorum", "members": MEMBERS, "chair": "c", **changes}


@pytest.mark.parametrize(
    "proposal", [{"kind": "llm"}, {"kind": "llm", "models": ["x"]}, {"kind": "person"}, {"kind": "rules"}, quorum()]
)
def test_proposals_stand_inside_a_guard(proposal):
    found = parsed({"kind": "guard", "proposal": proposal})
    assert (found.proposal.kind, found.fallback.kind) == (proposal["kind"], "rules")


@pytest.mark.parametrize("unguarded", [{"kind": "llm"}, {"kind": "person"}, quorum()])
def test_nobody_but_rules_decides_without_a_guard(unguarded):
    with pytest.raises(ValidationError):
        parsed(unguarded)


def test_a_guard_falls_back_on_rules_and_nothing_else():
    with pytest.raises(ValidationError):
        parsed({"kind": "guard", "proposal": {"kind": "person"}, "fallback": {"kind": "llm"}})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"members": ["a", "b"]}, "at least 3"),
        ({"members": ["a", "b", "b", "c"]}, "names one twice"),
        ({"chair": "d"}, "the chair d is no member"),
        ({"go_min": 1}, "greater than or equal to 2"),
        ({"go_min": 4}, "no majority of 3"),
        ({"members": ["a", "b", "c", "d"], "go_min": 2}, "no majority of 4"),
    ],
)
def test_a_quorum_is_a_majority_of_members_with_a_chair(changes, words):
    with pytest.raises(ValidationError, match=words):
        parsed({"kind": "guard", "proposal": quorum(**changes)})
