"""The resource manager: nobody holds more than the quotas allow, and who asked first is served first.

    manager = Reservations(ControlStore(home), experiment.control.quotas)
    with manager.hold({"cuda": 1, "disk_gb": 20}, holder=this_process(run=run_id), timeout_s=600) as held:
        ...; manager.renew(held.id)             before held.lease_s has passed, again and again

    waiting ---> granted ---> released
       |  |         |
       |  +---------+----> expired              not renewed in time; a waiting one also when its process has ended
       +-----------------> withdrawn            gave up waiting

A reservation takes all of its resources or none. It waits while an earlier one waits for a resource that both want and
that has a quota; those who want other things pass by. A resource without a quota is unlimited, and still written down.
A holder renews within its lease: a granted one is not freed when the process that asked has ended, because work that
it began may still hold the device.

Quotas bind whoever asks through this store. They do not keep a process from using what it never asked for.
"""

import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from interlock.contracts.quotas import Quotas
from interlock.contracts.reservation import TRANSITIONS, Amounts, Holder, Reservation, Resource, State
from interlock.errors import QuotaError, UsageError
from interlock.registry.control.processes import is_gone
from interlock.registry.control.reserved_rows import (
    THOUSAND,
    amounts_of,
    find,
    open_reservations,
    read,
    sums,
    thousandths,
)
from interlock.registry.control.store import ControlStore

