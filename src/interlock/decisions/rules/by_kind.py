"""The rules of each kind of decision under one roof, and the rules as a policy.

    decide(context)              pure; the result has passed the guard
    Rules().decide(context)      the same as a policy that nests

A kind's rules are loaded when they are needed: the stages of a lane rest on the rules about lanes and on no others.
"""

from importlib import import_module

from interlock.contracts.decision import Decision, DecisionContext
from interlock.decisions.rules import lane


def decide(context: DecisionContext) -> Decision:
    """Decide by the rules. Raises DecisionError where nothing that they would choose is allowed."""
    if context.kind == "lane":
        return lane.decide(context)
    decision: Decision = import_module(f"interlock.decisions.rules.{context.kind}").decide(context)
    return decision


class Rules:
    """The rules as a policy."""

    def decide(self, context: DecisionContext) -> Decision:
        """As the function of that name; raises DecisionError likewise."""
        return decide(context)
