"""Every row of the recovery table, injected for real; the tests and the benchmark run the same ones.

    found = nan_in_loss(root)        an `Injected`: what it was found to be, what was done, what was not told

Each makes a home of its own below `root`, breaks one thing, and lets the train stage do what it does. `silent` lists
whatever differs from what was asked for without being on record; it has to be empty. What is wanted of each stands in
`recovery_table`.
"""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from faulty_homes import FaultyHome, home_of

from interlock.contracts.heartbeat import Heartbeat
from interlock.contracts.recovery import Action, Evidence, FaultClass, HeartbeatEvidence
from interlock.provenance import attempts
from interlock.provenance.canonical import sha256_json
from interlock.provenance.dotted import lookup, select
from interlock.provenance.identity import input_digests, run_id
from interlock.recovery.classify import classify
from interlock.recovery.policy import POLICY
from interlock.runs.healing import watch
from interlock.runs.healing.lineage import lineage_of
from interlock.stages.progress import Silent

FAULTS = "lane.trainer.faults"


@dataclass(kw_only=True)
class Injected:
    """What became of one fault."""

    home: FaultyHome
    fault: FaultClass
    """What it was found to be."""
    action: Action
    """What was done about it."""
    end: str
    """`healed`: training ended well by itself. `stopped`: it ended with an error. Or `queued`, `substituted`."""
    new_run: bool
    """Whether another run than the one that was asked for came of it."""
    silent: list[str] = field(default_factory=list)
    """Changes that nothing tells of."""
    said: str = ""
    """What the person at the screen saw."""


def trained(home: FaultyHome, *, end: str = "", said: str = "") -> Injected:
    """What the home says of its last fault."""
    event = home.faults[-1]
    assert event.classified is not None
    assert event.treatment is not None
    ended_well = (home.work / "train" / "record.json").is_file()
    return Injected(
        home=home,
        fault=event.classified.fault,
        action=event.treatment.action,
        end=end or ("healed" if ended_well else "stopped"),
        new_run=ended_well and home.record.run_id != home.asked_run,
        silent=silent_changes(home),
        said=said or "\n".join(home.said.texts),
    )


def silent_changes(home: FaultyHome) -> list[str]:
    """What differs from the composed configuration without being told by record, report and log."""
    if not (home.work / "train" / "record.json").is_file():
        return [] if home.faults else ["training ended without a record and nothing was logged"]
    record, asked = home.record, select(home.asked(), list(_flat(home.record.params)))
    used = _flat(record.params)
    differing = {key: (lookup(asked, key), value) for key, value in used.items() if lookup(asked, key) != value}
    problems = []
    if sha256_json(record.params) != record.params_sha256:
        problems.append("the record's configuration is not what its digest says")
    if (record.asked_params_sha256 is not None) != bool(differing):
        problems.append("the record does not say that another configuration was asked for")
    if (record.run_id != home.asked_run) != bool(differing or record.warm_start_sha256):
        problems.append("the run's id does not follow what may change its bits")
    if _identity(home) != record.run_id:
        problems.append("the run's id is not that of its configuration and inputs")
    told = home.report
    if {key: tuple(pair) for key, pair in told.changes.items()} != differing:
        problems.append(f"recovery.json tells {told.changes}, the configuration differs in {differing}")
    if (told.warm_start.sha256 if told.warm_start else None) != record.warm_start_sha256:
        problems.append("recovery.json tells of other weights to begin with")
    if len(told.says) != len(told.events) or [event.run_id for event in told.events] != [
        event.run_id for event in home.faults[-len(told.events) :]
    ]:
        problems.append("recovery.json and the log tell of other faults")
    return problems


