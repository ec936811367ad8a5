import dataclasses
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from tiny_stages import IMPORTABLE

from interlock.contracts.hardware import CpuTarget, CudaTarget, MpsTarget
from interlock.errors import NonFiniteError, PrunedError, StageError
from interlock.lanes.training import callbacks, checkpoints
from interlock.lanes.training.config import ConvergenceRule
from interlock.provenance.chain import read_chain
from interlock.provenance.digest import sha256_file

REPRODUCIBLE = ("model.safetensors", "loss.csv", "checkpoints/best.safetensors", "checkpoints/last.safetensors")


def digests(folder):
    return {name: sha256_file(folder / name) for name in REPRODUCIBLE}


def logged_steps(folder):
    return [line.payload["step"] for line in read_chain(folder / "train_log.jsonl")]


class _Killed(BaseException):
    pass


@pytest.fixture
def stop_at_save(monkeypatch):
    """Makes the n-th saving of a state the last thing that happens."""

    def stop(n):
        count = 0
        after = callbacks.StateSaver._save_if_due

        def counted(self, trainer, every_s):
            nonlocal count
            after(self, trainer, every_s)
            count += 1
            if count == n:
                raise _Killed

        monkeypatch.setattr(callbacks.StateSaver, "_save_if_due", counted)

    yield stop
    monkeypatch.undo()


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("hardware", [CudaTarget(kind="cuda", device_index=63), MpsTarget(kind="mps")])
def test_a_device_that_is_not_there_is_refused_by_name(tiny, tmp_path, hardware, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(StageError, match=r"hardware\.") as caught:
        tiny.tiny_fit(tiny.tiny_job(tmp_path, hardware=hardware), tiny.tiny_config())
    assert "hardware=cpu" in caught.value.hint


def test_nan_in_the_data_halts_at_once_naming_step_epoch_and_rate(tiny, tmp_path):
    train = tiny.Numbers(200, 1, bad_at=11)
    with pytest.raises(NonFiniteError, match=r"loss is not finite at step \d+, epoch 1, lr 0\.0\d+") as caught:
        tiny.tiny_fit(tiny.tiny_job(tmp_path), tiny.tiny_config(), train=train)
    assert "divide lane.optimizer.lr by 10" in caught.value.hint
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_an_infinite_gradient_with_a_finite_loss_halts(tiny, tmp_path, monkeypatch):
    class Steep(tiny.Regression):
        def loss(self, part):
            loss = super().loss(part)
            return loss if self.trainer.global_step < 15 else torch.sqrt(loss * 0.0)

    monkeypatch.setattr(tiny, "Regression", Steep)
    with pytest.raises(NonFiniteError, match="gradient is not finite at step 15, epoch 2"):
        tiny.tiny_fit(tiny.tiny_job(tmp_path), tiny.tiny_config())
    assert list((tmp_path / "state" / "checkpoints").glob("epoch_001.safetensors"))


def test_a_stalled_training_is_stopped(tiny, tmp_path):
    rule = ConvergenceRule(window_epochs=2)
    with pytest.raises(StageError, match="stalled"):
        tiny.tiny_fit(tiny.tiny_job(tmp_path), tiny.tiny_config(epochs=30, converged=rule), lr=1e-9)


def test_no_disk_no_start(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10}))
    with pytest.raises(StageError, match="not enough free disk"):
        tiny.tiny_fit(tiny.tiny_job(tmp_path), tiny.tiny_config())


def test_hours_over_the_ceiling_save_a_state_and_stop(tiny, tmp_path):
    with pytest.raises(StageError, match="over its ceiling") as caught:
        tiny.tiny_fit(tiny.tiny_job(tmp_path, compute_hours_max=1e-12), tiny.tiny_config(resume_every_s=3600.0))
    assert caught.value.key == "budget.compute_hours_max"
    assert list((tmp_path / "state").glob("resume_*.ckpt"))


# --- exact resume -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def uninterrupted(tiny, tmp_path_factory):
    root = tmp_path_factory.mktemp("uninterrupted")
    tiny.tiny_fit(tiny.tiny_job(root), tiny.tiny_config(early_stop_patience=2))
    return root / "out"


SLOW_SAVES = [pytest.param(save, marks=pytest.mark.slow) for save in (11, 36, 59, 61)]


@pytest.mark.parametrize("save", [1, 12, 13, 60, *SLOW_SAVES])
def test_resuming_from_any_kind_of_step_gives_the_same_bits(tiny, tmp_path, uninterrupted, stop_at_save, save):
    config = tiny.tiny_config(early_stop_patience=2)
    stop_at_save(save)
    with pytest.raises(_Killed):
        tiny.tiny_fit(tiny.tiny_job(tmp_path), config)
    stop_at_save(-1)
    result = tiny.tiny_fit(tiny.tiny_job(tmp_path), config)
    assert result.volatile["resumed_from_step"] == save
    assert digests(tmp_path / "out") == digests(uninterrupted)
    assert logged_steps(tmp_path / "out") == list(range(2, 73, 2))


def test_states_and_workers_do_not_change_the_bits(tiny, tmp_path, uninterrupted):
    tiny.tiny_fit(tiny.tiny_job(tmp_path), tiny.tiny_config(early_stop_patience=2, resume_every_s=3600.0), workers=2)
    assert digests(tmp_path / "out") == digests(uninterrupted)


