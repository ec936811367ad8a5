"""The stored situations: what was judged, what was tried, what it led to, and what was therefore right.

    for situation in load():
        situation.right            names of the actions that really led to a pass
    situation.right_at_once    those whose very next run passed
        situation.context()        what a policy is shown

What is right follows from the recorded outcomes and from nothing else:

    the runs of the lineage are used up, or a pass would be unjust      escalate
    pass                                                                accept
    otherwise                                           every tried action that led to a pass; escalate where none did

A retrain that the rules proposed and were followed from also counts where the pass came later, within the attempts.
"""

import hashlib
import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from decisions.contexts import context_of
from decisions.plan import DRIVE_SEED
from decisions.running import Run

DATA = Path(__file__).parent / "data"
NOT_TRIED = ("accept", "escalate", "reject")
"""Actions that need no run to know where they lead."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one action led to."""

    name: str
    action: str
    overrides: Mapping[str, float]
    run_id: str
    verdict: str
    seconds: float
    missed: Mapping[str, Mapping[str, Any]]
    error: str = ""
    passed_at: int | None = None
    """Run of the lineage at which the rules came to a pass from here, where they were followed."""

    @property
    def worked(self) -> bool:
        """Whether it led to a pass, at once or, followed by the rules, within the attempts."""
        return self.verdict == "pass" or self.passed_at is not None


@dataclass(frozen=True, kw_only=True)
class Situation:
    """A judged run, where it stands, and the outcomes of what was tried."""

    name: str
    kind: str
    lane: str
    setting: str
    changes: Mapping[str, Any]
    plant: str
    unjust: bool
    """Whether a pass would be wrong."""
    attempts: int
    max_attempts: int
    run: str
    """Key of the judged run among the stored files."""
    run_id: str
    verdict: str
    outcomes: tuple[Outcome, ...]

    @property
    def split(self) -> Literal["dev", "test"]:
        """`dev` may be looked at when rules are tuned; `test` may not.

        The name's digest decides; the draws that `drive_vs_random.py` begins from are `test`.
        """
        if self.name.startswith(f"tower-{DRIVE_SEED}-"):
            return "test"
        return "dev" if hashlib.sha256(self.name.encode()).digest()[0] % 2 == 0 else "test"

    @property
    def right(self) -> frozenset[str]:
        """Names of what really worked; `accept` and `escalate` stand for themselves."""
        return self._right({item.name for item in self.outcomes if item.worked})

    @property
    def right_at_once(self) -> frozenset[str]:
        """The same where only a pass of the very next run counts: stricter, and no policy's own way is followed."""
        return self._right({item.name for item in self.outcomes if item.verdict == "pass"})

    def _right(self, worked: set[str]) -> frozenset[str]:
        if self.unjust or (self.verdict != "pass" and self.attempts >= self.max_attempts):
            return frozenset({"escalate"})
        if self.verdict == "pass":
            return frozenset({"accept"})
        return frozenset(worked) or frozenset({"escalate"})

    def context(self) -> Any:
        """What a policy is shown, built from the stored files."""
        return _context(self.run, self.attempts, self.max_attempts)


@cache
def load() -> tuple[Situation, ...]:
    """All stored situations, in the order of the plan; what the rules proposed and was run is one outcome more."""
    proposed = json.loads(path.read_text()) if (path := DATA / "proposed.json").is_file() else {}
    return tuple(
        _situation(row, proposed.get(row["name"])) for row in json.loads((DATA / "situations.json").read_text())
    )


def _situation(row: dict[str, Any], proposed: dict[str, Any] | None) -> Situation:
    tried = list(row["outcomes"])
    if proposed is not None:
        same = [item for item in tried if item["action"] == "retrain" and item["overrides"] == proposed["overrides"]]
        kept = [item for item in tried if item not in same]
        tried = [*kept, {**proposed, "name": same[0]["name"] if same else proposed["name"]}]
    return Situation(**{**row, "outcomes": tuple(Outcome(**item) for item in tried)})


@cache
def _context(key: str, attempts: int, max_attempts: int) -> Any:
    run = Run(key=key, files=stored_runs()[key], seconds=0.0)
    return context_of(run, attempts=attempts, max_attempts=max_attempts)


@cache
def stored_runs() -> dict[str, dict[str, str]]:
    """Raw files of every judged run, by its key."""
    return dict(json.loads(lzma.decompress((DATA / "runs.json.xz").read_bytes())))
