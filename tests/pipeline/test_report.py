"""Report, difference and filter over runs that were really made: passed, failed, killed, and tampered with."""

import json
import os
import signal
import subprocess
import time

from chromium_pipe import Browser, find_chromium


def passed_and_failed(workspace):
    """A passed run of the pipeline and a failed one beside it; ids by verdict."""
    workspace.interlock("sync")
    workspace.interlock("run", "lane=toy", "lane.model.value=0.5", "seed=2", code=3)
    found = json.loads(workspace.interlock("runs", "list", "--json"))
    return {row["verdict"]: row["run_id"] for row in found}


def test_report_diff_and_filter_until_somebody_changes_a_byte(ran_workspace):
    workspace = ran_workspace
    ids = passed_and_failed(workspace)
    page = workspace.path / "artifacts" / "report.html"
    assert f"report: {page} (toy pass)" in workspace.interlock("report"), "the run that the stages hold, not the newest"
    first = page.read_bytes()
    workspace.interlock("report", "--out", "again.html")
    assert (workspace.path / "again.html").read_bytes() == first
    assert ids["pass"].encode() in first
    assert b"recall" not in first.lower(), "no section of a lane without retrieval"
    assert str(workspace.path).encode() not in first

    told = json.loads(workspace.interlock("report", ids["fail"][:6], ids["pass"], "--out", "two.html", "--json"))
    assert [row["verdict"] for row in told["runs"]] == ["fail", "pass"]
    assert (workspace.path / "two.html").stat().st_size == told["size_bytes"]

    difference = json.loads(
        workspace.interlock("diff", ids["pass"], ids["fail"], "--json", "--html", "difference.html")
    )
    assert difference["config"] == [
        {"key": "lane.model.value", "before": "0.0", "after": "0.5"}, {"key": "seed", "before": "1", "after": "2"},
    ]  # fmt: skip
    (accuracy,) = (row for row in difference["metrics"] if row["metric"] == "accuracy")
    assert (accuracy["reading"], accuracy["difference"]["upper"] < 0) == ("worse", True)
    assert difference["flips"]["num_lost"] == 360
    assert (workspace.path / "difference.html").read_text().startswith("<!doctype html>")
    screen = workspace.interlock("diff", ids["pass"], ids["fail"])
    assert "lane.model.value" in screen
    assert "360 lost of 400" in screen

    listed = json.loads(workspace.interlock("runs", "list", "--filter", "verdict=pass metrics.accuracy>0.5", "--json"))
    assert [row["run_id"] for row in listed] == [ids["pass"]]
    assert "did you mean verdict" in workspace.interlock("runs", "list", "--filter", "verdikt=pass", code=2)
    assert "both are the same run" in workspace.interlock("diff", ids["pass"], ids["pass"], code=2)
    assert "no such run" in workspace.interlock("report", "zzzz", code=2)

    path = workspace.path / "artifacts" / "runs" / ids["pass"] / "models" / "loss.csv"
    os.chmod(path, 0o644)
    path.write_text(path.read_text().replace("0", "1", 1))
    output = workspace.interlock("report")
    assert f"WARNING: run {ids['pass']} cannot be trusted" in output
    assert "This run cannot be trusted" in page.read_text()
    assert "accuracy" not in page.read_text()
    assert "cannot be compared" in workspace.interlock("diff", ids["pass"], ids["fail"], code=1)


def test_a_killed_run_has_a_page(workspace, tmp_path):
    assert "no archived run" in workspace.interlock("report", code=2)
    command = ("interlock", "run", "lane=toy", "lane.trainer.steps=1000", "lane.trainer.sleep_s=0.05")
    process = subprocess.Popen(
        command, cwd=workspace.path, env=workspace.env, stdin=subprocess.DEVNULL, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    state = workspace.path / "artifacts" / "state" / "runs"
    deadline = time.monotonic() + 120
    while not list(state.glob("*/toy.json")) and time.monotonic() < deadline:
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    workspace.interlock("report")
    page = workspace.path / "artifacts" / "report.html"
    assert "There is no result: train killed" in page.read_text()
    if find_chromium():
        with Browser(tmp_path) as browser:
            opened = browser.open(page, width=360)
            assert (opened.complaints, opened.requests) == ([], [])
            assert opened.evaluate("[...document.querySelectorAll('[data-section]')].map(e => e.dataset.section)") == [
                "verdict", "attempts",
            ]  # fmt: skip
