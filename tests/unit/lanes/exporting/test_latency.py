from types import SimpleNamespace

import numpy as np
import pytest

from interlock.errors import StageError
from interlock.lanes.exporting.latency import Latency, hardware_name, measure_latency


@pytest.mark.parametrize(("texts", "num_queries"), [(["a"], 999), ([], 1000)])
def test_too_little_to_measure_is_refused(exported: SimpleNamespace, texts: list[str], num_queries: int) -> None:
    with pytest.raises(StageError, match="at least 1000 queries and some text"):
        measure_latency(exported.path, texts, role="query", num_queries=num_queries)


def test_every_query_is_timed(exported: SimpleNamespace) -> None:
    found = measure_latency(exported.path, ["read a csv file", "", "sort rows"], role="query", num_queries=1003)
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
