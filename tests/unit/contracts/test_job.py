"""Cards by themselves: what the contract refuses, and the source's own examples."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from interlock.contracts.job import JobCard, ManagerCard
from interlock.contracts.spelling import agent_id, spelled

CARD = {
    "id": "jc-abc123-models-001",
    "parent_id": "abc123-def456",
    "role": "director",
    "lane": "Models",
    "task": "Train a Query Tower on 10k articles, Echo-Loop at least 0.82",
    "inputs": [
        {"dataset": "artifacts/datasets/wikipedia_10k.npz"},
        {"baseline_model": "artifacts/models/query_tower_baseline.safetensors"},
    ],
    "expected_artifacts": [
        {"path": "artifacts/runs/{RUN_ID}/models/run_card.json"},
        {"path": "artifacts/runs/{RUN_ID}/models/model.safetensors"},
        {"path": "artifacts/runs/{RUN_ID}/models/metrics.json"},
        {"path": "artifacts/runs/{RUN_ID}/models/eval_report.md"},
    ],
    "acceptance": [{"check": "echo_loop>=0.82"}, {"check": "training_loss_converged"}, {"check": "no_nan_inf"}],
    "risks": ["May run out of memory on MPS (fall back to the CPU)"],
    "budget": {"tokens_target_ratio": 0.50, "tokens_hard_ratio": 0.75, "compute_hours_max": 4},
}
MANAGER = {
    "id": "jc-abc123-models-001-mgr02",
    "parent_id": "jc-abc123-models-001",
    "role": "manager",
    "lane": "Models",
    "task": "Train the tower, 100 epochs, lr=1e-4",
    "agent": "Mgr-Models-02",
    "inputs": [
        {"dataset": "artifacts/datasets/wikipedia_10k_train.npz"},
        {"val_dataset": "artifacts/datasets/wikipedia_10k_val.npz"},
        {"baseline_model": "artifacts/models/query_tower_baseline.safetensors"},
    ],
    "hyperparameters": {
        "learning_rate": 1e-4, "batch_size": 32, "epochs": 100, "early_stop_patience": 10, "device": "cpu",
    },
    "expected_artifacts": [
        {"path": "artifacts/runs/{RUN_ID}/models/checkpoints/"},
        {"path": "artifacts/runs/{RUN_ID}/models/train_log.jsonl"},
    ],
    "acceptance": [{"check": "loss<0.005"}, {"check": "no_nan_inf"}, {"check": "checkpoints_saved"}],
    "risks": ["May run out of memory on MPS (batch_size 16)"],
    "budget": {"tokens_target_ratio": 0.40, "tokens_hard_ratio": 0.60, "compute_hours_max": 3},
}  # fmt: skip


def read(**changes):
    return JobCard.model_validate_json(json.dumps({**CARD, **changes}))


def refusal(**changes):
    with pytest.raises(ValidationError) as caught:
        read(**changes)
    return str(caught.value)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"id": "a/b"}, "pattern"),
        ({"id": "../x"}, "pattern"),
        ({"id": ""}, "pattern"),
        ({"role": "manager"}, "director"),
        ({"lane": "query_tower"}, "write `lane: Models`"),
        ({"task": ""}, "at least 1"),
        ({"inputs": [{"dataset": "/etc/passwd"}]}, "not a safe path"),
        ({"inputs": [{"dataset": "a/../../b"}]}, "not a safe path"),
        ({"inputs": [{"dataset": "~/x"}]}, "not a safe path"),
        ({"inputs": [{"dataset": "data://../x"}]}, "not a safe path"),
        ({"inputs": [{"dataset": "C:/x"}]}, "not a safe path"),
        ({"inputs": [{"dataset": "a\\b"}]}, "is no path"),
        ({"inputs": [{"dataset": ""}]}, "is no path"),
        ({"inputs": [{"dataset": "a/{RUN_ID}/b.npz"}]}, "has no run id yet"),
        ({"inputs": [{"dataset": "a", "baseline_model": "b"}]}, "exactly one"),
        ({"inputs": [{}]}, "exactly one"),
        ({"inputs": [{"datset": "a"}]}, "Extra inputs"),
        ({"expected_artifacts": [{"path": "artifacts/runs/models/x"}]}, "lacks {RUN_ID}"),
        ({"expected_artifacts": [{"path": "artifacts/runs/{RUN}/models/x"}]}, "unknown placeholder {RUN}"),
        ({"expected_artifacts": [{"path": "elsewhere/{RUN_ID}/x"}]}, "outside the run's archive"),
        ({"expected_artifacts": [{"path": "artifacts/runs/{RUN_ID}/../x"}]}, "not a safe path"),
        ({"acceptance": [{"check": "os.system()"}]}, "no place for '('"),
        ({"budget": {"tokens_target_ratio": 0.8, "tokens_hard_ratio": 0.5}}, "is under tokens_target_ratio 0.8"),
        ({"budget": {"compute_hours_max": -1}}, "greater than 0"),
        ({"budget": {"compute_hours_max": True}}, "valid number"),
        ({"budget": {"tokens_hard_ratio": 1.5}}, "less than or equal to 1"),
        ({"prerequisites": [{"Dir-Data": "a", "Dir-Code": "b"}]}, "one `Dir-NAME: PATH`"),
        ({"prerequisites": [{"Somebody": "a"}]}, "one `Dir-NAME: PATH`"),
        ({"seed": 1}, "Extra inputs"),
    ],
)
def test_refusals(changes, says):
    assert says in refusal(**changes)


def test_one_reading_names_faults_of_every_part():
    said = refusal(
        role="x",
        inputs=[{"dataset": "/x"}],
        budget={"tokens_target_ratio": 0.9, "tokens_hard_ratio": 0.1, "compute_hours_max": -1},
        acceptance=[{"check": "?"}],
    )
    assert said.count("\n  ") >= 5
    assert "is under tokens_target_ratio" in said
    assert "greater than 0" in said


def test_the_sources_cards_are_read_as_they_stand():
    card = read()
    assert [item.given() for item in card.inputs] == CARD["inputs"]
    assert card.budget.compute_hours_max == 4
    manager = ManagerCard.model_validate_json(json.dumps(MANAGER))
    assert manager.hyperparameters["learning_rate"] == 1e-4
    assert manager.budget.tokens_hard_ratio == 0.6


def test_what_is_left_out_has_a_meaning():
    card = JobCard.model_validate_json('{"id": "a", "role": "director", "lane": "models", "task": "t"}')
    assert (card.inputs, card.acceptance, card.hyperparameters) == ((), (), {})


@given(st.lists(st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True), min_size=1, max_size=4))
def test_spellings_undo_each_other(words):
    name = "_".join(words)
    assert agent_id(spelled(name)) == name


@pytest.mark.parametrize(
    ("name", "spelling"),
    [("mgr_models_01", "Mgr-Models-01"), ("dir_devsecops", "Dir-DevSecOps"), ("architect", "Architect")],
)
def test_the_sources_spellings(name, spelling):
    assert spelled(name) == spelling
    assert agent_id(spelling) == name