def _identity(home: FaultyHome) -> str:
    record = home.record
    prepared = home.prepared
    lane: Any = record.params["lane"]
    return run_id(
        lane_body=lane, seed=int(str(record.params["seed"])), hardware=dict(record.params["hardware"]),  # type: ignore[arg-type]
        dataset_sha256=str(prepared.facts["dataset_sha256"]), input_digests=input_digests(record),
        code_sha256=record.code_sha256, lock_sha256=record.lock_sha256,
    )  # fmt: skip


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        found |= (
            _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) and value else {f"{prefix}{name}": value}
        )
    return found


def in_process(root: Path, *overrides: str) -> Injected:
    """Train in this process; an error is what a person would see."""
    home = FaultyHome(root)
    home.compose(*overrides)
    home.stage("prepare")
    return attempt(home)


def attempt(home: FaultyHome) -> Injected:
    """Call the train stage once more."""
    try:
        home.stage("train")
    except Exception as error:
        return trained(home, said=f"{type(error).__name__}: {error}\n" + "\n".join(home.said.texts))
    return trained(home)


def nan_in_loss(root: Path) -> Injected:
    """From step 10 on, with a rate above 0.005."""
    return in_process(
        root, f"{FAULTS}.not_finite=loss", f"{FAULTS}.not_finite_from_step=10", f"{FAULTS}.not_finite_above_lr=0.005"
    )


def nan_in_gradient(root: Path) -> Injected:
    """The loss is finite, its slope is not."""
    return in_process(
        root, f"{FAULTS}.not_finite=gradient", f"{FAULTS}.not_finite_from_step=6", f"{FAULTS}.not_finite_above_lr=0.005"
    )


def stalled_rate(root: Path) -> Injected:
    """The rate is too low to learn anything."""
    return in_process(root, f"{FAULTS}.deaf_below_lr=0.02")


def stalled_batch(root: Path) -> Injected:
    """The batch is too large: another rate does not help, half the batch does."""
    return in_process(root, f"{FAULTS}.deaf_above_batch=16")


def stalled_without_bounds(root: Path) -> Injected:
    """Nothing is declared that could be changed."""
    return in_process(root, f"{FAULTS}.deaf_below_lr=0.02", "~lane.search_space")


def overfitting(root: Path) -> Injected:
    """Few noisy examples, a wide network, many epochs and no patience."""
    return in_process(root, *OVERFITS)


OVERFITS = (
    "lane.trainer.epochs=60", "lane.data.count=16", "lane.data.noise=2.0", "lane.trainer.batch_size=8",
    "lane.model.hidden=128", "lane.optimizer.lr=0.02",
)  # fmt: skip


def unknown(root: Path) -> Injected:
    """An error that nobody knows."""
    return in_process(root, f"{FAULTS}.raises=the moon is full")


def three_failures(root: Path) -> Injected:
    """Never finite, whatever the rate."""
    return in_process(root, f"{FAULTS}.not_finite=loss")


def out_of_memory(root: Path) -> Injected:
    """A process that may have 350 MiB more: a batch of 32 holds 192 MiB twice, half a batch fits three times."""
    home = FaultyHome(root)
    home.compose(f"{FAULTS}.mib_per_example=6", "lane.trainer.epochs=2")
    home.stage("prepare")
    output, _ = home.start("memory_mib=350").communicate(timeout=240)
    return trained(home, said=output)


def killed_for_memory(root: Path) -> Injected:
    """A control group that allows 1850 MiB over what it begins with; whoever holds more is killed as a kernel does."""
    home = FaultyHome(root)
    home.compose(f"{FAULTS}.mib_per_example=20", f"{FAULTS}.sleep_s=0.1", "lane.trainer.epochs=1", "lane.data.count=64")
    home.stage("prepare")
    kernel = Kernel(root / "cgroups", over_mib=1850)
    first = kernel.watch(home)
    second = kernel.watch(home)
    return trained(home, said=first + second)


