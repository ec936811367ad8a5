import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from interlock.errors import StageError
from interlock.lanes.training.checkpoints import (
    CheckpointFolder,
    estimated_bytes,
    require_free_disk,
    write_weights,
)


def weights(value):
    return {"w": torch.full((2,), float(value))}


def run(folder, epochs, best_epochs):
    for epoch in range(1, epochs + 1):
        folder.epoch_done(epoch, lambda epoch=epoch: weights(epoch), is_best=epoch in best_epochs)


def test_best_and_last_are_published(tmp_path):
    folder = CheckpointFolder(tmp_path / "state", every_epochs=4)
    run(folder, 9, {1, 2, 6})
    folder.publish(tmp_path / "out", best=6, last=weights(9), keep_all=False)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["best.safetensors", "last.safetensors"]
    assert load_file(tmp_path / "out" / "best.safetensors")["w"].tolist() == [6.0, 6.0]
    assert load_file(tmp_path / "out" / "last.safetensors")["w"].tolist() == [9.0, 9.0]


def test_periodic_ones_are_kept_on_request(tmp_path):
    folder = CheckpointFolder(tmp_path / "state", every_epochs=4)
    run(folder, 9, {1, 8})
    folder.publish(tmp_path / "out", best=8, last=weights(9), keep_all=True)
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["best.safetensors", "epoch_004.safetensors", "epoch_008.safetensors", "last.safetensors"]


def test_earlier_bests_go_once_nothing_refers_to_them(tmp_path):
    folder = CheckpointFolder(tmp_path, every_epochs=4)
    for epoch in (1, 2, 3, 4, 5):
        run_one = {"is_best": epoch in (2, 5)}
        folder.epoch_done(epoch, lambda epoch=epoch: weights(epoch), **run_one)
        folder.flush()
    folder.drop_except(5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["epoch_004.safetensors", "epoch_005.safetensors"]
    assert set(folder.digests) == {"epoch_004.safetensors", "epoch_005.safetensors"}


@pytest.mark.parametrize("damage", ["change", "remove"])
def test_a_damaged_checkpoint_is_never_published(tmp_path, damage):
    folder = CheckpointFolder(tmp_path / "state", every_epochs=10)
    run(folder, 1, {1})
    folder.flush()
    path = tmp_path / "state" / "epoch_001.safetensors"
    if damage == "change":
        write_weights(path, weights(7))
    else:
        path.unlink()
    with pytest.raises(StageError, match="missing or was changed") as caught:
        folder.publish(tmp_path / "out", best=1, last=weights(1), keep_all=False)
    assert str(tmp_path / "state") not in caught.value.hint or "delete" in caught.value.hint


def test_equal_weights_give_equal_bytes(tmp_path):
    first, second = weights(1) | {"v": torch.ones(3)}, {"v": torch.ones(3)} | weights(1)
    write_weights(tmp_path / "a", first)
    write_weights(tmp_path / "b", second)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_too_little_disk_is_refused_with_both_numbers(tmp_path):
    require_free_disk(tmp_path, 1)
    with pytest.raises(StageError, match=r"not enough free disk: [\d,]+ MiB free, up to 1,099,511,627,776 MiB needed"):
        require_free_disk(tmp_path, 2**60)


def test_the_estimate_covers_states_and_checkpoints():
    network = nn.Linear(10, 10)  # 110 float32
    assert estimated_bytes(network, epochs=20, every_epochs=10) == 440 * (3 * 3 + 2 * 5)
