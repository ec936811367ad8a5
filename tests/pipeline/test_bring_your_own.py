"""A user's own data in ten lines of YAML, and a user's own lane as a package: both without a change to this project."""

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
ANIMALS = ("otter", "heron", "badger", "lynx", "marten", "viper", "bison", "raven", "ibex", "toad", "stoat", "crane")
NUM_ITEMS = 60


def words(number):
    """Words that are shared with others in another way each time."""
    animal = ANIMALS[number % len(ANIMALS)]
    verbs = ("lives", "eats", "hunts", "sleeps", "swims", "climbs")
    return [f"{animal}{verb}" for verb in verbs] + [f"{verb}{number // len(ANIMALS)}" for verb in verbs]


def beir(folder, *, identifier="_id"):
    """Documents with a query each; the judgements stand in files of usual names."""
    (folder / "qrels").mkdir(parents=True)
    texts = [" ".join(words(number)) for number in range(NUM_ITEMS)]
    documents = [{identifier: f"d{n}", "title": f"Article {n}", "text": text} for n, text in enumerate(texts)]
    queries = [{"_id": f"q{n}", "text": " ".join(words(n)[4:9])} for n in range(NUM_ITEMS)]
    for name, rows in (("corpus", documents), ("queries", queries)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, numbers in {"train": range(40), "dev": range(40, 48), "test": range(48, NUM_ITEMS)}.items():
        lines = ["query-id\tcorpus-id\tscore", *(f"q{n}\td{n}\t1" for n in numbers)]
        (folder / "qrels" / f"{name}.tsv").write_text("\n".join(lines) + "\n")
    return folder


def npz(path):
    """Vectors, and noisy copies of them that ask for them."""
    random = np.random.default_rng(0)
    documents = random.normal(size=(NUM_ITEMS, 16)).astype(np.float32)
    pairs = np.stack([np.arange(NUM_ITEMS), np.arange(NUM_ITEMS)], axis=1)
    ids = np.array([f"d{n}" for n in range(NUM_ITEMS)])
    queries = documents + 0.01 * random.normal(size=documents.shape).astype(np.float32)
    np.savez(path, doc_ids=ids, doc_vectors=documents, query_ids=ids, query_vectors=queries, qrels=pairs)
    return path


@pytest.mark.parametrize("kind", ["beir", pytest.param("npz", marks=pytest.mark.slow)])
def test_an_experiment_of_ones_own_data_runs_as_soon_as_it_is_made(make_workspace, tmp_path, kind):
    workspace = make_workspace(lanes=("query_tower",))
    data = beir(tmp_path / "my data") if kind == "beir" else npz(tmp_path / "my data.npz")
    said = json.loads(workspace.interlock("init", "mine", "--data", str(data), "--json"))
    assert said["documents"] == NUM_ITEMS
    assert sum(said["queries"].values()) == NUM_ITEMS
    text = (workspace.path / said["file"]).read_text()
    assert len(text.splitlines()) <= 10
    assert "data" in text

    command = said["next"].split()[1:]
    assert command == ["run", "experiment=mine"]
    workspace.interlock("validate", "experiment=mine")
    # Few items prove nothing, so the verdict is no pass; that every stage ran is what counts here.
    done = subprocess.run(
        ["interlock", *command, "trainer=smoke", "hardware.threads=1"], cwd=workspace.path, env=workspace.env,
        text=True, capture_output=True, check=False, timeout=250,
    )  # fmt: skip
    assert done.returncode in (3, 4, 5), done.stdout + done.stderr
    (run,) = json.loads(workspace.interlock("runs", "list", "--json"))
    assert (run["dataset"], run["state"]) == ("mine", "decided")

    before = (workspace.path / said["file"]).read_bytes()
    assert "already" in workspace.interlock("init", "mine", "--data", str(data), code=2)
    assert (workspace.path / said["file"]).read_bytes() == before


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda folder: beir(folder / "data", identifier="id"), ["corpus.jsonl", "line 1", "(60)"]),
        (lambda folder: folder / "nothing", ["no such file"]),
        (lambda folder: folder, ["not a form of data", "BEIR folder"]),
    ],
)
def test_data_that_the_lane_would_refuse_makes_no_experiment(workspace, tmp_path, make, said):
    place = tmp_path / "place"
    place.mkdir()
    output = workspace.interlock("init", "mine", "--data", str(make(place)), code=1)
    assert [text for text in said if text not in output] == []
    assert not (workspace.path / "conf" / "experiment" / "mine.yaml").exists()


@pytest.mark.parametrize("name", ["Mine", "../mine", "my-data", "1st"])
def test_names_that_cannot_be_used_are_refused(workspace, tmp_path, name):
    output = workspace.interlock("init", name, "--data", str(beir(tmp_path / "data")), code=2)
    assert "beginning with a letter" in output


def test_data_in_the_project_is_named_from_there(workspace):
    beir(workspace.path / "data" / "questions")
    workspace.interlock("init", "mine", "--data", "data/questions")
    assert "path: data/questions\n" in (workspace.path / "conf" / "experiment" / "mine.yaml").read_text()


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """The example lane installed by pip, without network, from a copy: building must not write into this checkout."""
    folder = tmp_path_factory.mktemp("lane")
    shutil.copytree(ROOT / "examples" / "my_lane", folder / "source")
    options = ("--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check")
    command = [sys.executable, "-m", "pip", "install", *options, "--target", folder / "site", folder / "source"]
    subprocess.run(command, check=True, timeout=200)
    return folder / "site"


@pytest.fixture
def with_lane(make_workspace, installed):
    """A workspace that knows the example lane because its package is installed; nothing else was done."""
    workspace = make_workspace()
    env = workspace.env | {"PYTHONPATH": f"{workspace.env['PYTHONPATH']}{os.pathsep}{installed}"}
    return type(workspace)(workspace.path, env)


def sha256_of_model(workspace):
    (model,) = json.loads(workspace.interlock("registry", "list", "--json"))
    return model["sha256"], model["run_id"], model["verdict"]


def test_a_lane_of_ones_own_runs_through_both_doors_to_the_same_model(with_lane, installed):
    assert (installed / "digits_lane" / "conf" / "lane" / "digits.yaml").is_file()
    before = with_lane.run("git", "status", "--short")
    assert "did you mean: lane.model.hidden" in with_lane.interlock(
        "validate", "lane=digits", "+lane.model.hiden=8", code=2
    )
    with_lane.interlock("run", "lane=digits")
    found = sha256_of_model(with_lane)
    assert found[2] == "pass"
    assert with_lane.run("git", "status", "--short") == before
    with_lane.interlock("verify", found[1])

    with_lane.edit("params.yaml", "lanes: [toy]", "lanes: [digits]")
    with_lane.interlock("pipeline", "render")
    assert with_lane.repro() != []
    with_lane.interlock("sync")
    assert sha256_of_model(with_lane) == found
    assert "pass" in with_lane.interlock("status")
    assert with_lane.repro() == []


@pytest.mark.slow
def test_a_lane_of_ones_own_resumes_to_the_same_bits(with_lane):
    with_lane.interlock("run", "lane=digits")
    whole = sha256_of_model(with_lane)
    shutil.rmtree(with_lane.path / "artifacts")
    states = with_lane.path / "artifacts" / "state" / "runs"
    command = ["interlock", "run", "lane=digits"]
    process = subprocess.Popen(command, cwd=with_lane.path, env=with_lane.env, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while process.poll() is None and not list(states.glob("*/state.safetensors")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert "resumed after epoch" in with_lane.interlock("run", "lane=digits")
    assert sha256_of_model(with_lane) == whole
