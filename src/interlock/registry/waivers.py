"""Waivers: a person goes on after an inconclusive verdict, for a while and in sight of everybody.

    standing_waiver(home, run_id, now=now)        # given by interlock.registry.waiving

A waiver is about one judgement: judging anew voids it. The verdict stays `inconclusive` and its exit code with it; what
a waived model may do is to go into shadow, where it answers nobody. A fail or a block cannot be waived.
"""

from datetime import datetime
from pathlib import Path

from interlock.contracts.approval import Waived, Waiver
from interlock.contracts.verdict import Verdict
from interlock.registry import index
from interlock.registry.approvals import minute


def waivers(home: Path, *, now: datetime) -> tuple[Waiver, ...]:
    """Every waiver that was given, oldest first, with whether it stands."""
    with index.reading(home) as database:
        rows = database.execute(
            "SELECT said.*, runs.judgement_id AS newest, runs.verdict "
            "FROM said LEFT JOIN runs ON runs.run_id = subject WHERE kind = 'waived' ORDER BY event"
        ).fetchall()
    found = []
    for row in rows:
        body = Waived.model_validate_json(row["body"])
        is_void = body.judgement_id != row["newest"] or row["verdict"] != Verdict.INCONCLUSIVE
        is_over = datetime.fromisoformat(body.expires_at) <= now
        found.append(
            Waiver(
                id=row["key"], run_id=body.run_id, judgement_id=body.judgement_id, lane=body.lane, by=body.by,
                reason=body.reason, at=row["at"], expires_at=body.expires_at, keyid=body.keyid,
                state="void" if is_void else "expired" if is_over else "standing",
            )
        )  # fmt: skip
    return tuple(found)


def standing_waiver(home: Path, run_id: str, *, now: datetime) -> Waiver | None:
    """The waiver of the run's newest judgement that ends last; None where none stands."""
    found = [item for item in waivers(home, now=now) if item.run_id == run_id and item.state == "standing"]
    return max(found, key=lambda item: item.expires_at, default=None)


def shown_waiver(waiver: Waiver) -> str:
    """A standing waiver as one line, for wherever the run's verdict is shown."""
    return f"WAIVED by {waiver.by} until {minute(waiver.expires_at)}: {waiver.reason}"
