"""Split a job card into manager cards: one per manager that owns stages, each waiting for the one before it.

Managers and their stages come from the configuration's `agents`. A card says what the manager is to do, what must hold
afterwards and what it may cost; it is written down for people and for agents, and never read back to run anything: the
stages follow from the configuration.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from interlock.contracts.job import Acceptance, CardBudget, CardInput, ExpectedArtifact, JobCard, ManagerCard
from interlock.contracts.spelling import spelled
from interlock.contracts.stage import STAGES, StageName
from interlock.lanes.catalog import find_lane
from interlock.provenance.dotted import lookup
from interlock.reports.lane_report import work_of
from interlock.runs.jobs.demands import SCHEMA, Demand

_MODELS = "artifacts/runs/{RUN_ID}/models/"
_LEAVES: Mapping[StageName, tuple[str, ...]] = {
    "train": ("checkpoints/", "train_log.jsonl"),
    "evaluate": ("metrics.json", "eval_report.md"),
    "export": ("run_card.json",),
}
_STAGE_OF: Mapping[str, StageName] = {
    SCHEMA: "prepare",
    "splits_correct": "prepare",
    "model_loadable": "export",
    "inference_test_passed": "export",
}
_TOKENS_SHARE = 0.8
"""Share of the job's token ratios that a manager has; the rest is the director's own."""
HOURS_SHARE: Mapping[StageName, float] = {"prepare": 0.1, "train": 0.75, "evaluate": 0.1, "export": 0.05}
"""How the job's hours are divided."""


def split(
    card: JobCard,
    *,
    lane: str,
    values: Mapping[str, Any],
    demands: Sequence[Demand],
    work: str,
) -> tuple[ManagerCard, ...]:
    """The manager cards of a job in the order of work. `work` is the folder of its stages as a card shows it."""
    owners, model_files = managers_of(values), find_lane(str(lookup(values, "lane.kind"))).model_files
    cards: list[ManagerCard] = []
    for number, (agent, stages) in enumerate(owners, start=1):
        first = stages[0]
        cards.append(
            ManagerCard(
                id=f"{card.id}-mgr{number:02d}",
                parent_id=card.id,
                role="manager",
                lane=card.lane,
                agent=spelled(agent),
                task=_task(stages, lane, values, card),
                inputs=_inputs(card, stages, work),
                expected_artifacts=_artifacts(stages, model_files),
                acceptance=_acceptance(stages, demands, values),
                risks=card.risks if "train" in stages else (),
                budget=_budget(card.budget, first),
                model_type=lane,
                hyperparameters=_hyperparameters(values) if "train" in stages else {},
                depends_on=(cards[-1].id,) if cards else (),
            )
        )
    return tuple(cards)


def managers_of(values: Mapping[str, Any]) -> list[tuple[str, tuple[StageName, ...]]]:
    """Managers with the stages that they own, in the order of the stages."""
    agents: Mapping[str, Any] = values.get("agents") or {}
    owned = [
        (name, tuple(stage for stage in STAGES if stage in agent["stages"]))
        for name, agent in agents.items()
        if agent["tier"] == "manager" and agent["stages"]
    ]
    return sorted(owned, key=lambda item: STAGES.index(item[1][0]))


def card_yaml(card: JobCard | ManagerCard) -> str:
    """A card as people write it: no empty keys, in the order of the contract."""
    values = card.model_dump(mode="json", exclude_none=True, exclude_defaults=True)
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=120)


def _task(stages: Sequence[StageName], lane: str, values: Mapping[str, Any], card: JobCard) -> str:
    data = lookup(values, "lane.data.name") or lookup(values, "lane.data.kind")
    if "train" not in stages:
        return f"{work_of(stages)} for {lane} on {data}: {card.task}"[:4000]
    epochs, rate = lookup(values, "lane.trainer.epochs"), lookup(values, "lane.optimizer.lr")
    details = [f"{epochs} epochs"] * (epochs is not None) + [f"lr={rate:g}"] * isinstance(rate, int | float)
    return ", ".join([f"Train {lane} on {data}", *details])


def _inputs(card: JobCard, stages: Sequence[StageName], work: str) -> tuple[CardInput, ...]:
    if "prepare" in stages:
        return card.inputs
    models = tuple(item for item in card.inputs if item.baseline_model is not None or item.first_stage is not None)
    return (CardInput(dataset=f"{work}/prepare"), *(models if "train" in stages else ()))


def _artifacts(stages: Sequence[StageName], model_files: Sequence[str]) -> tuple[ExpectedArtifact, ...]:
    """The lane's own model files and what its stages leave beside them. `model_files` are named `<stage>/<name>`."""
    files = [name for file in model_files for stage, _, name in [file.partition("/")] if stage in stages]
    usual = [name for stage in stages for name in _LEAVES.get(stage, ())]
    return tuple(ExpectedArtifact(path=_MODELS + name) for name in dict.fromkeys([*files, *usual]))


def _acceptance(
    stages: Sequence[StageName], demands: Sequence[Demand], values: Mapping[str, Any]
) -> tuple[Acceptance, ...]:
    """The blocking gates that speak of the manager's work, and the card's checks among them in the card's words."""
    said = {demand.gate: demand.check.text for demand in demands if demand.gate}
    gates: Mapping[str, Any] = lookup(values, "lane.gates") or {}
    found = []
    for name, gate in gates.items():
        if gate["severity"] != "advise" and stage_of_gate(gate) in stages and (text := said.get(name) or _text(gate)):
            found.append(text)
    if "prepare" in stages:
        found.insert(0, SCHEMA)
    return tuple(Acceptance(check=text) for text in dict.fromkeys(found))


def stage_of_gate(gate: Mapping[str, Any]) -> StageName:
    """The stage whose work a gate speaks of."""
    if gate["kind"] == "predicate" and gate["check"] in _STAGE_OF:
        return _STAGE_OF[gate["check"]]
    metric = str(gate.get("metric", ""))
    if gate["phase"] == "shipped":
        return "export"
    return "train" if gate["phase"] == "training" or metric.startswith("training_loss") else "evaluate"


def _text(gate: Mapping[str, Any]) -> str:
    """A gate in the grammar of checks; empty for one that compares with a baseline."""
    match gate["kind"]:
        case "predicate":
            return str(gate["check"])
        case "threshold":
            return f"{gate['metric']}{'>=' if gate['direction'] == 'at_least' else '<='}{gate['target']:g}"
    return ""


def _budget(budget: CardBudget, stage: StageName) -> CardBudget:
    def share(value: float | None, part: float) -> float | None:
        return None if value is None else float(f"{value * part:.6g}")

    return CardBudget(
        tokens_target_ratio=share(budget.tokens_target_ratio, _TOKENS_SHARE),
        tokens_hard_ratio=share(budget.tokens_hard_ratio, _TOKENS_SHARE),
        compute_hours_max=share(budget.compute_hours_max, HOURS_SHARE.get(stage, 0.05)),
    )


def _hyperparameters(values: Mapping[str, Any]) -> dict[str, Any]:
    """The training's settings as they are composed, by the source's names."""
    named = {
        "learning_rate": "lane.optimizer.lr",
        "batch_size": "lane.trainer.batch_size",
        "epochs": "lane.trainer.epochs",
        "early_stop_patience": "lane.trainer.early_stop_patience",
        "device": "hardware.kind",
        "seed": "seed",
    }
    found = {name: lookup(values, key) for name, key in named.items()}
    return {name: value for name, value in found.items() if value is not None}
