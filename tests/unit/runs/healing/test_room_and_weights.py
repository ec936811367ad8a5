"""Only old checkpoints go, and only finite ones are begun with."""

import os
import time

import numpy as np
import pytest
from safetensors.numpy import save_file

from interlock.errors import CorruptStateError
from interlock.provenance.locks import exclusive
from interlock.runs.healing.room import make_room
from interlock.runs.healing.weights import is_finite, keep_last_finite, kept


def put(home, name, *, days=0.0, run="own", size=100):
    path = home / "state" / "runs" / run / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x" * size)
    then = time.time() - days * 86400
    for one in (path, path.parent):
        os.utime(one, (then, then))
    return path


def test_what_may_go(tmp_path):
    own = put(tmp_path, "resume_000000001_a.ckpt")
    damaged = put(tmp_path, "set_aside_resume_000000002_b.ckpt")
    left = put(tmp_path, "resume_000000003_c.ckpt", run="left")
    old = put(tmp_path, "resume_000000004_d.ckpt", run="old", days=8)
    fresh = put(tmp_path, "resume_000000005_e.ckpt", run="fresh", days=6)
    archived = put(tmp_path, "../../../runs/old/models/model.safetensors", run="old", days=99).resolve()
    assert make_room(tmp_path, "own", left_behind={"left"}, keep_days=7.0) == 300
    assert [path.exists() for path in (own, damaged, left, old, fresh, archived)] == [
        True,
        False,
        False,
        False,
        True,
        True,
    ]


def test_what_somebody_works_on_stays(tmp_path):
    old = put(tmp_path, "resume_000000004_d.ckpt", run="old", days=8)
    with exclusive(tmp_path / "state" / "locks" / "old.lock"):
        assert make_room(tmp_path, "own", left_behind={"old"}, keep_days=7.0) == 0
    assert old.exists()


def test_nothing_there_gives_nothing(tmp_path):
    assert make_room(tmp_path, "own", left_behind=(), keep_days=7.0) == 0


def epoch(home, number, values):
    folder = home / "state" / "runs" / "r0" / "checkpoints"
    folder.mkdir(parents=True, exist_ok=True)
    save_file({"w": np.array(values, np.float32), "n": np.array([1])}, folder / f"epoch_{number:03d}.safetensors")
    return folder.parent


def test_the_newest_finite_checkpoint(tmp_path):
    epoch(tmp_path, 1, [1.0])
    epoch(tmp_path, 9, [2.0])
    state = epoch(tmp_path, 10, [float("nan")])
    found = keep_last_finite(tmp_path, state, "r0")
    assert found is not None
    assert (found.file, found.run_id) == ("epoch_009.safetensors", "r0")
    path = kept(tmp_path, found)
    assert path is not None
    assert path.read_bytes() == (state / "checkpoints" / "epoch_009.safetensors").read_bytes()


def test_none_is_finite(tmp_path):
    state = epoch(tmp_path, 1, [float("inf")])
    assert keep_last_finite(tmp_path, state, "r0") is None
    assert kept(tmp_path, None) is None


@pytest.mark.parametrize("change", [lambda path: path.unlink(), lambda path: path.write_bytes(b"other")])
def test_weights_that_are_gone_or_changed_are_refused(tmp_path, change):
    found = keep_last_finite(tmp_path, epoch(tmp_path, 1, [1.0]), "r0")
    change(kept(tmp_path, found))
    with pytest.raises(CorruptStateError, match="missing or were changed"):
        kept(tmp_path, found)


def test_unreadable_is_not_finite(tmp_path):
    (tmp_path / "a").write_bytes(b"nonsense")
    assert not is_finite(tmp_path / "a")
    assert not is_finite(tmp_path / "absent")
