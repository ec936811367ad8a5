"""A card against a real configuration: every fault at once, and what a card that is in order changes."""

from pathlib import Path

import numpy as np
import pytest

from interlock.errors import ConfigError
from interlock.runs.jobs.plan import plan_job

ROOT = Path(__file__).resolve().parents[4]
TOY = """\
id: jc-1
role: director
lane: Models
model_type: toy
task: estimate a mean
"""
TOWER = """\
id: jc-2
role: director
lane: Models
task: "Train Query Tower on the documentation, target Echo-Loop >= 0.82"
"""


@pytest.fixture
def plan(composer, root, tmp_path):
    def make(text, workspace=root):
        return plan_job(text.encode(), "card.yaml", composer=composer, workspace=workspace, home=tmp_path)

    return make


@pytest.fixture
def faults(plan):
    def make(text):
        with pytest.raises(ConfigError) as caught:
            plan(text)
        return {fault.key: fault for fault in caught.value.faults}

    return make


def settings(found):
    return {setting.key: setting.value for setting in found.settings}


def test_a_wrong_card_gets_every_fault_at_once_with_line_value_and_way_out(faults):
    found = faults(
        """\
id: jc toy/1
role: manager
lane: query_tower
task: Train a query tower
inputs:
  - dataset: ../secrets
  - dataset: nothing/here.npz
    val_dataset: x
  - baseline_modl: x
  - baseline_model: models/tower.safetensors
expected_artifacts:
  - path: artifacts/runs/models/run_card.json
  - path: artifacts/runs/{RUN}/x
acceptance:
  - check: "echo_lop>=0.82"
  - check: "r_at_5>=0.3"
  - check: "import os"
  - check: r_at_5
  - check: no_nan
  - check: no_nan_inf>=1
budget: {tokens_target_ratio: 0.9, tokens_hard_ratio: 0.5, compute_hours_max: -1}
hyperparameters: {learning_rat: 1e-4, epochs: many, batch_size: 99999999, device: tpu, trainer: [1]}
acceptence: []
"""
    )
    lines = {key: fault.source for key, fault in found.items()}
    assert lines == {
        "id": "card.yaml, line 1",
        "role": "card.yaml, line 2",
        "lane": "card.yaml, line 3",
        "inputs.1.dataset": "card.yaml, line 6",
        "inputs.2": "card.yaml, line 7",
        "inputs.2.dataset": "card.yaml, line 7",
        "inputs.2.val_dataset": "card.yaml, line 8",
        "inputs.3.baseline_modl": "card.yaml, line 9",
        "inputs.4.baseline_model": "card.yaml, line 10",
        "expected_artifacts.1.path": "card.yaml, line 12",
        "expected_artifacts.2.path": "card.yaml, line 13",
        "acceptance.1.check": "card.yaml, line 15",
        "acceptance.2.check": "card.yaml, line 16",
        "acceptance.3.check": "card.yaml, line 17",
        "acceptance.4.check": "card.yaml, line 18",
        "acceptance.5.check": "card.yaml, line 19",
        "acceptance.6.check": "card.yaml, line 20",
        "budget.tokens_hard_ratio": "card.yaml, line 21",
        "budget.compute_hours_max": "card.yaml, line 21",
        "hyperparameters.learning_rat": "card.yaml, line 22",
        "hyperparameters.epochs": "card.yaml, line 22",
        "hyperparameters.batch_size": "card.yaml, line 22",
        "hyperparameters.device": "card.yaml, line 22",
        "hyperparameters.trainer": "card.yaml, line 22",
        "acceptence": "card.yaml, line 23",
    }
    assert found["acceptance.1.check"].nearest == "echo_loop"
    assert found["acceptance.5.check"].nearest == "no_nan_inf"
    assert found["hyperparameters.learning_rat"].nearest == "learning_rate"
    assert found["acceptence"].nearest == "acceptance"
    assert found["inputs.3.baseline_modl"].nearest == "baseline_model"
    assert "never loosen" in found["acceptance.2.check"].problem
    assert "write r_at_5>=NUMBER" in found["acceptance.4.check"].problem
    assert "write no_nan_inf alone" in found["acceptance.6.check"].problem
    assert found["hyperparameters.epochs"].value == "many"
    assert found["hyperparameters.device"].allowed == ("cpu", "cuda", "mps")