class Kernel:
    """Kills whoever holds more memory than its group may, and counts."""

    def __init__(self, folder: Path, *, over_mib: int) -> None:
        self.folder, self.over_mib, self.limit, self.kills = folder, over_mib, 0, 0
        group = folder / "job"
        group.mkdir(parents=True)
        (folder / "own").write_text("0::/job\n")
        self._tell()

    def _tell(self) -> None:
        kills = self.kills
        (self.folder / "job" / "memory.max").write_text(f"{self.limit or 1 << 50}\n")
        (self.folder / "job" / "memory.events").write_text(f"low 0\nhigh 0\nmax 9\noom {kills}\noom_kill {kills}\n")

    def watch(self, home: FaultyHome) -> str:
        """Run training once under this kernel; returns its output."""
        import psutil

        process = home.start(f"cgroups={self.folder}")
        seen = psutil.Process(process.pid)
        baseline = 0
        while process.poll() is None:
            try:
                held = seen.memory_info().rss
            except psutil.Error:
                break
            if not baseline and list((home.home / "state" / "attempts").rglob("train/*.start.json")):
                baseline = max(baseline, held)
                self.limit = self.limit or baseline + self.over_mib * 2**20
                self._tell()
            if self.limit and held > self.limit:
                os.kill(process.pid, signal.SIGKILL)
                self.kills += 1
                self._tell()
                break
            time.sleep(0.01)
        output, _ = process.communicate(timeout=240)
        return output


