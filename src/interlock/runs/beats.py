"""Progress that also sends heartbeats: what a stage is doing, how far it is and what it uses.

One line in the control store every `control.heartbeat_s` seconds, one at the beginning and one at the end of a stage.

Loaded by name (`interlock.stages.progress.tracked`), never imported by a stage, for the reasons that
`interlock.runs.tracked.progress` gives: it is in no stage's code digest, and nothing flows back into the work. The work
only leaves its newest numbers behind (two assignments a step); a thread of its own writes them down. What goes wrong
here is said once and costs the work nothing. Does not decide who is late: `interlock.runs.jobs.watching`.
"""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sized
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar

from interlock.contracts.heartbeat import STATE_OF_STAGE, Heartbeat, State
from interlock.contracts.spelling import spelled
from interlock.contracts.stage import StageName
from interlock.lanes.spec import Progress
from interlock.provenance.attempts import labels
from interlock.provenance.dotted import lookup
from interlock.provenance.environment import host_name
from interlock.provenance.workspace import interlock_home
from interlock.registry.control.door import ControlDoor, control_door
from interlock.runs.resource_use import ResourceUse
from interlock.stages.place import Place, read_composed

Item = TypeVar("Item")

HEARTBEAT_S = 60.0
"""Seconds between heartbeats where a configuration says nothing."""
_MESSAGE_MAX_CHARS = 500
_BUSY_S = 5.0
_LAST_WORD_S = 10.0


@contextmanager
def beating(place: Place, progress: Progress) -> Iterator[Progress]:
    """The same progress, with heartbeats for every stage that runs inside the block."""
    wrapped = _Beating(place, progress)
    try:
        yield wrapped
    except (KeyboardInterrupt, SystemExit):
        wrapped.stage_ends("interrupted")
        raise
    except BaseException:
        wrapped.stage_ends("failed")
        raise
    wrapped.stage_ends("completed")


class _Beating:
    """Passes everything on and keeps the newest numbers at hand for the thread that writes them down."""

    def __init__(self, place: Place, inner: Progress) -> None:
        self._place, self._inner = place, inner
        self._beats: _Beats | None = None

    def track(self, items: Iterable[Item], description: str, total: int | None = None) -> Iterable[Item]:
        """Count the items on their way."""
        passed = self._inner.track(items, description, total)
        if self._beats is None:
            return passed
        start = items.start if isinstance(items, range) else 0  # a resumed training counts on from where it was
        return self._beats.now.counted(passed, start=start, total=len(items) if isinstance(items, Sized) else total)

    def message(self, text: str) -> None:
        """Keep it as the next heartbeat's message, then pass it on."""
        if self._beats is not None:
            self._beats.now.says(text)
        self._inner.message(text)

    def stage_begins(self, stage: StageName, run_id: str | None) -> None:
        """Begin to send heartbeats for this stage; the one before has ended well, unless it is the same one again."""
        again = self._beats is not None and self._beats.stage == stage  # training that failed and was healed
        self.stage_ends("failed" if again else "completed")
        try:
            self._beats = _Beats(self._place, stage, run_id, complain=self._inner.message)
        except Exception as error:  # being watched is no condition for working
            self._inner.message(f"no heartbeats are sent: {type(error).__name__}: {error}")
        self._inner.stage_begins(stage, run_id)

    def curve(self, step: int, values: Mapping[str, float]) -> None:
        """Keep epoch and loss, then pass the point on."""
        if self._beats is not None:
            self._beats.now.reached(step, values)
        self._inner.curve(step, values)

    def stage_ends(self, state: State) -> None:
        """Send the last heartbeat of the stage."""
        beats, self._beats = self._beats, None
        if beats is not None:
            beats.end(state)


class _Loop(NamedTuple):
    begun: float
    """Monotonic seconds."""
    start: int
    """Items that an earlier execution had done."""
    done: int
    """Items done since, at least 1."""
    total: int | None


class _Now:
    """The newest numbers of a stage. Written by the working thread, read by the other; each one is a whole object."""

    def __init__(self) -> None:
        self.message = ""
        self.epoch: int | None = None
        self.loss: float | None = None
        self.progress_at = time.time()
        self.loop: _Loop | None = None
        self._step: int | None = None

    def says(self, text: str) -> None:
        self.message, self.progress_at = text, time.time()

    def reached(self, step: int, values: Mapping[str, float]) -> None:
        self._step = step
        if (epoch := values.get("epoch")) is not None:
            self.epoch = int(epoch)
        loss = values.get("train/loss", values.get("train/epoch_loss"))
        self.loss = self.loss if loss is None else float(loss)
        self.progress_at = time.time()

    def counted(self, items: Iterable[Item], *, start: int, total: int | None) -> Iterator[Item]:
        """Pass the items through. A step is only counted; the other thread finds out when that was."""
        begun = time.monotonic()
        for count, item in enumerate(items, start=1):
            yield item
            self.loop = _Loop(begun, start, count, total)

    @property
    def step(self) -> int | None:
        """Steps of this stage that are done, those before a resume included."""
        return self._step if self.loop is None else max(self._step or 0, self.loop.start + self.loop.done)

    @property
    def steps(self) -> int | None:
        """How many there will be."""
        return None if self.loop is None or self.loop.total is None else self.loop.start + self.loop.total

    def time_remaining_s(self) -> float | None:
        """Of the current loop, if it goes on as it went."""
        if self.loop is None or not self.loop.total or self.loop.done >= self.loop.total:
            return None
        return (time.monotonic() - self.loop.begun) / self.loop.done * (self.loop.total - self.loop.done)


