"""Write down that a person goes on after an inconclusive verdict (`interlock.registry.waivers`).

    waive(home, "3f2a", told=Told(by="Ada", reason="...", expires="24h"), now=now)

Nothing of the verdict changes, and nothing else may be waived.
"""

from datetime import datetime
from pathlib import Path

from interlock.contracts.approval import WAIVER_DAYS_MAX, Waived, Waiver
from interlock.contracts.verdict import Verdict
from interlock.errors import RegistryError
from interlock.provenance.canonical import plain
from interlock.registry import index
from interlock.registry.events import Proposal, append_new
from interlock.registry.persons import Told, expiry, person, words
from interlock.registry.queries import find_run
from interlock.registry.signed_words import signed
from interlock.registry.waivers import standing_waiver

_INSTEAD = {
    Verdict.PASS: "it needs none",
    Verdict.FAIL: "a fail stays a fail: train again, or change the gate in conf/, visibly, and judge again",
    Verdict.BLOCKED: "repair what kept it from being judged, and judge again",
}


def waive(home: Path, run: str, *, told: Told, now: datetime) -> Waiver:
    """Waive a run's newest judgement.

    Raises UsageError for an unknown run, an agent, empty words or a wrong time, RegistryError unless the verdict is
    `inconclusive`.
    """
    by, reason = person("--by", told.by, told.agents), words("--reason", told.reason)
    expires_at = expiry(told.expires, now=now, days_max=WAIVER_DAYS_MAX)
    row = find_run(home, run)
    if row.verdict != Verdict.INCONCLUSIVE:
        hint = _INSTEAD[Verdict(row.verdict)] if row.verdict else f"interlock judge {row.run_id}"
        raise RegistryError(
            f"only an inconclusive verdict can be waived, and this run's is {row.verdict or 'missing'}",
            key=row.run_id,
            hint=hint,
        )
    body = Waived(
        by=by, reason=reason, run_id=row.run_id, judgement_id=_judgement(home, row.run_id), lane=row.lane,
        expires_at=expires_at,
    )  # fmt: skip
    words_ = plain(signed(body, subject=row.run_id))
    append_new(home, [Proposal(kind="waived", subject=row.run_id, body=words_)])
    index.refresh(home)
    found = standing_waiver(home, row.run_id, now=now)
    assert found is not None
    return found


def _judgement(home: Path, run_id: str) -> str:
    with index.reading(home) as database:
        row = database.execute("SELECT judgement_id FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    return str(row["judgement_id"])