def test_a_baseline_is_refused_where_the_lane_takes_none(faults):
    found = faults(TOWER + "inputs: [{baseline_model: 'run:0123456789abcdef'}]\n")
    assert "trained from the start" in found["inputs.1.baseline_model"].problem


@pytest.mark.parametrize(
    ("task", "says"),
    [("make it better", "names no kind of model"), ("a query tower, then toy", "speaks of query_tower and toy")],
)
def test_an_ambiguous_task_is_refused_with_the_lanes(faults, task, says):
    found = faults(TOWER.replace("Train Query Tower on the documentation, target Echo-Loop >= 0.82", task))
    assert says in found["task"].problem
    assert set(found["task"].allowed) >= {"query_tower", "toy"}


def test_an_unknown_model_type_names_the_nearest(faults):
    assert faults(TOY.replace("toy", "query_towr"))["model_type"].nearest == "query_tower"


def test_a_card_never_raises_a_ceiling(faults):
    assert (
        "raise budget.compute_hours_max"
        in faults(TOY + "budget: {compute_hours_max: 5}\n")["budget.compute_hours_max"].problem
    )


def test_hyperparameters_cannot_loosen_what_converged_means(faults):
    found = faults(TOWER + "hyperparameters: {tolerance: 0.9, window_epochs: 1, target: 0.1}\n")
    assert set(found) == {f"hyperparameters.{name}" for name in ("tolerance", "window_epochs", "target")}


def test_yaml_numbers_are_numbers(plan):
    found = plan(TOWER + "hyperparameters: {learning_rate: 1e-4, scheduler: CosineAnnealingLR, optimizer: AdamW}\n")
    assert settings(found) == {
        "optimizer": "adamw", "lane.optimizer.lr": 1e-4, "lane.optimizer.schedule": "cosine",
    }  # fmt: skip
    assert found.composed.values["lane"]["optimizer"]["lr"] == 1e-4


def test_checks_become_gates_with_their_confidence(plan):
    found = plan(
        TOWER
        + "acceptance:\n"
        + "".join(
            f"  - check: {check!r}\n"
            for check in ("echo_loop>=0.85", "r_at_10>=0.72", "loss<0.5", "no_nan_inf", "schema_valid", "r_at_5>=0.5")
        )
    )
    gates = found.composed.values["lane"]["gates"]
    assert (gates["echo_loop"]["target"], gates["echo_loop"]["confidence"]) == (0.85, 0.95)
    assert (gates["r_at_10"]["target"], gates["r_at_10"]["severity"]) == (0.7, "advise")
    card = gates["card_r_at_10_min"]
    assert (card["target"], card["severity"], card["confidence"], card["n_min"]) == (0.72, "block", 0.95, 200)
    loss = gates["card_training_loss_final_max"]
    assert loss["direction"] == "at_most"
    assert loss["confidence"] is None
    assert loss["target"] < 0.5
    assert loss["target"] == np.nextafter(0.5, 0)
    assert [item.gate for item in found.demands] == [
        "echo_loop", "card_r_at_10_min", "card_training_loss_final_max", "no_nan_inf", None, "r_at_5",
    ]  # fmt: skip


