"""Scores the rules of other systems on the cases that have a world: passes against everything that is no pass.

Their states are fewer than four, so that only one thing is asked: does it go on? A fault that a rule is not given, such
as a swapped split for a system that knows no splits, is counted apart from one that stands in its own numbers.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from gatebench.cases import Case
from gatebench.peers import PEERS, Outcome, reads


@dataclass
class Tally:
    """Counts of one system, over all cases or over those of one fault."""

    stopped: int = 0
    """Faults that it did not pass."""
    wrong_passes: int = 0
    """Faults in the numbers it reads that it passed."""
    unseen: int = 0
    """Faults that it passed, and that change nothing in what it reads."""
    no_rule: int = 0
    """Faults of gates that it has no rule for, or gives no verdict on."""
    twins_passed: int = 0
    wrong_stops: int = 0
    """Healthy twins that it did not pass."""
    by_fault: dict[str, "Tally"] = field(default_factory=dict)

    @property
    def right_share(self) -> float | None:
        """Right decisions, of faults and twins alike, among those that it has a rule for."""
        right = self.stopped + self.twins_passed
        asked = right + self.wrong_passes + self.unseen + self.wrong_stops
        return right / asked if asked else None

    def as_json(self) -> dict[str, Any]:
        """Plain numbers."""
        share = self.right_share
        return {
            "faults_stopped": self.stopped,
            "wrong_passes": self.wrong_passes,
            "passes_of_faults_it_is_not_given": self.unseen,
            "no_rule": self.no_rule,
            "twins_passed": self.twins_passed,
            "wrong_stops": self.wrong_stops,
            "right_share": None if share is None else round(share, 4),
        }


def score_peers(cases: Iterable[Case]) -> dict[str, Tally]:
    """One tally for each system, with one for each fault inside."""
    tallies = {name: Tally() for name in PEERS}
    for case in cases:
        for name, tally in tallies.items():
            _count(case, name, tally)
    return tallies


def _count(case: Case, name: str, tally: Tally) -> None:
    assert case.world
    assert case.twin
    world, twin = case.world(), case.twin()
    outcome, healthy = PEERS[name](world), PEERS[name](twin)
    is_unseen = reads(name, world) == reads(name, twin)
    for counts in (tally, tally.by_fault.setdefault(case.fault, Tally())):
        counts.stopped += outcome is Outcome.NOT_PASS
        counts.no_rule += outcome is Outcome.NO_RULE
        counts.wrong_passes += outcome is Outcome.PASS and not is_unseen
        counts.unseen += outcome is Outcome.PASS and is_unseen
        counts.twins_passed += healthy is Outcome.PASS
        counts.wrong_stops += healthy is Outcome.NOT_PASS
