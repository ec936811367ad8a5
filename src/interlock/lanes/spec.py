"""What a lane is to the framework: names of code, declared artifacts, and the calling convention of its stages.

A lane is data. Its functions are named by dotted strings, so that looking a lane up imports nothing heavy and the
import closure of one stage holds that stage's code alone. A package offers a lane of its own through the entry point
group `interlock.lanes`, whose value is a `LaneSpec`.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar

from interlock.contracts.hardware import Hardware
from interlock.contracts.lane import LaneBody
from interlock.contracts.stage import StageName, StageRecord

Item = TypeVar("Item")


class Progress(Protocol):
    """Where long work reports to; silent in tests, a bar in a terminal, lines under `dvc repro`."""

    def track(self, items: Iterable[Item], description: str, total: int | None = None) -> Iterable[Item]:
        """Pass the items through, showing how far they are."""
        ...

    def message(self, text: str) -> None:
        """Say one line."""
        ...

    def stage_begins(self, stage: StageName, run_id: str | None) -> None:
        """Be told which stage of which run the next reports come from; no run in prepare."""
        ...

    def curve(self, step: int, values: Mapping[str, float]) -> None:
        """Take one point of the training curves: finite values by name, at an optimiser step.

        Raises PrunedError to end a training that its sweep gives up; nothing else may reach the training from here.
        """
        ...


@dataclass(frozen=True, kw_only=True)
class LaneInput:
    """Another run that this one is made from: a lane of the same pipeline, or an archived run."""

    reference: str
    """What the composed configuration names: `lane:<name>` or `run:<id>`."""
    run_id: str
    """The run."""
    lane: LaneBody
    """Its configuration, validated by its own lane's model."""
    verdict: str
    """Its verdict: `pass`, unless the configuration allows an unpassed input."""
    trained: Path
    """Folder of the files that its train stage wrote (`model.safetensors` ...), verified against their digests."""
    facts: Mapping[str, Any]
    """Facts of its prepare and train records."""
    sha256: str
    """Digest of all of its trained files; part of this run's identity."""


@dataclass(frozen=True, kw_only=True)
class StageJob:
    """Everything one stage of a lane gets to see."""

    lane: LaneBody
    """The lane's own configuration."""
    seed: int
    """Seed of every random choice."""
    hardware: Hardware
    """Device class and threads."""
    folder: Path
    """Empty output folder of the stage."""
    workspace: Path
    """Root that relative paths in the configuration stand for."""
    inputs: Mapping[StageName, Path]
    """Folders of the earlier stages by name."""
    records: Mapping[StageName, StageRecord]
    """Their verified records."""
    state: Path
    """Folder that survives kills, one per run; empty at the first attempt."""
    run_id: str | None
    """The run; None in prepare."""
    evaluator_sha256: str
    """Digest of this stage's own code, to be stamped on measurements."""
    compute_hours_max: float
    """Ceiling of this attempt in wall hours."""
    progress: Progress
    """Where to report."""
    lane_inputs: Mapping[str, LaneInput] = field(default_factory=dict)
    """Other runs that this one is made from, by the name of the input; given to prepare, train and evaluate."""
    warm_start: Path | None = None
    """Safetensors of the network that training begins with, after a fault; None to begin afresh."""
    halt: Callable[[], BaseException | None] = lambda: None
    """Asked at step boundaries: what to raise once a state is saved, or None to go on."""


@dataclass(frozen=True, kw_only=True)
class StageOutcome:
    """What a stage says of itself; its files stand in the folder."""

    status: Literal["completed", "skipped"] = "completed"
    reason: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Reproducible facts."""
    volatile_files: tuple[str, ...] = ()
    """Files whose bytes may differ between executions."""
    volatile_facts: Mapping[str, Any] = field(default_factory=dict)
    """Durations, rates."""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A CSV that DVC draws."""

    file: str
    """Path under the lane's folder, e.g. `train/loss.csv`."""
    x: str
    """Column of the horizontal axis."""
    y: tuple[str, ...]
    """Columns of the vertical axis."""
    title: str
    """Title of the plot."""


@dataclass(frozen=True, kw_only=True)
class InputSpec:
    """Another run that lanes of a kind are made from."""

    name: str
    """Name under `lane.inputs`, e.g. `first_stage`."""
    kinds: tuple[str, ...]
    """Kinds of lanes that it may come from."""
    required: bool = True
    """Whether the lane cannot be without it."""


@dataclass(frozen=True, kw_only=True)
class LaneSpec:
    """A kind of lane."""

    kind: str
    """Name, e.g. `query_tower`."""
    config: str
    """Dotted name of the body model, `package.module:Class`; torch-free."""
    prepare: str
    """Dotted names of the four functions that make the lane, `package.module:function`."""
    train: str
    evaluate: str
    export: str
    package: str
    """Python package whose files are this lane's code."""
    measurements: tuple[str, ...] = ()
    """Names that the lane measures; gates that name another one are refused. Empty: not checked."""
    inputs: tuple[InputSpec, ...] = ()
    """Other runs that a lane of this kind needs or may use."""
    sources: str | None = None
    """Dotted name of `function(body, workspace) -> list[Path]`: data outside the project that DVC has to watch."""
    conf: str | None = None
    """Hydra search path of the lane's YAML groups, e.g. `pkg://my_lane.conf`; None for the built-in ones."""
    metrics: tuple[str, ...] = ("evaluate/metrics.json",)
    """JSON files that DVC shows as metrics, under the lane's folder."""
    plots: tuple[Plot, ...] = ()
    """CSV files that DVC draws."""
    model_files: tuple[str, ...] = ("train/model.safetensors", "export/model.onnx")
    """What the archive keeps as the model."""

    @property
    def top_package(self) -> str:
        """The importable package that the lane's code lives in."""
        return self.package.split(".", 1)[0]

    def body_model(self) -> type[LaneBody]:
        """The lane's configuration model."""
        model = load_object(self.config)
        assert isinstance(model, type)
        assert issubclass(model, LaneBody)
        return model

    def body(self, lane: Mapping[str, Any]) -> LaneBody:
        """The lane's own part of a composed `lane.*`, validated; gates and search space are left out."""
        model = self.body_model()
        known = {name: value for name, value in lane.items() if name in model.model_fields}
        return model.model_validate_json(json.dumps(known))

    def stage_function(self, stage: str) -> Callable[[StageJob], StageOutcome]:
        """The lane's function for `prepare`, `train`, `evaluate` or `export`."""
        function: Callable[[StageJob], StageOutcome] = load_object(getattr(self, stage))
        return function


def load_object(dotted: str) -> Any:
    """Import `package.module:name`."""
    module, _, name = dotted.partition(":")
    return getattr(import_module(module), name)