def test_a_path_becomes_a_data_choice(plan, composer, root, tmp_path, monkeypatch):
    (tmp_path / "data" / "wikipedia_questions").mkdir(parents=True)
    monkeypatch.setenv("INTERLOCK_DATA_DIR", str(tmp_path / "data"))
    workspace = tmp_path / "ws"
    (workspace / "artifacts/datasets").mkdir(parents=True)
    (workspace / "artifacts/datasets/wikipedia_10k.npz").write_bytes(b"x")
    (workspace / "corpora/mine").mkdir(parents=True)
    (workspace / "corpora/mine/corpus.jsonl").write_text("")
    npz = plan(TOWER + "inputs: [{dataset: artifacts/datasets/wikipedia_10k.npz}]\n", workspace)
    assert settings(npz) == {
        "data": "npz", "lane.data.path": "artifacts/datasets/wikipedia_10k.npz", "lane.data.name": "wikipedia_10k",
        "model": "vector_tower",
    }  # fmt: skip
    beir = plan(TOWER + "inputs: [{dataset: corpora/mine}]\n", workspace)
    assert settings(beir) == {"data": "beir", "lane.data.path": "corpora/mine", "lane.data.name": "mine"}
    named = plan(TOWER + "inputs: [{dataset: wikipedia_questions}]\n", workspace)
    assert settings(named) == {"data": "wikipedia_questions"}


def test_data_that_is_not_at_hand_is_a_fault(faults, tmp_path, monkeypatch):
    """A choice of conf/data that is read from the data folder, where there is none."""
    monkeypatch.setenv("INTERLOCK_DATA_DIR", str(tmp_path / "nowhere"))
    found = faults(TOWER + "inputs:\n  - dataset: wikipedia_questions\n")
    assert set(found) == {"inputs"}
    assert "INTERLOCK_DATA_DIR" in found["inputs"].problem
    assert "line 5" in found["inputs"].source


def test_missing_data_is_no_fault_when_another_director_makes_it(plan, faults):
    card = TOWER + "inputs: [{dataset: artifacts/datasets/new.npz}]\n"
    assert "is not ready" in faults(card)["inputs.1.dataset"].problem
    found = plan(card + "prerequisites: [{Dir-Data: artifacts/datasets/new.npz}]\n")
    assert settings(found)["lane.data.path"] == "artifacts/datasets/new.npz"


def test_a_link_out_of_the_project_is_refused(plan, tmp_path):
    workspace = tmp_path / "ws"
    workspace.mkdir()
    (tmp_path / "outside.npz").write_bytes(b"x")
    (workspace / "inside.npz").symlink_to(tmp_path / "outside.npz")
    with pytest.raises(ConfigError, match="not a safe path"):
        plan(TOWER + "inputs: [{dataset: inside.npz}]\n", workspace)


def test_manager_cards_wait_for_each_other(plan):
    found = plan(
        TOWER
        + "acceptance: [{check: echo_loop>=0.85}]\n"
        + "risks: [memory]\nbudget: {tokens_target_ratio: 0.5, tokens_hard_ratio: 0.75, compute_hours_max: 4}\n"
    )
    data, train, evaluate, export = found.managers
    assert [card.id for card in found.managers] == [f"jc-2-mgr0{number}" for number in (1, 2, 3, 4)]
    assert [card.agent for card in found.managers] == [f"Mgr-Models-0{number}" for number in (1, 2, 3, 4)]
    assert [card.depends_on for card in found.managers] == [(), ("jc-2-mgr01",), ("jc-2-mgr02",), ("jc-2-mgr03",)]
    checks = [{item.check for item in card.acceptance} for card in found.managers]
    assert checks[0] == {"schema_valid", "splits_correct"}
    assert checks[1] == {"training_loss_converged", "no_nan_inf", "checkpoints_saved"}
    assert checks[2] >= {"echo_loop>=0.85", "r_at_5>=0.5"}
    assert checks[3] >= {"model_loadable", "inference_test_passed"}
    assert train.hyperparameters["learning_rate"] == found.composed.values["lane"]["optimizer"]["lr"]
    assert (train.budget.tokens_target_ratio, train.budget.tokens_hard_ratio) == (0.4, 0.6)
    assert train.budget.compute_hours_max == found.composed.values["budget"]["compute_hours_max"] == 3.0
    assert train.risks == ("memory",)
    assert "artifacts/runs/{RUN_ID}/models/checkpoints/" in [item.path for item in train.expected_artifacts]
    assert export.model_type == data.model_type == evaluate.model_type == "query_tower"