def test_an_early_stop_is_not_forgotten_by_a_kill_in_the_last_epoch(tiny, tmp_path, stop_at_save):
    config = tiny.tiny_config(epochs=60, early_stop_patience=2, early_stop_min_delta=0.5, final_weights="last")
    whole = tiny.tiny_fit(tiny.tiny_job(tmp_path / "whole"), config)
    assert whole.early_stopped
    assert len(whole.rows) < 60
    stop_at_save(whole.rows[-1].step - 1)
    with pytest.raises(_Killed):
        tiny.tiny_fit(tiny.tiny_job(tmp_path / "killed"), config)
    stop_at_save(-1)
    resumed = tiny.tiny_fit(tiny.tiny_job(tmp_path / "killed"), config)
    assert resumed.rows == whole.rows
    assert digests(tmp_path / "killed" / "out") == digests(tmp_path / "whole" / "out")


def test_a_broken_newest_state_falls_back_to_the_one_before(tiny, tmp_path, uninterrupted, stop_at_save):
    config = tiny.tiny_config(early_stop_patience=2)
    stop_at_save(20)
    with pytest.raises(_Killed):
        tiny.tiny_fit(tiny.tiny_job(tmp_path), config)
    stop_at_save(-1)
    newest = sorted((tmp_path / "state").glob("resume_*.ckpt"))[-1]
    newest.write_bytes(newest.read_bytes()[:-100])
    result = tiny.tiny_fit(tiny.tiny_job(tmp_path), config)
    assert result.volatile["resumed_from_step"] == 19
    assert digests(tmp_path / "out") == digests(uninterrupted)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_saves_a_state_and_interrupts(tiny, tmp_path, uninterrupted, number):
    config = tiny.tiny_config(early_stop_patience=2, resume_every_s=3600.0)
    before = signal.getsignal(number)

    class Signalling(tiny.Messages):
        def message(self, text):
            if text.startswith("epoch 3/"):
                os.kill(os.getpid(), number)

    with pytest.raises(KeyboardInterrupt):
        tiny.tiny_fit(tiny.tiny_job(tmp_path, progress=Signalling()), config)
    assert signal.getsignal(number) is before
    result = tiny.tiny_fit(tiny.tiny_job(tmp_path), config)
    assert result.volatile["resumed_from_step"] == 36
    assert digests(tmp_path / "out") == digests(uninterrupted)


def run_attempts(root, delays):
    program = [sys.executable, str(Path(__file__).with_name("tiny_training.py")), str(root), *delays]
    done = subprocess.run(program, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": IMPORTABLE})
    assert done.returncode == 0, done.stderr
    return [int(line) for line in done.stdout.split()]


def kill_test(tmp_path, kills, seed):
    random_numbers = random.Random(seed)
    codes = run_attempts(tmp_path, [f"{random_numbers.uniform(0.05, 0.6):.3f}" for _ in range(kills)])
    assert codes[0] == codes[-1] == 0
    assert codes.count(-signal.SIGKILL) >= 2  # an attempt may finish before its kill
    assert digests(tmp_path / "killed" / "out") == digests(tmp_path / "whole" / "out")
    steps = logged_steps(tmp_path / "killed" / "out")
    assert steps == sorted(set(steps)) == logged_steps(tmp_path / "whole" / "out")


@pytest.mark.slow  # tests/pipeline/test_exact_resume.py kills a real lane in the fast set
def test_three_kills(tmp_path):
    kill_test(tmp_path, 3, seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_twenty_kills(tmp_path, seed):
    kill_test(tmp_path, 20, seed=seed + 10)


# --- what is left behind ----------------------------------------------------------------------------------------------


def test_the_model_is_the_best_or_the_last(tiny, tmp_path):
    for which in ("best", "last"):
        tiny.tiny_fit(tiny.tiny_job(tmp_path / which), tiny.tiny_config(final_weights=which))
        out = tmp_path / which / "out"
        assert sha256_file(out / "model.safetensors") == sha256_file(out / "checkpoints" / f"{which}.safetensors")


def test_nothing_is_said_and_global_settings_are_put_back(tiny, tmp_path, capfd):
    threads = torch.get_num_threads()
    tiny.tiny_fit(tiny.tiny_job(tmp_path, hardware=CpuTarget(kind="cpu", threads=2)), tiny.tiny_config())
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert capfd.readouterr() == ("", "")
    assert not list(tmp_path.rglob("lightning_logs"))


def test_training_works_outside_the_main_thread(tiny, tmp_path):
    worker = threading.Thread(target=lambda: tiny.tiny_fit(tiny.tiny_job(tmp_path), tiny.tiny_config(epochs=1)))
    worker.start()
    worker.join()
    assert (tmp_path / "out" / "model.safetensors").is_file()


def test_curves_are_handed_on_by_step_and_a_pruned_training_resumes_to_the_same_bits(tiny, tmp_path):
    class Impatient(tiny.Messages):
        def curve(self, step, values):
            super().curve(step, values)
            if values.get("epoch") == 3:
                raise PrunedError("the sweep gave it up")

    whole, cut = (tiny.tiny_job(tmp_path / name) for name in ("whole", "cut"))
    result = tiny.tiny_fit(whole, tiny.tiny_config())
    with pytest.raises(PrunedError):
        tiny.tiny_fit(dataclasses.replace(cut, progress=Impatient()), tiny.tiny_config())
    assert not list(cut.folder.iterdir())
    tiny.tiny_fit(cut, tiny.tiny_config())
    steps = [step for step, _ in whole.progress.points]
    assert steps == sorted(steps)
    ends = [(step, values["validation/loss"]) for step, values in whole.progress.points if "epoch" in values]
    assert ends == [(row.step, row.validation_loss) for row in result.rows]
    assert cut.progress.points[0][0] > whole.progress.points[0][0]
    assert digests(cut.folder) == digests(whole.folder)
