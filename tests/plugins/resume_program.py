"""A lane's train stage twice: left alone, and as many attempts, each a process that is killed at a chosen moment.

    python resume_program.py ROOT CASE

CASE is JSON: `whole` and `killed` (values of the lane, see `resumed_lanes`; its data stand in ROOT/whole and
ROOT/killed), `hardware`, and `stops`, a [moment, number] for each attempt before the last. Prints how each attempt
ended and how long it took, and leaves in both folders beside the stages' own:

    order.jsonl      {step, rows} for every optimiser step that was begun, in all attempts
    attempts.jsonl   {resumed_from_step} of the attempt that ended, {lost_s} of those stopped from outside

Attempts are forked from one process that has paid for importing torch but computed nothing with it.
"""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from resumed_lanes import run_stage

from interlock.contracts.hardware import Hardware
from interlock.lanes.training import callbacks, checkpoints, loop, module, states

FROM_OUTSIDE = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM}
"""Moments that are a share of the time an uninterrupted attempt takes; the others count calls of a function."""


def _counted(owner: Any, name: str, number: int, *, after: bool = False) -> None:
    """SIGKILL this process when the function is called for the n-th time, or when it has done its work."""
    original, calls = getattr(owner, name), 0

    def function(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = original(*args, **kwargs)
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, function)


def _between_parts(number: int) -> None:
    """After the n-th forward pass of a micro-batch: before its gradient is added, or its vectors are compared."""
    _counted(module, "checkpoint", number, after=True)
    original, calls = module.TrainedModule._accumulated, 0

    def accumulated(self: Any, batch: Any) -> Any:
        loss = self.loss

        def once(part: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == number:
                os.kill(os.getpid(), signal.SIGKILL)
            return loss(part)

        self.loss = once
        try:
            return original(self, batch)
        finally:
            del self.loss

    module.TrainedModule._accumulated = accumulated  # type: ignore[method-assign]


def _while_saving(number: int) -> None:
    """In the middle of the bytes of the n-th state."""
    original, saves = states.StateStore.write, 0

    def write(self: Any, *args: Any) -> Any:
        nonlocal saves
        saves += 1
        if saves == number:
            _counted(states._HashingFile, "write", 3)
        return original(self, *args)

    states.StateStore.write = write  # type: ignore[method-assign]


MOMENTS: dict[str, Callable[[int], None]] = {
    "step": lambda n: _counted(module.TrainedModule, "training_step", n),
    "between_parts": _between_parts,
    "backward": lambda n: _counted(callbacks.Ledger, "on_before_optimizer_step", n),
    "validation": lambda n: _counted(module.TrainedModule, "validation_step", n),
    "epoch_end": lambda n: _counted(callbacks.Ledger, "on_train_epoch_end", n, after=True),
    "saving": _while_saving,
    "saved": lambda n: _counted(checkpoints.CheckpointFolder, "drop_except", n),
    "publishing": lambda n: _counted(loop, "copy_atomic", n),
}


def _write_line(path: Path, values: dict[str, Any]) -> None:
    """In one write, which a kill cannot cut."""
    with path.open("ab", buffering=0) as file:
        file.write(json.dumps(values).encode() + b"\n")


def _tell_order(root: Path) -> None:
    original = module.TrainedModule.training_step

    def training_step(self: Any, batch: Any, batch_idx: int) -> Any:
        _write_line(root / "order.jsonl", {"step": self.trainer.global_step, "rows": batch.rows.tolist()})
        return original(self, batch, batch_idx)

    module.TrainedModule.training_step = training_step  # type: ignore[method-assign]


def _attempt(root: Path, lane: dict[str, Any], hardware: dict[str, Any], stop: tuple[str, float] | None) -> int:
    _tell_order(root)
    if stop is not None and stop[0] in MOMENTS:
        MOMENTS[stop[0]](int(stop[1]))
    target = TypeAdapter(Hardware).validate_json(json.dumps(hardware))
    try:
        outcome = run_stage("train", root, lane, hardware=target)
    except KeyboardInterrupt:
        return 130
    _write_line(root / "attempts.jsonl", {"resumed_from_step": outcome.volatile_facts["resumed_from_step"]})
    return 0


def _forked(work: Callable[[], int]) -> int:
    if child := os.fork():
        return child
    try:
        code = work()
    except BaseException:
        sys.excepthook(*sys.exc_info())
        code = 1
    os._exit(code)


def _ended(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _saved_s(state: Path) -> float:
    """When it was written; 0 for one that the training has dropped meanwhile."""
    try:
        return state.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _signal_later(child: int, root: Path, number: signal.Signals, delay_s: float) -> None:
    started_s = time.time()
    time.sleep(delay_s)
    saved_s = max(map(_saved_s, (root / "state").glob("resume_*.ckpt")), default=0.0)
    os.kill(child, number)  # not yet waited for, so it is still ours, alive or not
    _write_line(root / "attempts.jsonl", {"lost_s": time.time() - max(saved_s, started_s)})


def _train(
    root: Path, case: dict[str, Any], lane: dict[str, Any], stop: tuple[str, float] | None, whole_s: float
) -> float:
    started_s = time.monotonic()
    child = _forked(lambda: _attempt(root, lane, case["hardware"], stop))
    if stop is not None and stop[0] in FROM_OUTSIDE:
        _signal_later(child, root, FROM_OUTSIDE[stop[0]], stop[1] * whole_s)
    code, seconds = _ended(child), time.monotonic() - started_s
    print(root.name, code, f"{seconds:.3f}", flush=True)
    return seconds


def main(root: Path, case: dict[str, Any]) -> None:
    """Prepare both, train one in one attempt and the other in as many as it takes."""
    cpu = TypeAdapter(Hardware).validate_json('{"kind": "cpu"}')
    for name in ("whole", "killed"):
        if _ended(_forked(lambda name=name: run_stage("prepare", root / name, case[name], hardware=cpu) is None)):  # type: ignore[misc]
            sys.exit("prepare failed")
    whole_s = _train(root / "whole", case, case["whole"], None, 0.0)
    for stop in [*case["stops"], None]:
        _train(root / "killed", case, case["killed"], stop, whole_s)


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(sys.argv[2]))