def test_comments_and_layout_do_not_make_another_card(plan):
    spread = "# a comment\n" + TOY.replace("lane: Models\n", "lane:    'Models'\n")
    assert plan(TOY).card_sha256 == plan(spread).card_sha256
    assert plan(TOY).card_sha256 != plan(TOY.replace("mean", "median")).card_sha256


def test_the_sources_own_card_needs_a_model_type_only_where_its_words_are_not_enough(plan, faults):
    """Word for word, without the baseline that a tower cannot begin from, with data that is there."""
    card = """\
id: jc-abc123-models-001
parent_id: abc123-def456
role: director
lane: Models
task: "Train Query Tower on Wikipedia 10k dataset, target Echo-Loop ≥ 0.82"
inputs:
  - dataset: "artifacts/datasets/wikipedia_10k.npz"
expected_artifacts:
  - path: "artifacts/runs/{RUN_ID}/models/run_card.json"
acceptance:
  - check: "echo_loop>=0.82"
  - check: "training_loss_converged"
  - check: "no_nan_inf"
risks:
  - "May OOM on MPS (use CPU fallback)"
budget:
  tokens_target_ratio: 0.50
  tokens_hard_ratio: 0.75
  compute_hours_max: 4
prerequisites:
  - Dir-Data: "artifacts/datasets/wikipedia_10k.npz"
"""
    found = plan(card)
    assert found.lane == "query_tower"
    assert found.composed.values["agents"]["dir_models"]["tokens_hard_ratio"] == 0.75
    assert set(faults(card.replace('artifacts/datasets/wikipedia_10k.npz"\nexp', '/x.npz"\nexp'))) == {
        "inputs.1.dataset"
    }


RERANKER = """\
id: jc-3
role: director
lane: Models
model_type: reranker
task: rerank
inputs:
  - first_stage: {first_stage}
"""


def test_the_first_stage_may_be_the_work_of_another_card(plan):
    """Planned from its own card, so that it is the same work as when that card is submitted."""
    tower = "examples/cards/query_tower.yaml"
    found = plan(RERANKER.format(first_stage=tower))
    need = found.composed.needs["first_stage"]
    assert settings(found)["lane.inputs.first_stage"] == "lane:query_tower"
    assert need.composed.text == plan((ROOT / tower).read_text()).composed.text
    assert found.work != plan(RERANKER.format(first_stage="lane:query_tower")).work


def test_a_first_stage_that_cannot_be_used_is_told_where_it_is_named(plan, faults, tmp_path):
    def problem(first_stage):
        return faults(RERANKER.format(first_stage=first_stage))["inputs.1.first_stage"].problem

    assert "cannot be read: No such file" in problem("examples/nothing.yaml")
    assert "no archived model" in problem("models/tower.safetensors")
    found = faults(TOWER + "inputs: [{first_stage: lane:query_tower}]\n")["inputs.1.first_stage"]
    assert "orders no candidates of another model" in found.problem
    (tmp_path / "bad.yaml").write_text(TOWER + "hyperparameters: {epchs: 3}\n")
    (tmp_path / "round.yaml").write_text(RERANKER.format(first_stage="round.yaml"))
    for name, said in (("bad.yaml", "hyperparameters.epchs"), ("round.yaml", "in a circle")):
        with pytest.raises(ConfigError) as caught:
            plan(RERANKER.format(first_stage=name), workspace=tmp_path)
        (fault,) = caught.value.faults
        assert said in fault.problem


def test_every_example_card_is_in_order(plan, root):
    cards = sorted((root / "examples" / "cards").glob("*.yaml"))
    assert cards
    for path in cards:
        assert plan(path.read_text()).managers
