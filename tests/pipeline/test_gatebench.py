"""GateBench on the files of a run: the real stages, `interlock status`, the readers and the contracts."""

from importlib import import_module

import pytest

from interlock.commands import status


@pytest.fixture
def part(repository, monkeypatch):
    """Import a module of the benchmark, which is no installed package."""
    monkeypatch.syspath_prepend(str(repository / "benchmarks"))
    return lambda name: import_module(f"gatebench.{name}")


def test_no_spoiled_file_passes_and_every_untouched_one_does(part, tmp_path):
    scoring = part("scoring")
    found = scoring.summary(scoring.run(part("run").file_cases(tmp_path)))
    assert found["misses"] == []
    assert (found["wrong_passes"], found["wrong_stops"], found["crashes"]) == (0, 0, 0)
    assert found["cases"] >= 90


def test_a_status_that_looks_at_no_file_is_caught(part, tmp_path, monkeypatch):
    """The benchmark can fail: a hole in the real code shows, and what stands behind it still holds."""
    runs = part("toy_runs").ToyRuns(tmp_path / "runs")
    monkeypatch.setattr(status, "why_not_current", lambda *arguments, **given: "")
    results = part("scoring").run(part("records").status_cases(runs))
    wrong = {result.case.fault for result in results if result.is_wrong_pass}
    assert {"scores_file_truncated", "evaluator_code_changed", "seed_changed_afterwards"} <= wrong
    assert not wrong & {"verdict_edited_and_signed", "verdict_unknown_word", "judgement_edited_and_signed"}
    assert not any(result.is_wrong_stop for result in results)
