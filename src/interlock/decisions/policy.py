"""The one interface of everything that decides. Rules, models, guards, quorums and people share it and nest."""

from typing import Protocol

from interlock.contracts.decision import Decision, DecisionContext


class Policy(Protocol):
    """Something that decides."""

    def decide(self, context: DecisionContext) -> Decision:
        """Choose inside the context. Raises NoDecisionError, with everything that was tried, where it cannot."""
        ...
