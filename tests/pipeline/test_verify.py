"""Verification of a run that DVC made: its data, its code and its lock are looked for where they may be."""

import json
import shutil


def verified(workspace, run_id, *, code=0):
    found = json.loads(workspace.interlock("verify", run_id, "--json", code=code))
    return {link["name"]: (link["state"], link["detail"]) for link in found["links"]}


def test_data_code_and_lock_are_found_here_in_the_commit_and_in_dvcs_cache(workspace):
    workspace.repro()
    workspace.interlock("sync")
    (run,) = json.loads(workspace.interlock("runs", "list", "--json"))
    links = verified(workspace, run["run_id"])
    for name in ("prepare record -> code digest", "train record -> code digest", "run card -> lock digest"):
        assert links[name] == ("holds", "as it stands here")
    assert links["dataset digest -> prepared data"] == ("holds", "2 files")

    script = workspace.path / "pipelines" / "train.py"
    script.write_text(script.read_text() + "\n# changed since\n")
    shutil.rmtree(workspace.path / "artifacts" / "lanes")
    links = verified(workspace, run["run_id"])
    assert links["train record -> code digest"][0] == "holds"
    assert links["train record -> code digest"][1].startswith("as in commit ")
    assert links["evaluate record -> code digest"] == ("holds", "as it stands here")
    assert links["dataset digest -> prepared data"] == ("holds", "2 files in DVC's cache")

    shutil.rmtree(workspace.path / ".git")
    shutil.rmtree(workspace.path / ".dvc" / "cache")
    links = verified(workspace, run["run_id"])
    assert links["train record -> code digest"][0] == "unchecked"
    assert "is not in this repository" in links["train record -> code digest"][1]
    assert links["dataset digest -> prepared data"][0] == "unchecked"
