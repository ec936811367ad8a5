from types import SimpleNamespace

import numpy as np
import pytest

from interlock.errors import StageError
from interlock.lanes.exporting.answering import ExportedEncoder
from interlock.lanes.exporting.latency import Latency, hardware_name, measure_latency


def queries(*texts: str) -> list[dict[str, str]]:
    return [{"role": "query", "text": text} for text in texts]


@pytest.mark.parametrize(("requests", "num_requests"), [(queries("a"), 999), ([], 1000)])
def test_too_little_to_measure_is_refused(
    exported: SimpleNamespace, requests: list[dict[str, str]], num_requests: int
) -> None:
    with pytest.raises(StageError, match="at least 1000 requests, and one to repeat"):
        measure_latency(exported.path, requests, opener=ExportedEncoder, num_requests=num_requests)


def test_every_request_is_timed(exported: SimpleNamespace) -> None:
    asked = queries("read a csv file", "", "sort rows")
    found = measure_latency(exported.path, asked, opener=ExportedEncoder, num_requests=1003)
    assert found.samples_ms.shape == (1003,)
    assert (found.samples_ms > 0).all()
    assert found.quantile(0.5) <= found.quantile(0.95) <= found.samples_ms.max()
    assert found.runtime.startswith("onnxruntime ")
    assert found.hardware == hardware_name()


def test_quantile_is_the_one_the_judge_computes() -> None:
    found = Latency(np.arange(1.0, 101.0), "cpu", "runtime")
    assert found.quantile(0.95) == pytest.approx(95.05)
    assert found.quantile(0.5) == pytest.approx(50.5)


def test_hardware_has_processor_and_system() -> None:
    processor, _, system = hardware_name().rpartition(", ")
    assert processor
    assert system
