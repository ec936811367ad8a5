"""Four doors, one configuration: the same overrides give the same bytes, the same run id and the same weights.

Parameters are compared inside this process, through each door's own code (`tests/plugins/doors.py`); weights through
the real commands. Every mistyped override is refused with the name that was meant.
"""

import json
import shutil
from pathlib import Path

import pytest
from doors import DOORS, answers, place_of, write_params
from override_cases import Cases, Setting

from interlock.config.compose import compose_each
from interlock.config.params_file import lane_overrides, read_params
from interlock.config.validate import validate
from interlock.errors import ConfigError

CONF = Path(__file__).resolve().parents[2] / "conf"
LANES = ("toy", "follower", "query_tower")
TOWER = {
    "hardware.threads": "1",
    "lane.data.packages": "[rich,typer,pydantic]",
    "lane.data.max_pairs": "400",
    "lane.trainer.epochs": "2",
    **{
        f"lane.gates.{name}.severity": "advise"
        for name in ("training_loss_converged", "echo_loop", "echo_lift", "r_at_5", "r_at_5_over_bm25")
    },
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A workspace with the real `conf/`, which is also the current folder."""
    shutil.copytree(CONF, tmp_path / "conf")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["interlock"])
    return tmp_path


def check_parameters(place, lane, seed, count):
    """Compare `count` random sets; returns how many of them are valid configurations."""
    cases, valid = Cases(place / "conf", lane, seed), 0
    for _ in range(count):
        settings = cases.settings()
        found = answers(place, lane, settings)
        assert all(found[door] == found[DOORS[0]] for door in DOORS), (settings, found)
        valid += isinstance(found[DOORS[0]], str)
    return valid


@pytest.mark.parametrize("lane", LANES)
def test_random_overrides_compose_to_the_same_bytes(place, lane):
    assert check_parameters(place, lane, "short", 4) >= 1


@pytest.mark.slow
@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("part", range(4))
def test_two_hundred_random_overrides_compose_to_the_same_bytes(place, lane, part):
    assert check_parameters(place, lane, f"long {part}", 25) >= 5


@pytest.mark.parametrize(
    ("key", "hydra", "yaml"),
    [
        ("experiment.notes", "yes", "yes"),  # a boolean to YAML 1.1
        ("experiment.notes", "1:30", "1:30"),  # 90 to YAML 1.1
        ("experiment.notes", "'010'", "010"),  # 8 to YAML 1.1
        ("lane.optimizer.lr", "1e-4", "1e-4"),  # text to YAML 1.1
        ("lane.model.value", "${seed}", "${seed}"),
        ("lane.model.value", "'${seed}'", "'${seed}'"),
        ("lane.search_space", "{lane.optimizer.lr: {low: 0.02}}", "{lane.optimizer.lr: {low: 0.02}}"),
        ("lane.gates.loads.severity", "advise", "advise"),  # no file sets it
        ("lane.data", "{count: 5, centre: 1}", "{count: 5, centre: 1}"),
        ("~lane.gates.loads", "null", "null"),
        ("control.url", "null", "~"),
        ("agents.architect.responsibilities", "[]", "[]"),
    ],
)
def test_spellings_that_parted_once(place, key, hydra, yaml):
    setting = Setting(key, None, hydra, yaml)
    skipped = {"dvc exp run -S"} if "${" in hydra or key.startswith("~") else set()  # DVC resolves, and cannot delete
    found = {}
    for door in DOORS:
        if door not in skipped:
            found[door] = answer_of(place, door, setting)
    assert len(set(found.values())) == 1, found
    assert isinstance(found[DOORS[0]], str)


def test_a_choice_and_a_key_below_it_go_together_as_a_dotted_key(place):
    import doors

    wanted = doors.run(place, "toy", [Setting("hardware", None, "mps", ""), Setting("hardware.threads", None, "2", "")])
    write_params(place, "toy", "overrides: {hardware: mps, hardware.threads: 2}\n")
    assert doors.composed_text(doors.compose_workspace(place)["toy"]) == wanted
    write_params(place, "toy", "overrides: {}\n")
    doors.apply_overrides(place / "params.yaml", ["++overrides={hardware: mps, hardware.threads: 2}"])
    assert doors.composed_text(doors.compose_workspace(place)["toy"]) == wanted


def answer_of(place, door, setting):
    import doors

    if setting.key.startswith("~") and door == "dvc repro":
        write_params(place, "toy", f"overrides:\n  {setting.key}: {setting.yaml}\n")
        return doors.composed_text(doors.compose_workspace(place)["toy"])
    names = dict(zip(DOORS, (doors.repro, doors.experiment, doors.run, doors.multirun), strict=True))
    return names[door](place, "toy", [setting])


def check_mistakes(place, lane, seed, count):
    """Every mistake is refused and says what was meant; params.yaml and -S hand the same override to composition."""
    cases = Cases(place / "conf", lane, seed)
    mistakes = [cases.mistake() for _ in range(count)]
    jobs = [[mistake.override] if mistake.key == "lane" else [f"lane={lane}", mistake.override] for mistake in mistakes]
    for mistake, found in zip(mistakes, compose_each(place / "conf", jobs), strict=True):
        error = refusal(found)
        assert error is not None, f"accepted: {mistake}"
        assert not mistake.right or mistake.right in {fault.nearest for fault in error.faults}, (mistake, str(error))
        assert any(mistake.key in fault.key for fault in error.faults), (mistake, str(error))
    return mistakes


def refusal(found):
    """The error of a composition, or None when it is valid."""
    try:
        if isinstance(found, ConfigError):
            raise found
        validate(found, subject="configuration")
    except ConfigError as error:
        return error
    return None


def test_mistyped_overrides_are_refused_with_the_name_that_was_meant(place):
    for lane in LANES:
        check_mistakes(place, lane, "short", 25)


@pytest.mark.slow
@pytest.mark.parametrize("lane", LANES)
@pytest.mark.parametrize("part", range(5))
def test_a_thousand_mistyped_overrides(place, lane, part):
    mistakes = check_mistakes(place, lane, f"long {part}", 100)
    for mistake in mistakes[:10]:
        key, _, text = mistake.override.partition("=")
        if mistake.key in ("lane", "experiment") or key.startswith("~"):
            continue
        found = answers(place, lane, [Setting(key, None, text, text)])
        assert all(isinstance(answer, list) for answer in found.values()), (mistake, found)
        assert not mistake.right or all(mistake.right in {near for _, _, near in answer} for answer in found.values())


def test_params_yaml_and_dvc_hand_over_the_same_overrides(place):
    import doors

    setting = Setting("lane.optimizr.lr", None, "1e-3", "1e-3")
    handed = []
    for door in (doors.repro, doors.experiment):
        with pytest.raises(ConfigError, match=r"did you mean: lane\.optimizer\.lr"):
            door(place, "toy", [setting])
        handed.append(lane_overrides(read_params(place / "params.yaml"), "toy"))
    assert handed[0] == handed[1] == ["lane=toy", "experiment=default", "lane.optimizr.lr=0.001"]


# Weights: the real commands --------------------------------------------------------------------------------------


def through_real_doors(workspace, lane, settings):
    """Run all four commands; returns run id, composed text and weights by door."""
    texts = [f"{setting.key}={setting.hydra}" for setting in settings]
    found = {}
    for door, words in (("interlock run", ("run",)), ("interlock run -m", ("run", "-m"))):
        shutil.rmtree(workspace.path / "artifacts", ignore_errors=True)
        workspace.interlock(*words, f"lane={lane}", *texts)
        (folder,) = (workspace.path / "artifacts/work").glob(f"{lane}-*")
        found[door] = facts(folder / "params.yaml", folder)
    shutil.rmtree(workspace.path / "artifacts")
    experiment = [word for text in texts for word in ("-S", f"++{place_of(lane)}.{text}")]
    workspace.run("dvc", "exp", "run", "--quiet", *experiment)
    found["dvc exp run -S"] = dvc_facts(workspace, lane)
    shutil.rmtree(workspace.path / "artifacts")
    workspace.run("git", "checkout", "--quiet", "params.yaml")
    shutil.rmtree(workspace.path / ".dvc/cache")  # nothing may come from the run before
    lines = "".join(f"  {setting.key}: {setting.yaml}\n" for setting in settings)
    write_params(workspace.path, lane, f"overrides:\n{lines}")
    assert f"{lane}-train" in workspace.repro("--no-run-cache")
    found["dvc repro"] = dvc_facts(workspace, lane)
    workspace.run("git", "checkout", "--quiet", "params.yaml")
    return found


def dvc_facts(workspace, lane):
    return facts(workspace.path / f"params/{lane}.yaml", workspace.path / "artifacts/lanes" / lane)


def facts(params, folder):
    record = json.loads((folder / "train/record.json").read_text())
    weights = (folder / "train/model.safetensors").read_bytes()
    return record["run_id"], params.read_text(), weights, (folder / "judge/outputs.json").read_text()


def check_weights(workspace, lane, sets):
    """All doors agree on each set, and different sets make different runs."""
    ids = set()
    for settings in sets:
        found = through_real_doors(workspace, lane, settings)
        assert set(found) == set(DOORS)
        for index, part in enumerate(("run id", "parameters", "weights")):
            assert len({answer[index] for answer in found.values()}) == 1, (part, settings)
        ids.add(found[DOORS[0]][0])
    assert len(ids) == len(sets)


TOY_SETS = (
    (Setting("lane.optimizer.lr", 0.3, "3e-1", "3.e-1"), Setting("experiment.notes", "yes", "yes", "yes")),
    (Setting("lane.trainer.steps", 30, "+30", "+30"), Setting("lane.gates.loads.severity", "", "advise", "advise")),
    (Setting("seed", 7, "7", "7"), Setting("lane.model.value", 0.0, "-0.001", "-1.e-3")),
    (Setting("lane.data", {}, "{count: 600, centre: 2}", "{count: 600, centre: 2}"),),
)


@pytest.mark.slow
def test_the_toy_lane_has_the_same_weights_behind_every_door(workspace):
    check_weights(workspace, "toy", TOY_SETS)


@pytest.mark.slow
def test_one_set_has_the_same_weights_behind_every_door(workspace):
    check_weights(workspace, "toy", TOY_SETS[:1])


@pytest.mark.slow
def test_a_lane_that_is_made_from_another_has_the_same_weights_behind_every_door(make_workspace):
    """`interlock run` runs the other lane itself, as `params.yaml` composes it; DVC has it in the same pipeline."""
    workspace = make_workspace("pair", lanes=("toy", "follower"))
    check_weights(workspace, "follower", TOY_SETS[:1])


@pytest.mark.slow
def test_the_real_lane_has_the_same_weights_behind_every_door(make_workspace):
    workspace = make_workspace("tower", lanes=("query_tower",))
    check_weights(workspace, "query_tower", [[Setting(key, None, text, text) for key, text in TOWER.items()]])
