"""Kill a training however you like: the weights, the order of examples, the losses and the metrics stay the same bits.

Every built-in lane is trained in real processes that die of SIGKILL or SIGTERM, at random or at the worst moments, and
is compared with the run that nobody disturbed. Most of it is slow; what runs by default is one lane in few settings.
"""

import json
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import resume_program
import resumed_lanes

import interlock
from interlock.lanes.catalog import BUILT_IN
from interlock.provenance.chain import read_chain
from interlock.provenance.digest import sha256_file

PROGRAM = Path(resume_program.__file__)
VOLATILE = "train_log.jsonl"
LANES = resumed_lanes.LANES
CPU, TWO_THREADS, CUDA = {"kind": "cpu"}, {"kind": "cpu", "threads": 2}, {"kind": "cuda"}
MOMENTS = [
    ("step", 1), ("step", 6), ("between_parts", 8), ("backward", 4), ("validation", 2), ("epoch_end", 1),
    ("saving", 3), ("saved", 4), ("publishing", 1), ("publishing", 2),
]  # fmt: skip


def run(root, kind, *, stops, hardware=CPU, killed=None, **trainer):
    """Train with and without the stops and require the same; exit codes of the stopped attempts.

    `trainer` changes both, `killed` (what must not matter) only the one that is stopped.
    """
    case = {"hardware": hardware, "stops": list(stops)}
    for name, changes in (("whole", {}), ("killed", killed or {})):
        values = resumed_lanes.prepared(kind, root / name)
        case[name] = values | {"trainer": values["trainer"] | {"resume_every_s": 0.0} | trainer | changes}
    paths = [str(Path(interlock.__file__).parents[1]), str(PROGRAM.parent)]
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(root), json.dumps(case)], capture_output=True, text=True, timeout=280,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)}, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    codes = [int(line.split()[1]) for line in done.stdout.splitlines()]
    assert len(codes) == len(stops) + 2, done.stderr
    assert codes[0] == codes[-1] == 0, done.stderr
    require_equal(root / "killed", root / "whole")
    return codes[1:-1]


def in_the_dark(number, setting="", seed=0):
    """SIGKILLs at random moments, then one SIGTERM."""
    dice = random.Random(f"{seed} {setting}")
    stops = [("kill", dice.uniform(0.2, 0.9)) for _ in range(number - 1)]
    return [*stops, ("terminate", dice.uniform(0.2, 0.9))]


def require(hardware):
    if hardware["kind"] == "cuda":
        import torch

        if not torch.cuda.is_available():
            pytest.skip("this machine has no CUDA device: exact resume on one is not tested here")


def evaluate(name, root):
    from interlock.contracts.hardware import CpuTarget

    resumed_lanes.run_stage("evaluate", root, LANES[name](root), hardware=CpuTarget(kind="cpu"))


def kept(root):
    """Digest of everything that must be the same: weights, checkpoints, losses, facts."""
    folder = root / "train"
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != VOLATILE]
    found = {path.relative_to(folder).as_posix(): sha256_file(path) for path in files}
    assert {"model.safetensors", "loss.csv", "train.json", "checkpoints/best.safetensors"} <= set(found)
    return found


def order(root):
    """Rows of every step. A step that was begun more than once must have had the same rows each time."""
    rows = {}
    for line in (root / "order.jsonl").read_text().splitlines():
        step = json.loads(line)
        assert rows.setdefault(step["step"], step["rows"]) == step["rows"]
    return rows


def logged(root):
    return [line.payload["step"] for line in read_chain(root / "train" / VOLATILE)]


def told(root, name):
    lines = [json.loads(line) for line in (root / "attempts.jsonl").read_text().splitlines()]
    return [line[name] for line in lines if name in line]


def require_equal(root, whole):
    assert kept(root) == kept(whole)
    assert not list(root.rglob(".*.part"))
    assert order(root) == order(whole)
    assert sorted(order(whole)) == list(range(len(order(whole))))
    assert logged(root) == logged(whole) == list(range(1, len(order(whole)) + 1))


# --- what runs by default ---------------------------------------------------------------------------------------------


def test_every_built_in_lane_is_proven_here():
    assert {name.split("/")[0] for name in LANES} == set(BUILT_IN)


def test_killed_at_bad_moments_with_micro_batches_and_workers(tmp_path):
    stops = [("step", 6), ("between_parts", 8), ("saving", 3), ("publishing", 1)]
    codes = run(tmp_path, "query_tower", stops=stops, micro_batch=3, killed={"num_workers": 2})
    assert set(codes) == {-signal.SIGKILL}
    assert told(tmp_path / "killed", "resumed_from_step")[0] > 0


@pytest.mark.slow
def test_stopped_in_the_dark_with_two_threads_and_rounded_arithmetic(tmp_path):
    codes = run(tmp_path, "query_tower", stops=in_the_dark(3), hardware=TWO_THREADS, precision="bf16-mixed")
    assert set(codes) <= {0, 130, -signal.SIGKILL}


# --- every lane, every setting ----------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", LANES)
@pytest.mark.parametrize("micro_batch", [None, 3])
def test_killed_at_the_worst_moments(tmp_path, name, micro_batch):
    stops = [stop for stop in MOMENTS if micro_batch or stop[0] != "between_parts"]
    codes = run(tmp_path, name, stops=stops, micro_batch=micro_batch)
    assert set(codes) == {-signal.SIGKILL}
    for folder in (tmp_path / "whole", tmp_path / "killed"):
        evaluate(name, folder)
    metrics = [sha256_file(tmp_path / folder / "evaluate" / "metrics.json") for folder in ("whole", "killed")]
    assert metrics[0] == metrics[1]


@pytest.mark.slow
@pytest.mark.parametrize("name", LANES)
@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed"])
@pytest.mark.parametrize("hardware", [CPU, TWO_THREADS, CUDA], ids=["cpu1", "cpu2", "cuda"])
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("micro_batch", [None, 3])
def test_stopped_in_the_dark(tmp_path, name, precision, hardware, workers, micro_batch):
    require(hardware)
    setting = f"{name} {precision} {hardware} {workers} {micro_batch}"
    run(
        tmp_path, name, stops=in_the_dark(3, setting), hardware=hardware, killed={"num_workers": workers},
        micro_batch=micro_batch, precision=precision,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("name", LANES)
def test_twenty_kills_in_a_row(tmp_path, name):
    dice = random.Random(name)
    stops = [("kill", dice.uniform(0.3, 0.8)) for _ in range(20)]
    codes = run(tmp_path, name, stops=stops, epochs=6, early_stop_patience=None, micro_batch=3)
    assert codes.count(-signal.SIGKILL) >= 2


@pytest.mark.slow
@pytest.mark.parametrize("name", LANES)
def test_a_kill_loses_no_more_than_the_time_between_two_states(tmp_path, name):
    """Seconds from the newest state to the kill; one more is left for the step, the validation and a slow disk."""
    every_s = 1.5
    codes = run(
        tmp_path, name, stops=[("kill", 0.2)] * 4, resume_every_s=every_s, epochs=250, early_stop_patience=None,
        checkpoint_every_epochs=200, converged={"window_epochs": 250},
    )  # fmt: skip
    lost_s = [lost for lost, code in zip(told(tmp_path / "killed", "lost_s"), codes, strict=True) if code]
    assert len(lost_s) >= 3
    assert max(lost_s) <= every_s + 1.0
