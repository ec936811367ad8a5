"""Reservations as rows of the control store; read inside a transaction of `interlock.registry.control.reservations`."""

import sqlite3

from interlock.contracts.reservation import Holder, Reservation, State
from interlock.errors import UsageError

THOUSAND = 1000


def thousandths(amount: float) -> int:
    """Amounts as they are stored and added: exact."""
    return round(amount * THOUSAND)


def sums(database: sqlite3.Connection, state: State, *, before: int | None = None) -> dict[str, int]:
    """Thousandths of each resource in reservations of this state, or of those asked for earlier than `before`."""
    rows = database.execute(
        "SELECT resource, SUM(thousandths) FROM reserved_amounts JOIN reservations USING (ticket) "
        "WHERE state = ? AND (? IS NULL OR ticket < ?) GROUP BY resource",
        (state, before, before),
    )
    return {name: int(amount) for name, amount in rows}


def amounts_of(database: sqlite3.Connection, ticket: int) -> dict[str, int]:
    """Thousandths of each resource that one reservation is about."""
    rows = database.execute("SELECT resource, thousandths FROM reserved_amounts WHERE ticket = ?", (ticket,))
    return {name: int(amount) for name, amount in rows}


def find(database: sqlite3.Connection, name: str) -> Reservation:
    """A reservation by its name, whatever became of it. Raises UsageError."""
    row = database.execute("SELECT ticket FROM reservations WHERE id = ?", (name,)).fetchone()
    if row is None:
        raise UsageError("no such reservation", key="reservation", value=name, hint="interlock resources list")
    return read(database, row["ticket"])


def open_reservations(database: sqlite3.Connection) -> list[Reservation]:
    """What is held or waited for, in the order of asking."""
    rows = database.execute("SELECT ticket FROM reservations WHERE state IN ('waiting', 'granted') ORDER BY ticket")
    return [read(database, row["ticket"]) for row in rows.fetchall()]


def read(database: sqlite3.Connection, ticket: int) -> Reservation:
    """A reservation by its ticket."""
    row = dict(database.execute("SELECT * FROM reservations WHERE ticket = ?", (ticket,)).fetchone())
    holder = Holder(**{name: row.pop(name) for name in Holder.model_fields})
    amounts = {name: amount / THOUSAND for name, amount in amounts_of(database, ticket).items()}
    return Reservation(**row, holder=holder, amounts=amounts)  # type: ignore[arg-type]