def killed(root: Path) -> Injected:
    """Kill -9 in the middle, with nothing that speaks for memory."""
    home = FaultyHome(root)
    home.compose(f"{FAULTS}.sleep_s=0.05")
    home.stage("prepare")
    process = home.start()
    wait_for(lambda: len(list((home.home / "state" / "runs").rglob("resume_*.ckpt"))) >= 2, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    return attempt(home)


def corrupt_checkpoint(root: Path) -> Injected:
    """The newest state is damaged between two attempts."""
    home = FaultyHome(root)
    home.compose()
    home.stage("prepare")
    interrupted(home, after=10)
    state = sorted((home.home / "state" / "runs").rglob("resume_*.ckpt"))[-1]
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 1
    state.write_bytes(bytes(content))
    return attempt(home)


def damaged_weights(root: Path) -> Injected:
    """Kept weights of the best epoch are damaged between two attempts: no state is of any use then."""
    home = FaultyHome(root)
    home.compose("lane.trainer.converged.tolerance=0.9", "lane.optimizer.lr=0.05")
    home.stage("prepare")
    interrupted(home, after=18)
    for weights in (home.home / "state" / "runs").rglob("checkpoints/epoch_*.safetensors"):
        weights.write_bytes(weights.read_bytes()[:-4] + b"\0\0\0\1")
    return attempt(home)


class _CutError(KeyboardInterrupt):
    """A person's Ctrl-C."""


class _Cut(Silent):
    def __init__(self, after: int) -> None:
        self._left = after

    def track(self, items: Iterable[Any], description: str, total: int | None = None) -> Iterator[Any]:
        for item in items:
            if self._left == 0:
                raise _CutError
            self._left -= 1
            yield item


def interrupted(home: FaultyHome, *, after: int) -> None:
    """Train for some steps."""
    from interlock.stages import train

    with home_of(home.home):
        try:
            train.run(home.place, progress=_Cut(after))
        except KeyboardInterrupt:
            return
    raise AssertionError("it was to be cut short")


def disk_full(root: Path) -> Injected:
    """A file system of 96 KiB for states, most of it held by another run's states that nobody touched for a month."""
    return _on_small_disk(root, ballast_kib=72)


def disk_full_of_nothing_old(root: Path) -> Injected:
    """A file system of 16 KiB for states, with nothing on it that might go."""
    return _on_small_disk(root, ballast_kib=0, size_kib=16)


def _on_small_disk(root: Path, *, ballast_kib: int, size_kib: int = 96) -> Injected:
    home = FaultyHome(root)
    home.compose()
    home.stage("prepare")
    disk, old = root / "disk", root / "old" / "0123456789abcdef"
    disk.mkdir()
    old.mkdir(parents=True)
    if ballast_kib:
        (old / "resume_000000009_0.ckpt").write_bytes(b"\1" * ballast_kib * 1024)
    for path in (*old.iterdir(), old):
        os.utime(path, (time.time() - 30 * 86400,) * 2)
    (home.home / "state").mkdir(parents=True, exist_ok=True)
    (home.home / "state" / "runs").symlink_to(disk)
    copy = f"cp -rp {root}/old/. {disk}/ && touch -r {old} {disk}/{old.name}" if ballast_kib else "true"
    script = f'mount -t tmpfs -o size={size_kib}k none {disk} && {copy} && exec "$@"'
    process = home.start(wrapped=(*unshare(), "sh", "-c", script, "sh"))
    output, _ = process.communicate(timeout=240)
    (home.home / "state" / "runs").unlink()
    return trained(home, said=output)


def unshare() -> tuple[str, ...]:
    """How a process gets file systems of its own: as root, or as root of a user namespace."""
    tried = [("unshare", "--mount"), ("unshare", "--user", "--map-root-user", "--mount")]
    for command in tried:
        test = [*command, "sh", "-c", "mount -t tmpfs none /mnt"]
        if shutil.which("unshare") and subprocess.run(test, capture_output=True, check=False).returncode == 0:
            return command
    raise UnshareError("this machine lets nobody mount a small file system")


class UnshareError(RuntimeError):
    """Only the file size limit is left to stand for a full disk."""


def file_limit(root: Path) -> Injected:
    """No file may be larger than 12 kB: what a quota looks like to a process."""
    home = FaultyHome(root)
    home.compose("lane.model.hidden=512")
    home.stage("prepare")
    output, _ = home.start("file_bytes=12000").communicate(timeout=240)
    return trained(home, said=output)


def quota_exceeded(root: Path) -> Injected:
    """The one processor thread of the quota is held by somebody else for a while."""
    from interlock.contracts.quotas import Quotas
    from interlock.registry.control.processes import this_process
    from interlock.registry.control.reservations import Reservations
    from interlock.registry.control.store import ControlStore

    home = FaultyHome(root)
    home.compose("control.quotas.cpu=1", "hardware.threads=1", "lane.trainer.epochs=2")
    home.stage("prepare")
    with ControlStore(home.home) as store:
        manager = Reservations(store, Quotas(cpu=1.0))
        held = manager.reserve({"cpu": 1.0}, holder=this_process(run="another"))
        states: list[str] = []
        lineage = lineage_of(home.home, home.asked_run)

        def give_back() -> None:
            wait_for(lambda: lineage.exists)
            states.append("waiting" if not (home.work / "train" / "record.json").is_file() else "trained")
            manager.release(held.id)

        thread = threading.Thread(target=give_back)
        thread.start()
        found = attempt(home)
        thread.join()
        left = manager.standing()
    if states != ["waiting"] or left:
        found.silent.append(f"it did not wait, or kept its reservation: {states}, {left}")
    found.end = "queued"
    return found


def over_ceiling(root: Path) -> Injected:
    """An attempt that was cut short used most of the hours; the next one halts at a checkpoint."""
    home = FaultyHome(root)
    home.compose(f"{FAULTS}.sleep_s=0.1", "budget.compute_hours_max=0.0008")
    home.stage("prepare")
    interrupted(home, after=8)
    return attempt(home)


def over_estimate(root: Path) -> Injected:
    """After 30 quick steps everything takes far longer than estimated."""
    kept, watch._SECONDS_MIN = watch._SECONDS_MIN, 0.0
    try:
        return in_process(
            root, "lane.trainer.epochs=40", f"{FAULTS}.sleep_s=0.5", f"{FAULTS}.slow_from_step=25",
            "recovery.estimate_floor_s=0", "recovery.estimate_factor=1.5", "lane.optimizer.lr=0.0005",
        )  # fmt: skip
    finally:
        watch._SECONDS_MIN = kept


def missed_heartbeats(root: Path) -> Injected:
    """A worker that beat for a while and hangs: its rows in the control store, and no step since."""
    from interlock.registry.control.heartbeats import newest, record
    from interlock.registry.control.store import ControlStore

    home = FaultyHome(root)
    home.compose(f"{FAULTS}.sleep_s=600", f"{FAULTS}.slow_from_step=5")
    home.stage("prepare")
    process = home.start()
    wait_for(lambda: bool(list((home.home / "state" / "runs").rglob("resume_00000000[45]_*.ckpt"))), process)
    with ControlStore(home.home) as store:
        beat = Heartbeat(agent="Mgr-Models-02", run_id=home.asked_run, timestamp=time.time() - 130.0, state="training", step=5)  # fmt: skip  # noqa: E501
        record(store, beat)
        last = newest(store, run_id=home.asked_run)[-1]
    age = HeartbeatEvidence(age_s=time.time() - last.timestamp, every_s=60.0, missed_max=2, steps_since=0)
    found = classify(Evidence(heartbeat=age))
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    attempts.close_vanished(home.home, lane=home.lane, stage="train", found_by="director", error=found.reason)
    home.compose(f"{FAULTS}.sleep_s=600", f"{FAULTS}.slow_from_step=5")
    successor = home.start()
    wait_for(lambda: bool(home.faults), successor)
    os.killpg(successor.pid, signal.SIGKILL)
    output, _ = successor.communicate()
    return Injected(
        home=home, fault=found.fault, action=POLICY[found.fault].action, end="substituted", new_run=False,
        silent=[] if home.faults[-1].next_run == home.asked_run else ["the successor trains another run"], said=output,
    )  # fmt: skip


def gate_failed(root: Path) -> Injected:
    """The accuracy that is asked for is out of reach, twice in one lineage."""
    from interlock.contracts.recovery import RecoverySettings, Situation
    from interlock.recovery import strikes
    from interlock.recovery.policy import treat
    from interlock.runs.healing.lineage import derive, standing
    from interlock.runs.sync import sync_lane

    home, runs = FaultyHome(root), []
    for seed in (1, 2):
        home.compose(f"seed={seed}", "lane.gates.accuracy.target=0.999", "lane.trainer.epochs=1")
        home.stage("prepare")
        if runs:
            with home_of(home.home):
                derive(home.home, runs[-1], home.asked_run, lane=home.lane)
        home.stage("train", "evaluate", "export", "judge", "decide")
        runs.append(home.asked_run)
        with home_of(home.home):
            sync_lane(home.work, workspace=home.place.workspace, home=home.home)
            sync_lane(home.work, workspace=home.place.workspace, home=home.home)
    stands = standing(home.home, runs[-1], RecoverySettings())
    events = lineage_of(home.home, runs[-1]).events()
    classified = classify(Evidence(verdict="fail"))
    before = {FaultClass.GATE_FAILED: strikes.gate_failures(events) - 1}
    treatment = treat(classified, Situation(values={}, hardware="cpu", before=before))
    silent = (
        [] if (stands.root_run, stands.gate_failures, stands.may_try_gates) == (runs[0], 2, False) else [str(stands)]
    )
    return Injected(
        home=home, fault=classified.fault, action=treatment.action, end="stopped", new_run=False, silent=silent,
        said=treatment.reason,
    )  # fmt: skip


def wait_for(
    ready: Callable[[], bool], process: "subprocess.Popen[str] | None" = None, *, timeout_s: float = 120
) -> None:
    """Wait, and say what a process said that ended too early."""
    end = time.monotonic() + timeout_s
    while not ready():
        if process is not None and process.poll() is not None:
            raise AssertionError(f"it ended with {process.returncode}: {process.communicate()[0]}")
        if time.monotonic() > end:
            raise AssertionError("what was waited for did not happen")
        time.sleep(0.02)
