"""Reservations: refusals, then any sequence of asking, renewing, releasing and waiting, then real processes."""

import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle as Names
from hypothesis.stateful import RuleBasedStateMachine, consumes, invariant, multiple, rule

from interlock.contracts.quotas import Quotas
from interlock.contracts.reservation import Holder
from interlock.errors import QuotaError, UsageError
from interlock.registry.control import processes
from interlock.registry.control.processes import this_process
from interlock.registry.control.reservations import Clock, Reservations
from interlock.registry.control.store import ControlStore


class Time:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        """Begins in 1970."""
        self.now_s = 1000.0
        self.meanwhile: Callable[[], object] = lambda: None

    def sleep(self, seconds: float) -> None:
        """Time passes, and something may happen in it."""
        self.now_s += seconds
        self.meanwhile()

    @property
    def clock(self) -> Clock:
        """As the resource manager wants it."""
        return Clock(now=lambda: self.now_s, sleep=self.sleep)


def _holder(run: str = "run", *, pid: int = 1) -> Holder:
    return Holder(job="job_01", run=run, pid=pid, process_started_s=0.0, host="here", boot_id="boot")


@pytest.fixture
def now() -> Time:
    return Time()


@pytest.fixture
def manager(tmp_path: Path, now: Time) -> Reservations:
    quotas = Quotas(cpu=4, cuda=1, disk_gb=0.3)
    return Reservations(ControlStore(tmp_path), quotas, clock=now.clock, is_gone=lambda holder: holder.pid == 666)


