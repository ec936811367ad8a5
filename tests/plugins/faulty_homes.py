"""A home and a folder in which the faulty lane is trained, in this process or in one of its own with limits.

    python faulty_homes.py WORK STAGE [lane=NAME] [memory_mib=N] [file_bytes=N] [cgroups=FOLDER]

The child ends as a stage script does: one message and an exit code.
"""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from pathlib import Path

import yaml

from interlock.contracts.attempt import AttemptEnd
from interlock.contracts.recovery import RecoveryEvent, RecoveryReport
from interlock.contracts.stage import StageRecord
from interlock.provenance.attempts import list_attempts
from interlock.runs.healing.lineage import lineage_of
from interlock.stages.place import Place, load_record
from interlock.stages.progress import Lines, Silent

ROOT = Path(__file__).resolve().parents[2]
LANE = "faulty"


@cache
def faulty_text(*overrides: str) -> str:
    """What the compose stage writes for the faulty lane."""
    from interlock.config.compose import compose_lane
    from interlock.config.params import composed_text
    from interlock.config.validate import validate

    return composed_text(validate(compose_lane(ROOT / "conf", [f"lane={LANE}", *overrides]), subject=LANE))


class Said(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def message(self, text: str) -> None:
        """Keep it."""
        self.texts.append(text)


@contextmanager
def home_of(home: Path) -> Iterator[None]:
    """Let this process use the home."""
    before = os.environ.get("INTERLOCK_HOME")
    os.environ["INTERLOCK_HOME"] = str(home)
    try:
        yield
    finally:
        os.environ.pop("INTERLOCK_HOME")
        if before is not None:
            os.environ["INTERLOCK_HOME"] = before


class FaultyHome:
    """One lane folder, one home."""

    def __init__(self, root: Path, *, home: Path | None = None) -> None:
        self.root, self.home, self.work = root, home or root / "home", root / "lane"
        self.said = Said()

    def compose(self, *overrides: str, lane: str = LANE) -> Place:
        """Write the configuration."""
        self.work.mkdir(parents=True, exist_ok=True)
        (self.work / "params.yaml").write_text(faulty_text(*overrides))
        self.lane = lane
        return self.place

    @property
    def place(self) -> Place:
        """Where it is."""
        return Place(workspace=ROOT, folder=self.work, params=self.work / "params.yaml", lane=self.lane)

    def stage(self, *names: str) -> StageRecord:
        """Run stages in this process; returns the last one's record."""
        with home_of(self.home):
            for name in names:
                record: StageRecord = import_module(f"interlock.stages.{name}").run(self.place, progress=self.said)
        return record

    def start(self, *options: str, stage: str = "train", wrapped: tuple[str, ...] = ()) -> "subprocess.Popen[str]":
        """Run one stage in a process of its own, with limits (`memory_mib=...`, `file_bytes=...`)."""
        command = [sys.executable, str(Path(__file__)), str(self.work), stage, f"lane={self.lane}", *options]
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "DVC_", "INTERLOCK_"))}
        path = os.pathsep.join((str(ROOT / "src"), str(ROOT / "tests" / "plugins")))
        return subprocess.Popen(
            [*wrapped, *command],
            env=kept | {"PYTHONPATH": path, "INTERLOCK_HOME": str(self.home), "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    @property
    def asked_run(self) -> str:
        """The run that the configuration asks for."""
        from interlock.stages import train
        from interlock.stages.frame import open_frame

        with home_of(self.home):
            return str(open_frame("train", self.place, progress=Silent(), identify=train.identify).run_id)

    @property
    def events(self) -> tuple[RecoveryEvent, ...]:
        """The log of its lineage."""
        return lineage_of(self.home, self.asked_run).events()

    @property
    def faults(self) -> list[RecoveryEvent]:
        """Those of them that are faults."""
        return [event for event in self.events if event.kind == "fault"]

    @property
    def report(self) -> RecoveryReport:
        """What the train stage says of its faults."""
        return RecoveryReport.model_validate_json((self.work / "train" / "recovery.json").read_bytes())

    @property
    def record(self) -> StageRecord:
        """What training left."""
        return load_record(self.work / "train", verify=True)

    @property
    def prepared(self) -> StageRecord:
        """What prepare left."""
        return load_record(self.work / "prepare", verify=True)

    def ends(self) -> list[AttemptEnd | None]:
        """How the attempts at training ended, oldest first."""
        return [files.end for files in list_attempts(self.home, stage="train")]

    def used(self) -> dict:
        """The configuration that training used."""
        return dict(self.record.params)

    def asked(self) -> dict:
        """The configuration that was composed."""
        return dict(yaml.safe_load((self.work / "params.yaml").read_text()))


def _main(work: str, stage: str, *options: str) -> int:
    from interlock.runs.healing import vitals
    from interlock.stages.entry import guarded

    given = dict(option.split("=", 1) for option in options)
    if cgroups := given.get("cgroups"):  # a kernel's counters that a test can turn
        vitals._CGROUPS, vitals._OWN_CGROUPS = Path(cgroups), Path(cgroups) / "own"
    if mebibytes := given.get("memory_mib"):
        _limit_memory(int(mebibytes))
    if file_bytes := given.get("file_bytes"):
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(file_bytes), int(file_bytes)))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(work)
    place = Place(workspace=ROOT, folder=folder, params=folder / "params.yaml", lane=given.get("lane", LANE))
    return guarded(lambda: import_module(f"interlock.stages.{stage}").run(place, progress=Lines()))


def _limit_memory(mebibytes: int) -> None:
    """Let this process have so much more than it has once its libraries are loaded."""
    for name in ("torch", "lightning", "interlock.lanes.training.loop"):
        import_module(name)
    status = Path("/proc/self/status").read_text()
    held_kib = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:"))
    limit = (held_kib + mebibytes * 1024) * 1024
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
