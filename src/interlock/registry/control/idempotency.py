"""A request that is sent again under its idempotency key is answered as the first time, and done once.

    claimed = claim(store, key, request_sha256=..., owner=server_id, now_s=...)
    if isinstance(claimed, Answer): ...              # as before
    ...work...
    keep(store, key, Answer(status=201, body=b"..."))

A key belongs to one request; under another body it is refused. A claim whose server is gone is taken over: the work
may then be done a second time, so it must bear that, which heartbeats, reservations and submitted cards do because
each carries its own name. Answers are forgotten after a day.
"""

from dataclasses import dataclass
from enum import Enum

from interlock.registry.control.store import ControlStore

KEPT_S = 24 * 3600.0
"""How long an answer is kept."""


@dataclass(frozen=True)
class Answer:
    """What was answered."""

    status: int
    """HTTP status."""
    body: bytes
    """The body, as sent."""


class Claim(Enum):
    """What a key that has no answer yet means for whoever sends it."""

    OURS = "do the work"
    BUSY = "the first request is being worked on"
    MISUSED = "the key belongs to another request"


def claim(store: ControlStore, key: str, *, request_sha256: str, owner: str, now_s: float) -> Answer | Claim:
    """Take the key for this request, or say why not; forgets what is older than a day. Raises RegistryError."""
    with store.transaction() as database:
        database.execute("DELETE FROM answers WHERE asked_at_s < ?", (now_s - KEPT_S,))
        row = database.execute("SELECT * FROM answers WHERE key = ?", (key,)).fetchone()
        if row is None:
            database.execute(
                "INSERT INTO answers (key, request_sha256, owner, asked_at_s) VALUES (?, ?, ?, ?)",
                (key, request_sha256, owner, now_s),
            )
            return Claim.OURS
        if row["request_sha256"] != request_sha256:
            return Claim.MISUSED
        if row["status"] is not None:
            return Answer(row["status"], row["body"])
        if row["owner"] == owner:
            return Claim.BUSY
        database.execute("UPDATE answers SET owner = ? WHERE key = ?", (owner, key))
        return Claim.OURS


def keep(store: ControlStore, key: str, answer: Answer) -> None:
    """Note the answer to a claimed key."""
    with store.transaction() as database:
        database.execute("UPDATE answers SET status = ?, body = ? WHERE key = ?", (answer.status, answer.body, key))


def give_up(store: ControlStore, key: str) -> None:
    """Forget a claim whose work failed without effect, so that it can be tried again."""
    with store.transaction() as database:
        database.execute("DELETE FROM answers WHERE key = ? AND status IS NULL", (key,))
