import os

import pytest
import torch

from interlock.contracts.hardware import CpuTarget
from interlock.lanes.training.device import prepared_device


def flags():
    cudnn = torch.backends.cudnn
    return (
        torch.are_deterministic_algorithms_enabled(), torch.get_float32_matmul_precision(), cudnn.allow_tf32,
        cudnn.deterministic, cudnn.benchmark, torch.get_num_threads(),
    )  # fmt: skip


@pytest.fixture
def careless():
    """Everything set as determinism does not want it, and put back after the test."""
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    torch.set_float32_matmul_precision("medium")
    torch.backends.cudnn.benchmark = True
    yield
    torch.set_float32_matmul_precision(before[0])
    torch.backends.cudnn.benchmark = before[1]


def test_a_deterministic_target_sets_everything_and_puts_it_back(careless):
    before = flags()
    with prepared_device(CpuTarget(kind="cpu", threads=2)):
        assert flags() == (True, "highest", False, True, False, 2)
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"] in (":4096:8", ":16:8")
    assert flags() == before


def test_another_target_leaves_the_arithmetic_alone(careless):
    before = flags()
    with prepared_device(CpuTarget(kind="cpu", threads=1, deterministic=False)):
        assert flags()[:5] == before[:5]
