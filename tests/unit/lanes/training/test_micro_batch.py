"""Micro-batches: the same step with less memory."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torch.nn import functional

import interlock
from interlock.lanes.training.batches import NO_SAMPLES, ComparedExamples, Fetched, chained_order
from interlock.lanes.training.config import AdamW, TrainerConfig
from interlock.lanes.training.module import TrainedModule

SIZES = [1, 3, 4, 5, 8, 11]
"""11 examples: parts of 1, unequal parts, halves of different size, and the whole."""


class Compared:
    """Pairs of vectors whose loss compares all of a batch."""

    def __init__(self, n=40):
        self.x = torch.randn(n, 8, generator=torch.Generator().manual_seed(5))

    def __len__(self):
        return len(self.x)

    def __getitems__(self, indices):
        return self.in_micro_batches(indices, len(indices))

    def in_micro_batches(self, indices, size):
        return {"x": list(self.x[list(indices)].split(size))}


class Contrast(TrainedModule):
    def loss(self, part):
        vectors = functional.normalize(self.encoded(self.network, part["x"]), dim=1)
        return functional.cross_entropy(vectors @ vectors.T * 5, torch.arange(len(vectors)).roll(1))


class PerTarget(TrainedModule):
    """A mean over targets, of which examples have different numbers."""

    def loss(self, part):
        x, y = part
        valid = y > 0
        return ((self.network(x) - y)[valid] ** 2).mean()

    def weight(self, part, count):
        return float((part[1] > 0).sum())


def network(dropout=0.0):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Dropout(dropout), nn.Linear(16, 4))


def gradient(module, examples, size, *, rows=range(11), precision=None):
    """Loss and gradient of one training step, as Lightning's closure takes it."""
    batch = Fetched(examples, micro_batch=size).__getitems__(list(rows))
    torch.manual_seed(1)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"):
        loss = module.training_step(batch, 0)
    if loss.requires_grad:
        loss.backward()
    return loss.item(), torch.cat([parameter.grad.flatten() for parameter in module.parameters()])


def cases(tiny):
    class Numbers4(tiny.Numbers):
        def __init__(self):
            super().__init__(40, 1)
            self.y = torch.randn(40, 4, generator=torch.Generator().manual_seed(2))

    adam = AdamW(kind="adamw", lr=1e-3)
    yield tiny.Regression(nn.Sequential(nn.Linear(8, 1)), adam), tiny.Numbers(40, 1)
    yield Contrast(network(), adam), Compared()
    yield PerTarget(network(), adam), Numbers4()


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_more_than_a_batch_is_refused():
    with pytest.raises(ValidationError, match="micro_batch 17 is more than batch_size 16: lower it"):
        TrainerConfig(epochs=1, batch_size=16, micro_batch=17)
    with pytest.raises(ValidationError, match="micro_batch"):
        TrainerConfig(epochs=1, batch_size=16, micro_batch=0)


# --- the same step ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("case", range(3))
def test_parts_give_the_gradient_of_the_whole(tiny, case, size):
    module, examples = list(cases(tiny))[case]
    expected, expected_gradient = gradient(module.double(), doubled(examples), None)
    loss, found = gradient(module, examples, size)
    assert loss == pytest.approx(expected, rel=1e-6)
    assert (found - expected_gradient).norm() <= 1e-6 * expected_gradient.norm()


def doubled(examples):
    examples.x = examples.x.double()
    if hasattr(examples, "y"):
        examples.y = examples.y.double()
    return examples


@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize("case", range(3))
def test_in_single_precision_too(tiny, case, size):
    module, examples = list(cases(tiny))[case]
    expected = gradient(module, examples, None)[1]
    assert (gradient(module, examples, size)[1] - expected).norm() <= 1e-6 * expected.norm()


@pytest.mark.parametrize("case", range(3))
def test_validation_does_not_depend_on_the_parts(tiny, case):
    module, examples = list(cases(tiny))[case]
    results = []
    for size in (None, 3):
        batch = Fetched(examples, micro_batch=size).__getitems__(list(range(11)))
        with torch.no_grad():
            results.append(module.validation_step(batch, 0))
    assert results[1]["loss"].item() == pytest.approx(results[0]["loss"].item(), rel=1e-6)
    assert results[0]["count"] == results[1]["count"]


def test_with_dropout_the_gradient_belongs_to_the_loss_that_was_reported(monkeypatch):
    """The masks of the second pass are those of the first: as if all activations had been kept."""
    module = Contrast(network(dropout=0.5), AdamW(kind="adamw", lr=1e-3))
    loss, found = gradient(module, Compared(), 3)
    monkeypatch.setattr(
        Contrast, "encoded", lambda self, encode, parts: torch.cat([encode(part) for part in parts]), raising=True
    )
    kept_loss, kept = gradient(module, Compared(), 3)
    assert loss == kept_loss
    assert torch.allclose(found, kept, rtol=1e-6, atol=0)