@pytest.mark.parametrize(
    ("amounts", "told"),
    [
        ({}, "nothing to reserve"),
        ({"gpu": 1}, "gpu"),
        ({"cpu": 0}, "greater than or equal to 0.001"),
        ({"cpu": -1}, "greater than or equal to 0.001"),
        ({"cpu": float("nan")}, "cpu: cannot be reserved"),
        ({"cpu": float("inf")}, "cpu: cannot be reserved"),
        ({"cpu": "2"}, "valid number"),
        ({"cpu": True}, "valid number"),
        ({"cpu": 1, "cuda": 0.0001}, "cuda"),
    ],
)
def test_nonsense_is_refused(manager: Reservations, amounts: Any, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        manager.ask(amounts, holder=_holder())
    assert manager.standing() == ()


def test_more_than_the_quota_is_refused_at_once(manager: Reservations) -> None:
    with pytest.raises(QuotaError, match=r"quotas\.cuda: more than the quota will ever give \(1\) \(got 2\.0\)"):
        manager.ask({"cpu": 1, "cuda": 2}, holder=_holder())
    assert manager.standing() == ()


def test_all_or_nothing_and_who_has_it_is_told(manager: Reservations) -> None:
    manager.reserve({"cuda": 1}, holder=_holder("first"))
    with pytest.raises(
        QuotaError, match=r"not free now \(quota 4 cpu, 1 cuda\): 1 cuda held by job_01 first \(process 1 on here\)"
    ):
        manager.reserve({"cpu": 2, "cuda": 1}, holder=_holder())
    assert [found.amounts for found in manager.standing()] == [{"cuda": 1.0}]
    assert manager.left() == {"cpu": 4.0, "cuda": 0.0, "disk_gb": 0.3}


def test_unknown_and_ended_reservations(manager: Reservations, now: Time) -> None:
    for act in (manager.poll, manager.release, manager.find):
        with pytest.raises(UsageError, match="no such reservation"):
            act("nothing")
    held = manager.reserve({"cpu": 1}, holder=_holder(), lease_s=10.0)
    now.now_s += 10.0
    with pytest.raises(QuotaError, match="this reservation is expired"):
        manager.renew(held.id)
    assert manager.find(held.id).state == "expired"
    assert manager.release(held.id).state == "expired"


@pytest.mark.parametrize("lease_s", [0.0, -1.0, float("inf"), float("nan")])
def test_a_lease_has_an_end(manager: Reservations, lease_s: float) -> None:
    with pytest.raises(UsageError, match="lease"):
        manager.ask({"cpu": 1}, holder=_holder(), lease_s=lease_s)


def test_renewal_keeps_it(manager: Reservations, now: Time) -> None:
    held = manager.reserve({"cpu": 4}, holder=_holder(), lease_s=10.0)
    for _ in range(5):
        now.now_s += 9.0
        assert manager.renew(held.id).expires_at_s == now.now_s + 10.0
    now.now_s += 10.0
    assert manager.reserve({"cpu": 4}, holder=_holder()).state == "granted"


def test_first_come_first_served_but_others_pass_by(manager: Reservations) -> None:
    held = manager.reserve({"cuda": 1, "cpu": 1}, holder=_holder())
    first = manager.ask({"cuda": 1, "cpu": 2}, holder=_holder("first"))
    assert first.state == "waiting"
    with pytest.raises(QuotaError, match="2 cpu, 1 cuda waited for by job_01 first"):
        manager.reserve({"cpu": 1}, holder=_holder())  # there are 3, and first would never get its 2 if all took some
    assert manager.reserve({"disk_gb": 0.1}, holder=_holder()).state == "granted"
    assert manager.reserve({"mps": 7}, holder=_holder()).state == "granted"  # no quota, no limit
    manager.release(held.id)
    assert manager.poll(first.id).state == "granted"


def test_sums_are_exact(manager: Reservations) -> None:
    for _ in range(3):
        manager.reserve({"disk_gb": 0.1}, holder=_holder())
    assert manager.left()["disk_gb"] == 0.0


def test_the_dead_do_not_wait_but_what_they_hold_runs_out(manager: Reservations, now: Time) -> None:
    held = manager.reserve({"cuda": 1}, holder=_holder("dead", pid=666), lease_s=10.0)
    waits = manager.ask({"cuda": 1}, holder=_holder("dead", pid=666))
    behind = manager.ask({"cuda": 1}, holder=_holder("alive"))
    assert manager.find(waits.id).state == "expired"
    assert manager.find(held.id).state == "granted"
    now.now_s += 10.0
    assert manager.poll(behind.id).state == "granted"


def test_waiting_ends_when_it_is_free(manager: Reservations, now: Time) -> None:
    held = manager.reserve({"cuda": 1}, holder=_holder())
    now.meanwhile = lambda: manager.release(held.id) if now.now_s > 1005.0 else None
    found = manager.wait({"cuda": 1}, holder=_holder("second"), timeout_s=60.0)
    assert (found.state, found.asked_at_s, found.granted_at_s) == ("granted", 1000.0, 1006.0)


def test_waiting_in_vain_leaves_no_place_in_the_queue(manager: Reservations) -> None:
    manager.reserve({"cuda": 1}, holder=_holder("first"), lease_s=1e6)
    with pytest.raises(QuotaError, match="held by job_01 first"):
        manager.wait({"cuda": 1}, holder=_holder(), timeout_s=5.0)
    assert [found.holder.run for found in manager.standing()] == ["first"]


def test_an_interrupted_wait_leaves_no_place_either(manager: Reservations, now: Time) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    manager.reserve({"cuda": 1}, holder=_holder("first"))
    now.meanwhile = interrupt
    with pytest.raises(KeyboardInterrupt):
        manager.wait({"cuda": 1}, holder=_holder(), timeout_s=5.0)
    assert len(manager.standing()) == 1


def test_a_block_gives_back_what_it_held(manager: Reservations) -> None:
    with pytest.raises(ZeroDivisionError), manager.hold({"cuda": 1}, holder=_holder()) as held:
        _ = 1 / 0
    assert manager.find(held.id).state == "released"


def test_a_lowered_quota_grants_nothing_more(manager: Reservations, tmp_path: Path, now: Time) -> None:
    manager.reserve({"cpu": 3}, holder=_holder())
    lowered = Reservations(ControlStore(tmp_path), Quotas(cpu=2), clock=now.clock, is_gone=lambda holder: False)
    assert lowered.left() == {"cpu": -1.0}
    with pytest.raises(QuotaError):
        lowered.reserve({"cpu": 1}, holder=_holder())


def test_old_reservations_are_forgotten(manager: Reservations, now: Time) -> None:
    held = manager.reserve({"cpu": 1}, holder=_holder())
    manager.release(held.id)
    now.now_s += 40 * 24 * 3600.0
    with pytest.raises(UsageError, match="no such reservation"):
        manager.find(held.id)


def test_this_process_is_not_gone_and_others_are() -> None:
    own = this_process(run="run")
    assert not processes.is_gone(own)
    assert processes.is_gone(own.model_copy(update={"process_started_s": own.process_started_s - 100.0}))
    assert processes.is_gone(own.model_copy(update={"boot_id": "another boot"}))
    assert not processes.is_gone(own.model_copy(update={"host": "another machine", "pid": 2**22 + 1}))


AMOUNTS = st.dictionaries(st.sampled_from(["cpu", "cuda", "mps"]), st.integers(1, 30).map(lambda n: n / 10), min_size=1)
LIMITS = {"cpu": 3.0, "cuda": 2.0}


class AnySequence(RuleBasedStateMachine):
    """Whatever is asked for in whatever order: never over quota, nothing lost, nobody overtaken."""

    names = Names("names")

    def __init__(self) -> None:
        """A store of its own."""
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.time, self.known, self.dead = Time(), {}, set()
        self.store = ControlStore(Path(self.folder.name))
        self.manager = Reservations(
            self.store, Quotas(**LIMITS), clock=self.time.clock, is_gone=lambda holder: holder.pid in self.dead
        )

    def teardown(self) -> None:
        """Leave nothing."""
        self.store.close()
        self.folder.cleanup()

    @rule(target=names, amounts=AMOUNTS, pid=st.integers(1, 4))
    def ask(self, amounts: dict[Any, float], pid: int) -> Any:
        """Granted or waiting, unless it is more than there will ever be."""
        fits = all(amount <= LIMITS.get(name, amount) for name, amount in amounts.items())
        try:
            found = self.manager.ask(amounts, holder=_holder(pid=pid), lease_s=20.0)
        except QuotaError:
            assert not fits
            return multiple()
        assert fits
        self.known[found.id] = found
        return found.id

    @rule(name=names)
    def poll(self, name: str) -> None:
        """Renews what stands, refuses what ended."""
        state = self.manager.find(name).state
        if state in ("waiting", "granted"):
            assert self.manager.poll(name).expires_at_s == self.time.now_s + 20.0
        else:
            with pytest.raises(QuotaError):
                self.manager.poll(name)

    @rule(name=consumes(names))
    def release(self, name: str) -> None:
        """Twice is as good as once."""
        once = self.manager.release(name)
        assert once.state not in ("waiting", "granted")
        assert self.manager.release(name) == once

    @rule(seconds=st.sampled_from([1.0, 7.0, 19.0, 20.0]))
    def time_passes(self, seconds: float) -> None:
        """What is not renewed frees itself."""
        self.time.now_s += seconds
        assert all(found.expires_at_s > self.time.now_s for found in self.manager.standing())

    @rule(pid=st.integers(1, 4))
    def dies(self, pid: int) -> None:
        """Whoever waits for a dead process waits no more."""
        self.dead.add(pid)
        assert not [
            item for item in self.manager.standing() if item.state == "waiting" and item.holder.pid in self.dead
        ]

    @invariant()
    def never_over_quota(self) -> None:
        """Summed here, from what is told of each."""
        held: dict[str, int] = {}
        for found in self.manager.standing():
            if found.state == "granted":
                for name, amount in found.amounts.items():
                    held[name] = held.get(name, 0) + round(amount * 10)
        assert all(held.get(name, 0) <= limit * 10 for name, limit in LIMITS.items())

    @invariant()
    def nothing_is_lost(self) -> None:
        """Each is still what it was asked for."""
        for name, asked in self.known.items():
            found = self.manager.find(name)
            assert (found.amounts, found.ticket, found.holder) == (asked.amounts, asked.ticket, asked.holder)

    @invariant()
    def nobody_is_overtaken(self) -> None:
        """What was granted never began to wait after one that still waits for the same."""
        standing = self.manager.standing()
        for waits in (found for found in standing if found.state == "waiting"):
            for held in (found for found in standing if found.state == "granted" and found.ticket > waits.ticket):
                assert not set(held.amounts) & set(waits.amounts) & set(LIMITS)


TestAnySequence = AnySequence.TestCase
TestAnySequence.settings = settings(max_examples=40, stateful_step_count=20, deadline=None)


def _racer(home: str, log: str, number: int) -> None:
    """Take one of two places ten times, writing down when it was held."""
    manager = Reservations(ControlStore(Path(home)), Quotas(cuda=2))
    for _ in range(10):
        held = manager.wait({"cuda": 1}, holder=this_process(run=f"run {number}"), timeout_s=60.0, poll_s=0.002)
        begin = time.monotonic_ns()
        time.sleep(0.001)
        line = f"{begin} {time.monotonic_ns()}\n"
        manager.release(held.id)
        with Path(log).open("a") as file:
            file.write(line)


def test_processes_race_and_none_is_one_too_many(tmp_path: Path) -> None:
    log = tmp_path / "held.txt"
    context = multiprocessing.get_context("spawn" if sys.platform == "darwin" else "fork")
    racers = [context.Process(target=_racer, args=(str(tmp_path), str(log), number)) for number in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join(60)
    assert [racer.exitcode for racer in racers] == [0, 0, 0, 0]
    spans = [tuple(map(int, line.split())) for line in log.read_text().splitlines()]
    assert len(spans) == 40
    assert max(sum(begin <= at < end for begin, end in spans) for at, _ in spans) <= 2
    assert Reservations(ControlStore(tmp_path), Quotas(cuda=2)).standing() == ()


def _dies_waiting(home: str) -> None:
    manager = Reservations(ControlStore(Path(home)), Quotas(cuda=1))
    manager.ask({"cuda": 1}, holder=this_process(run="dies"))
    os._exit(9)


def test_a_killed_process_does_not_block_the_queue(tmp_path: Path) -> None:
    manager = Reservations(ControlStore(tmp_path), Quotas(cuda=1))
    held = manager.reserve({"cuda": 1}, holder=this_process(run="holds"))
    child = multiprocessing.get_context("fork").Process(target=_dies_waiting, args=(str(tmp_path),))
    child.start()
    child.join()
    manager.release(held.id)
    assert manager.reserve({"cuda": 1}, holder=this_process(run="next")).state == "granted"
