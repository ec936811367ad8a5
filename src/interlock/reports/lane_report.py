"""The lane report, put together from what is recorded: the same builder for the decide stage and for job cards.

Pure: takes names, values and facts, reads nothing. Words and keys are those of the source that prescribes the report.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import yaml

from interlock.contracts.agent import Agent
from interlock.contracts.lane_report import Actuals, LaneReport
from interlock.contracts.spelling import spelled
from interlock.contracts.stage import StageName
from interlock.contracts.verdict import GateResult
from interlock.provenance.canonical import plain

State = Literal["completed", "failed", "escalated"]
Observed = float | bool | None

WORK: Mapping[StageName, str] = {
    "prepare": "Data prep",
    "train": "Training",
    "evaluate": "Evaluation (I&T)",
    "export": "Model export (safetensors, ONNX)",
}
"""What the owner of a stage does, in the source's words."""
_KEYS = {
    "run_card.json": "run_card",
    "model.safetensors": "model",
    "model.onnx": "model_onnx",
    "metrics.json": "metrics",
    "eval_report.md": "eval_report",
}
"""How the source calls the usual files."""


_STATES: Mapping[str, State] = {"accept": "completed", "escalate": "escalated"}


def state_of(action: str) -> State:
    """What a lane came to, by what was decided upon it."""
    return _STATES.get(action, "failed")


def report_text(report: LaneReport) -> str:
    """A report as `lane_report.yaml` holds it."""
    text: str = yaml.safe_dump(plain(report), sort_keys=False, allow_unicode=True)
    return text


def artifact_list(run_id: str, names: Iterable[str]) -> tuple[dict[str, str], ...]:
    """Files of a run's archive by the source's names; `names` are relative to `models/`."""
    paths = {name: f"artifacts/runs/{run_id}/models/{name}" for name in dict.fromkeys(names)}
    return tuple({_KEYS.get(name, name): path} for name, path in paths.items())


def observed(row: GateResult) -> Observed:
    """What a gate saw: yes or no for a check, a number otherwise, None where there was nothing."""
    return bool(row.observed) if row.unit == "bool" and row.observed is not None else row.observed


def work_of(stages: Sequence[StageName], facts: Mapping[str, Any] | None = None) -> str:
    """What the owner of these stages did: `Training (85 epochs)`. `facts` are those of the train record."""
    words = []
    for stage in stages:
        epochs = (facts or {}).get("epochs_completed") if stage == "train" else None
        counted = f" ({epochs} epoch{'s' if epochs != 1 else ''})" if isinstance(epochs, int) else ""
        words.append(WORK.get(stage, stage) + counted)
    return ", ".join(words)


def managers_used(agents: Mapping[str, Agent], facts: Mapping[str, Any]) -> tuple[dict[str, str], ...]:
    """Every manager by the source's spelling with its work; `facts` are those of the train record."""
    managers = ((name, agent) for name, agent in agents.items() if agent.tier == "manager")
    return tuple({spelled(name): work_of(agent.stages, facts)} for name, agent in managers)


def actuals(duration_s: float, *, tokens: int = 0, cost_usd: float = 0.0) -> Actuals:
    """What it took, in the source's units."""
    return Actuals(
        tokens=tokens,
        duration_mins=round(duration_s / 60, 2),
        compute_hours=round(duration_s / 3600, 4),
        cost_usd=cost_usd,
    )
