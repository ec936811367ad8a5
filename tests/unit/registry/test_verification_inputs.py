"""A run's inputs are part of its chain: what cannot have been, and what is no longer so, is a broken link."""

import shutil
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_pair import STRICT, ToyPair

from interlock.contracts.input import InputUse, pinned
from interlock.registry.archive import read_card
from interlock.registry.garbage import Wanted, collect, find_garbage
from interlock.registry.verification.archived import read_archived
from interlock.registry.verification.findings import Findings
from interlock.registry.verification.inputs import check_inputs
from interlock.registry.verification.logs import read_logs
from interlock.registry.verification.model import read_records
from interlock.registry.verify import verify_home, verify_run


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    pair = ToyPair(tmp_path_factory.mktemp("chain") / "w")
    pair.dvc("toy", "follower")
    pair.archive("toy", "follower")
    return pair


@pytest.fixture
def home(made, tmp_path):
    shutil.copytree(made.home / "runs", tmp_path / "home/runs")
    shutil.copytree(made.home / "registry", tmp_path / "home/registry")
    return tmp_path / "home"


@pytest.fixture(scope="module")
def records(made):
    """The dependant as it is archived, and its records."""
    findings = Findings(section="stages", home=made.home)
    archived = read_archived(made.home, made.run_id("follower"), findings)
    return archived, read_records(archived, findings)


def broken(archived, records):
    return [(link.name, link.detail) for link in check_inputs(archived, records, None) if link.state == "broken"]


def test_an_untouched_run_holds(records):
    links = check_inputs(*records, None)
    assert [link.name for link in links][-1].startswith("input base -> run ")
    assert {link.state for link in links} == {"holds"}


@given(st.sampled_from(["prepare", "train", "evaluate"]), st.sampled_from(["run_id", "sha256", "reference", "gone"]))
def test_no_stage_can_say_something_else(made, stage, what):
    findings = Findings(section="stages", home=made.home)
    archived = read_archived(made.home, made.run_id("follower"), findings)
    known = read_records(archived, findings)
    other = {"run_id": "f" * 16, "sha256": "f" * 64, "reference": "lane:other"}
    use = known[stage].lane_inputs["base"]
    uses = {} if what == "gone" else {"base": use.model_copy(update={what: other[what]})}
    assert broken(archived, {**known, stage: known[stage].model_copy(update={"lane_inputs": uses})})


def test_a_verdict_that_nobody_allowed(records):
    archived, known = records
    prepare = known["prepare"]
    use = prepare.lane_inputs["base"].model_copy(update={"verdict": "fail"})
    changed = {**known, "prepare": prepare.model_copy(update={"lane_inputs": {"base": use}})}
    assert broken(archived, changed) == [("prepare -> input base", "its verdict was fail, and nobody allowed that")]


def test_a_pass_that_no_log_knows(made, records):
    """A judgement that was laid into the archive, used, and taken away again."""
    archived, known = records
    prepare = known["prepare"]
    use = prepare.lane_inputs["base"]
    pin = use.model_copy(update={"reference": pinned(use.run_id, use.sha256)})
    changed = {"train": known["train"], "prepare": prepare.model_copy(update={"lane_inputs": {"base": pin}})}
    logs = read_logs(made.home)
    assert "prepare -> verdict of input base" not in names(archived, changed, logs)
    failed = [replace_verdict(line, "fail") for line in logs.lines]
    assert "prepare -> verdict of input base" in names(archived, changed, replace(logs, lines=tuple(failed)))


def names(archived, records, logs):
    return [link.name for link in check_inputs(archived, records, None, logs=logs) if link.state == "broken"]


def replace_verdict(line, verdict):
    body = {**line.event.body, **({"verdict": verdict} if line.event.kind == "judged" else {})}
    return line._replace(event=line.event.model_copy(update={"body": body}))


def test_a_pinned_input_that_is_another_run(records):
    archived, known = records
    pin = f"run:{'0' * 16}@sha256:{'0' * 64}"
    changed = {}
    for stage in ("prepare", "train", "evaluate"):
        use = known[stage].lane_inputs["base"]
        lane = {**known[stage].params["lane"], "inputs": {"base": pin}}
        update = {
            "params": {**known[stage].params, "lane": lane},
            "lane_inputs": {"base": InputUse(**{**vars(use), "reference": pin})},
        }
        changed[stage] = known[stage].model_copy(update=update)
    assert [name for name, _ in broken(archived, changed)] == [f"{stage} -> input base" for stage in changed]


def test_the_chain_goes_on_in_the_input(made, home):
    run_id, base = made.run_id("follower"), made.run_id("toy")
    assert verify_run(home, run_id).ok
    weights = home / "runs" / base / "models/model.safetensors"
    weights.chmod(0o644)
    weights.write_bytes(b"other")
    found = verify_run(home, run_id).first_broken
    assert found.section == "inputs"
    assert found.name == f"input base -> run {base}: run card -> models/model.safetensors"
    assert found.path == f"runs/{base}/models/model.safetensors"
    whole = {run.run_id: run.ok for run in verify_home(home).runs}
    assert whole == {run_id: True, base: False}, "of a whole home each run is verified by itself"


def test_an_input_that_is_not_here_is_said(made, home):
    base = made.run_id("toy")
    shutil.rmtree(home / "runs" / base)
    found = verify_run(home, made.run_id("follower"))
    assert found.ok
    assert f"input base -> run {base}" in {link.name for link in found.unchecked}


@pytest.mark.slow
def test_gc_keeps_an_input_that_gave_no_model(tmp_path):
    """A failed run that another one was made from, with permission, stays as long as that one does."""
    pair = ToyPair(tmp_path / "w")
    pair.params(toy=STRICT, follower={"lane": {"allow_unpassed": {"base": True}}})
    pair.dvc("toy", "follower")
    pair.archive("toy", "follower")
    later = read_card(pair.home, pair.run_id("toy")).observations.created_at + 100 * 86400.0
    wanted = Wanted(now_s=later, runs=True, keep_days=1.0)
    assert [item.path for item in find_garbage(pair.home, wanted) if item.kind == "run"] == []
    shutil.rmtree(pair.home / "runs" / pair.run_id("follower"))
    assert [item.path for item in find_garbage(pair.home, wanted) if item.kind == "run"] == [
        f"runs/{pair.run_id('toy')}"
    ]


@pytest.mark.slow
def test_gc_keeps_the_work_that_an_unfinished_configuration_is_made_from(tmp_path):
    from interlock.commands.running import run_place
    from interlock.stages.progress import Silent

    pair = ToyPair(tmp_path / "w")
    place = pair.place()
    run_place(place, progress=Silent())
    base = (place.folder / "inputs/base").resolve()
    shutil.rmtree(place.folder / "evaluate")  # as if it had been killed
    now = Wanted(now_s=place.params.stat().st_mtime + 60.0)
    assert [item.path for item in collect(pair.home, now) if item.kind == "work"] == []
    assert (base / "train/record.json").is_file()
    run_place(place, progress=Silent())
    gone = {item.path for item in collect(pair.home, replace(now)) if item.kind == "work"}
    assert gone == {f"work/{base.name}", f"work/{place.folder.name}"}