@pytest.mark.parametrize("case", [0, 1])
def test_bfloat16_adds_up_in_single_precision(tiny, case):
    module, examples = list(cases(tiny))[case]
    exact = gradient(module, examples, None)[1]
    rounded, parts = (gradient(module, examples, size, precision="bf16")[1] for size in (None, 2))
    assert parts.dtype == torch.float32
    assert not torch.equal(parts, parts.bfloat16().float())  # a sum in bfloat16 would be one of its numbers
    error, usual = ((value - exact).norm() / exact.norm() for value in (parts, rounded))
    assert 0 < error < 2 * usual + 0.01


def test_an_epoch_of_parts_takes_the_same_steps(tiny, tmp_path):
    """Steps, schedule and order of examples count batches; only the last bits of the losses may differ."""
    results = [
        tiny.tiny_fit(tiny.tiny_job(tmp_path / str(size)), tiny.tiny_config(epochs=3, micro_batch=size), dropout=0.0)
        for size in (None, 16, 5, 1)
    ]
    whole = results[0]
    for result in results[1:]:
        assert [(row.step, row.lr) for row in result.rows] == [(row.step, row.lr) for row in whole.rows]
        assert result.sample_order_sha256 == whole.sample_order_sha256
        for row, expected in zip(result.rows, whole.rows, strict=True):
            assert row.train_loss == pytest.approx(expected.train_loss, rel=1e-5)
            assert row.validation_loss == pytest.approx(expected.validation_loss, rel=1e-5)
    assert results[1].rows == whole.rows


MEASURED = """
import os, resource, sys
import torch
from torch import nn
from interlock.lanes.training.batches import Fetched
from interlock.lanes.training.config import AdamW
sys.path.insert(0, {folder!r})
import test_micro_batch as tests

def step(module, size, report):
    examples = (tests.WideCompared if type(module) is tests.Contrast else tests.Wide)(2048)
    batch = Fetched(examples, micro_batch=size).__getitems__(list(range(2048)))
    before = int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    loss = module.training_step(batch, 0)
    if loss.requires_grad:
        loss.backward()
    os.write(report, str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 - before).encode())

for kind in (tests.Contrast, tests.Squares):
    for size in (None, 64):
        torch.manual_seed(0)
        layers = [layer for _ in range(24) for layer in (nn.Linear(512, 512), nn.Tanh())]
        module = kind(nn.Sequential(*layers, nn.Linear(512, 4)), AdamW(kind="adamw", lr=1e-3))
        read, write = os.pipe()
        if (child := os.fork()) == 0:  # a process of its own: the largest memory of a process never falls again
            torch.set_num_threads(1)
            step(module, size, write)
            os._exit(0)
        os.waitpid(child, 0)
        print(os.read(read, 100).decode())
"""


class Wide:
    """Rows wide enough for their activations to be what takes memory: 24 layers of 512 floats each."""

    def __init__(self, n):
        self.x = torch.randn(n, 512)

    def __len__(self):
        return len(self.x)

    def __getitems__(self, indices):
        return {"x": [self.x[indices]]}


class WideCompared(Wide):
    def in_micro_batches(self, indices, size):
        return {"x": list(self.x[indices].split(size))}


class Squares(TrainedModule):
    def loss(self, part):
        return self.network(part["x"][0]).square().mean()


@pytest.mark.slow
def test_memory_falls_with_the_parts():
    """Activations of 2048 rows are 192 MiB (the outputs of 48 layers, half of them kept twice), of 64 rows 6 MiB."""
    program = MEASURED.format(folder=str(Path(__file__).parent))
    path = str(Path(interlock.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    contrast, contrast_parts, mean, mean_parts = (int(line) / 2**20 for line in done.stdout.split())
    assert min(contrast, mean) > 90
    assert max(contrast_parts, mean_parts) < min(contrast, mean) / 2


# --- which examples, in which order -----------------------------------------------------------------------------------


def test_the_order_of_examples_is_a_chain_of_all_steps():
    rows = np.arange(6)
    whole = chained_order(chained_order(NO_SAMPLES, rows[:3]), rows[3:])
    assert whole != chained_order(chained_order(NO_SAMPLES, rows[3:]), rows[:3])
    assert whole != chained_order(chained_order(NO_SAMPLES, rows[[1, 0, 2]]), rows[3:])
    assert NO_SAMPLES == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"  # pragma: allowlist secret


def test_a_batch_says_which_examples_it_holds():
    assert isinstance(Compared(), ComparedExamples)
    batch = Fetched(Compared(), micro_batch=3).__getitems__([4, 9, 1, 0])
    assert batch.rows.tolist() == [4, 9, 1, 0]
    assert batch.counts == [4]
    assert [len(part) for part in batch.parts[0]["x"]] == [3, 1]