LEASE_S = 180.0
"""How long a reservation stands without renewal unless its holder says otherwise: three usual heartbeats."""
POLL_S = 1.0
_KEPT_S = 30 * 24 * 3600.0
"""How long ended reservations can be looked up."""
_OPEN = ("waiting", "granted")
_RENEW = "what it held may be another's by now: reserve it again"
_AMOUNTS: TypeAdapter[Amounts] = TypeAdapter(Amounts, config=ConfigDict(strict=True))


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Time as the resource manager sees it; both in seconds."""

    now: Callable[[], float] = time.time
    sleep: Callable[[float], object] = time.sleep


class Reservations:
    """Reservations of one home under the given quotas."""

    def __init__(
        self,
        store: ControlStore,
        quotas: Quotas,
        *,
        clock: Clock = Clock(),
        is_gone: Callable[[Holder], bool] = is_gone,
    ) -> None:
        """`is_gone` tells whether the process of one who waits has ended."""
        self._store, self._clock, self._is_gone = store, clock, is_gone
        limits = quotas.model_dump(exclude_none=True)
        self._limits: dict[str, int] = {name: thousandths(amount) for name, amount in limits.items()}

    def reserve(self, amounts: Mapping[Resource, float], *, holder: Holder, lease_s: float = LEASE_S) -> Reservation:
        """Take all of it now. Raises QuotaError, naming who holds it, when that cannot be; UsageError for nonsense."""
        with self._store.transaction() as database:
            self._expire(database)
            ticket = self._ask(database, amounts, holder, lease_s)
            if not self._grant(database, ticket):
                raise self._refused(database, ticket)  # which takes the place in the queue back
            return read(database, ticket)

    def ask(self, amounts: Mapping[Resource, float], *, holder: Holder, lease_s: float = LEASE_S) -> Reservation:
        """Take all of it now, or a place in the queue; `poll` within the lease keeps the place.

        Raises QuotaError for more than there will ever be, UsageError for nonsense.
        """
        with self._store.transaction() as database:
            self._expire(database)
            ticket = self._ask(database, amounts, holder, lease_s)
            self._grant(database, ticket)
            return read(database, ticket)

    def poll(self, name: str) -> Reservation:
        """Renew it, and grant it when its turn has come. Raises QuotaError when it ended, UsageError when unknown."""
        with self._store.transaction() as database:
            self._expire(database)
            found = find(database, name)
            if found.state not in _OPEN:
                raise QuotaError(f"this reservation is {found.state}", key="reservation", value=name, hint=_RENEW)
            expires = self._clock.now() + found.lease_s
            database.execute("UPDATE reservations SET expires_at_s = ? WHERE ticket = ?", (expires, found.ticket))
            if found.state == "waiting":
                self._grant(database, found.ticket)
            return read(database, found.ticket)

    renew = poll

    def wait(
        self,
        amounts: Mapping[Resource, float],
        *,
        holder: Holder,
        timeout_s: float,
        lease_s: float = LEASE_S,
        poll_s: float = POLL_S,
    ) -> Reservation:
        """Take all of it as soon as it is this one's turn. Raises QuotaError, naming who has it, after `timeout_s`."""
        end = self._clock.now() + timeout_s
        found = self.ask(amounts, holder=holder, lease_s=lease_s)
        try:
            while found.state != "granted":
                left = end - self._clock.now()
                if left <= 0:
                    raise self._told(found.ticket)
                self._clock.sleep(min(poll_s, left, lease_s / 3))
                found = self.poll(found.id)
        except BaseException:
            self.release(found.id)
            raise
        return found

    @contextmanager
    def hold(
        self, amounts: Mapping[Resource, float], *, holder: Holder, timeout_s: float = 0.0, lease_s: float = LEASE_S
    ) -> Iterator[Reservation]:
        """Hold it for the block, which renews it when it takes longer than the lease."""
        found = self.wait(amounts, holder=holder, timeout_s=timeout_s, lease_s=lease_s)
        try:
            yield found
        finally:
            self.release(found.id)

    def release(self, name: str) -> Reservation:
        """Give it back, or give up waiting; nothing happens to one that has ended. Raises UsageError when unknown."""
        with self._store.transaction() as database:
            self._expire(database)
            found = find(database, name)
            if found.state in _OPEN:
                self._move(database, found.ticket, "released" if found.state == "granted" else "withdrawn")
            return read(database, found.ticket)

    def find(self, name: str) -> Reservation:
        """One reservation, also one that has ended. Raises UsageError when unknown."""
        with self._store.transaction() as database:
            self._expire(database)
            return find(database, name)

    def standing(self) -> tuple[Reservation, ...]:
        """Everything that is held or waited for now, in the order of asking."""
        with self._store.transaction() as database:
            self._expire(database)
            return tuple(open_reservations(database))

    def left(self) -> dict[Resource, float]:
        """What is free of every resource that has a quota; below 0 where the quota was lowered."""
        with self._store.transaction() as database:
            self._expire(database)
            held = sums(database, "granted")
        return {name: (limit - held.get(name, 0)) / THOUSAND for name, limit in self._limits.items()}  # type: ignore[misc]

    def _ask(
        self, database: sqlite3.Connection, amounts: Mapping[Resource, float], holder: Holder, lease_s: float
    ) -> int:
        wanted = self._checked(amounts)
        if not 0 < lease_s < float("inf"):
            raise UsageError("a lease is longer than 0 s and has an end", key="lease_s", value=lease_s)
        now = self._clock.now()
        told = (holder.job, holder.run, holder.pid, holder.process_started_s, holder.host, holder.boot_id)
        ticket = database.execute(
            "INSERT INTO reservations (id, state, job, run, pid, process_started_s, host, boot_id, lease_s, "
            "asked_at_s, expires_at_s) VALUES (?, 'waiting', ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (secrets.token_hex(8), *told, lease_s, now, now + lease_s),
        ).lastrowid
        assert ticket is not None
        rows = [(ticket, name, amount) for name, amount in wanted.items()]
        database.executemany("INSERT INTO reserved_amounts VALUES (?, ?, ?)", rows)
        return ticket

    def _checked(self, amounts: Mapping[Resource, float]) -> dict[str, int]:
        """Amounts in thousandths. Raises UsageError for nonsense, QuotaError for more than a quota ever gives."""
        try:
            checked = _AMOUNTS.validate_python(dict(amounts))
        except ValidationError as error:
            fault = error.errors()[0]
            hint = "cpu, cuda, mps, disk_gb; each from 0.001 on"
            raise UsageError(
                f"cannot be reserved: {fault['msg']}",
                key=".".join(map(str, fault["loc"])),
                value=fault["input"],
                hint=hint,
            ) from error
        wanted: dict[str, int] = {name: thousandths(amount) for name, amount in checked.items()}
        if not wanted:
            raise UsageError("nothing to reserve", key="amounts", hint="name a resource: cpu, cuda, mps or disk_gb")
        for name, amount in wanted.items():
            if amount > self._limits.get(name, amount):
                raise QuotaError(
                    f"more than the quota will ever give ({_shown(self._limits[name])})",
                    key=f"control.quotas.{name}",
                    value=amount / THOUSAND,
                    hint="ask for less, or raise the quota in conf/config.yaml",
                )
        return wanted

    def _grant(self, database: sqlite3.Connection, ticket: int) -> bool:
        """Grant it when everything limited that it wants is free and no earlier one waits for the same."""
        wanted = amounts_of(database, ticket)
        limited = {name: amount for name, amount in wanted.items() if name in self._limits}
        held, before = sums(database, "granted"), sums(database, "waiting", before=ticket)
        if any(name in before or held.get(name, 0) + amount > self._limits[name] for name, amount in limited.items()):
            return False
        self._move(database, ticket, "granted")
        return True

    def _move(self, database: sqlite3.Connection, ticket: int, to: State) -> None:
        (now_in,) = database.execute("SELECT state FROM reservations WHERE ticket = ?", (ticket,)).fetchone()
        assert to in TRANSITIONS[now_in], f"no way from {now_in} to {to}"
        column = "granted_at_s" if to == "granted" else "ended_at_s"
        told = (to, self._clock.now(), ticket)
        database.execute(f"UPDATE reservations SET state = ?, {column} = ? WHERE ticket = ?", told)

    def _expire(self, database: sqlite3.Connection) -> None:
        """End what was not renewed, and those who wait for the dead; forget what ended long ago."""
        now = self._clock.now()
        for found in open_reservations(database):
            if found.expires_at_s <= now or (found.state == "waiting" and self._is_gone(found.holder)):
                self._move(database, found.ticket, "expired")
        database.execute("DELETE FROM reservations WHERE ended_at_s < ?", (now - _KEPT_S,))

    def _told(self, ticket: int) -> QuotaError:
        with self._store.transaction() as database:
            return self._refused(database, ticket)

    def _refused(self, database: sqlite3.Connection, ticket: int) -> QuotaError:
        """Who holds, or waits before it for, what this one wants."""
        wanted = amounts_of(database, ticket)
        others = [
            found
            for found in open_reservations(database)
            if found.ticket != ticket and set(found.amounts) & set(wanted)
        ]
        in_the_way = [
            f"{_listed(found.amounts)} {'held by' if found.state == 'granted' else 'waited for by'} {found.holder}"
            for found in others
            if found.state == "granted" or found.ticket < ticket
        ]
        limits = {name: self._limits[name] / THOUSAND for name in wanted if name in self._limits}
        return QuotaError(
            f"not free now (quota {_listed(limits)}): " + "; ".join(in_the_way),
            key="resources",
            value=_listed({name: amount / THOUSAND for name, amount in wanted.items()}),
            hint="wait, end that work, or raise control.quotas in conf/config.yaml; interlock resources list shows all",
        )


def _shown(amount: int) -> str:
    return f"{amount / THOUSAND:g}"


def _listed(amounts: Mapping[Any, float]) -> str:
    return ", ".join(f"{amount:g} {name}" for name, amount in sorted(amounts.items()))
