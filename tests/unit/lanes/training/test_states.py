import errno
import pickle

import pytest
import torch

from interlock.errors import StageError
from interlock.lanes.training import states
from interlock.lanes.training.states import StateIO, StateStore


@pytest.fixture
def store(tmp_path):
    return StateStore(tmp_path)


def content(step):
    return {"global_step": step, "weights": torch.arange(step), "rows": [[1, 2.5]]}


def test_the_two_newest_are_kept_and_the_newest_is_used(store, tiny):
    for step in (5, 100, 20):
        path = store.write(content(step), step)
    assert [store.step_of(state) for state in store.states()] == [20, 100]
    assert store.step_of(store.newest_valid(tiny.Messages())) == 100
    assert StateIO(store).load_checkpoint(path)["weights"].tolist() == list(range(20))


def test_a_broken_state_is_set_aside_and_the_one_before_is_used(store, tiny):
    store.write(content(5), 5)
    broken = store.write(content(9), 9)
    data = bytearray(broken.read_bytes())
    data[len(data) // 2] ^= 1
    broken.write_bytes(data)
    progress = tiny.Messages()
    assert store.step_of(store.newest_valid(progress)) == 5
    assert not broken.exists()
    assert "does not match its digest" in progress.texts[0]
    assert broken.name in progress.texts[0]


def test_no_state_is_left_when_all_are_broken(store, tiny):
    store.write(content(5), 5).write_bytes(b"")
    assert store.newest_valid(tiny.Messages()) is None


def test_unfinished_writes_are_no_states_and_are_cleaned_up(store, tiny, tmp_path):
    (tmp_path / "checkpoints").mkdir()
    for name in (".writing.ckpt.abc.part", "writing.ckpt", "checkpoints/.epoch_001.safetensors.abc.part"):
        (tmp_path / name).write_bytes(b"half, or whole but unnamed")
    (tmp_path / "checkpoints" / "epoch_002.safetensors").write_bytes(b"whole")
    assert store.newest_valid(tiny.Messages()) is None
    kept = store.write(content(5), 5)
    store.drop_unfinished()
    left = {path.name for path in tmp_path.rglob("*") if path.is_file()}
    assert left == {kept.name, "epoch_002.safetensors"}


class Malicious:
    def __reduce__(self):
        return (print, ("run",))


def test_code_in_a_state_is_refused_and_not_run(store, tmp_path, capsys):
    path = tmp_path / "resume_000000001_x.ckpt"
    torch.save({"global_step": 1, "evil": Malicious()}, path)
    with pytest.raises(StageError, match="cannot be read"):
        StateIO(store).load_checkpoint(path)
    path.write_bytes(pickle.dumps(Malicious()))
    with pytest.raises(StageError, match="cannot be read"):
        StateIO(store).load_checkpoint(path, weights_only=False)
    assert capsys.readouterr().out == ""


def test_a_full_disk_is_one_clear_error_and_keeps_the_state_before(store, tiny, monkeypatch):
    store.write(content(5), 5)

    class Full(states._HashingFile):
        def write(self, data):
            self.error = OSError(errno.ENOSPC, "No space left on device")
            raise self.error

    monkeypatch.setattr(states, "_HashingFile", Full)
    with pytest.raises(StageError, match=r"cannot save the training state.*No space left") as caught:
        store.write(content(9), 9)
    assert "free disk space" in caught.value.hint
    assert store.step_of(store.newest_valid(tiny.Messages())) == 5
    assert len(list(store.folder.iterdir())) == 1