class _Beats:
    """The thread of one stage."""

    def __init__(self, place: Place, stage: StageName, run_id: str | None, *, complain: Callable[[str], None]) -> None:
        config = read_composed(place.params)
        self.now = _Now()
        self._complain, self._has_complained = complain, False
        self._place, self._config = place, config
        self._every_s = float(lookup(config, "control.heartbeat_s") or HEARTBEAT_S)
        self._who = _who(config, place.lane, stage, run_id)
        self._use = ResourceUse(gpu=_gpu_index(config))
        self.stage, self._ends = stage, threading.Event()
        self._seen: int | None = None
        self._last: State = STATE_OF_STAGE[stage]
        self._thread = threading.Thread(target=self._run, name=f"heartbeats of {stage}", daemon=True)
        self._thread.start()

    def end(self, state: State) -> None:
        """Send the last one; a store that hangs is not waited for."""
        self._last = state
        self._ends.set()
        self._thread.join(timeout=_LAST_WORD_S)

    def _run(self) -> None:
        try:
            home, control = interlock_home(self._place.workspace), self._config.get("control") or {}
            with control_door(home, control, busy_timeout_s=_BUSY_S) as door:
                self._send(door, STATE_OF_STAGE[self.stage])
                while not self._ends.wait(self._every_s):
                    self._send(door, STATE_OF_STAGE[self.stage])
                self._send(door, self._last)
        except Exception as error:  # no door: nobody hears of it
            self._said_once(error)

    def _send(self, door: ControlDoor, state: State) -> None:
        try:
            door.record(self._beat(state))
        except Exception as error:  # the watcher then has other evidence
            self._said_once(error)

    def _said_once(self, error: Exception) -> None:
        if not self._has_complained:
            self._has_complained = True
            self._complain(f"heartbeats cannot be written: {type(error).__name__}: {error}")

    def _beat(self, state: State) -> Heartbeat:
        now, at = self.now, time.time()
        if now.step != self._seen:
            self._seen, now.progress_at = now.step, at
        left_s = now.time_remaining_s()
        return Heartbeat(
            **self._who,
            timestamp=at,
            state=state,
            message=now.message[:_MESSAGE_MAX_CHARS],
            epoch=now.epoch,
            epochs=_count(lookup(self._config, "lane.trainer.epochs")),
            step=now.step,
            steps=now.steps,
            loss=now.loss,
            time_remaining_s=left_s,
            progress_at=now.progress_at,
            **self._use.measure(),
        )


def _who(config: Mapping[str, Any], lane: str, stage: StageName, run_id: str | None) -> dict[str, Any]:
    """Who sends: the agent that owns the stage, with its place in the chain of command."""
    agents: Mapping[str, Any] = config.get("agents") or {}
    owner = next((name for name, agent in agents.items() if stage in (agent.get("stages") or ())), stage)
    agent = agents.get(owner) or {}
    parent = agent.get("parent")
    return {
        "agent": spelled(owner),
        "run_id": run_id,
        "llm_model": _first_model(agent, config.get("llm") or {}),
        "parent_agent": spelled(parent) if parent else None,
        "children_agents": tuple(spelled(name) for name, agent in agents.items() if agent.get("parent") == owner),
        "lane": lane,
        "stage": stage,
        "job": labels().get("job"),
        "host": host_name(),
    }


def _gpu_index(config: Mapping[str, Any]) -> int | None:
    is_cuda = lookup(config, "hardware.kind") == "cuda"
    return int(lookup(config, "hardware.device_index") or 0) if is_cuda else None


def _first_model(agent: Mapping[str, Any], llm: Mapping[str, Any]) -> str | None:
    """`<provider>/<model id>` of the model that the agent asks first; None under rules."""
    proposal = (agent.get("policy") or {}).get("proposal") or {}
    models = llm.get("models") or {}
    if proposal.get("kind") != "llm":
        return None
    first = next((models[name] for name in proposal.get("models") or llm.get("order") or () if name in models), None)
    return f"{first['provider']}/{first['model']}" if first else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
