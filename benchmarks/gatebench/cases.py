"""What a case is: a world to judge, what has to come out, and the twin that has to pass.

`World` holds what the pure judge is given. A case of files holds functions instead, which drive the real code and
return the verdict it reaches. Worlds are built anew from the case's seed, so that no case can spoil another.
"""

import dataclasses
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from interlock.contracts.gate import Gate
from interlock.contracts.measurement import Bins, Measurement, ScoresRef
from interlock.contracts.verdict import Cause, GateResult, Verdict
from interlock.gates.calibration import plain_error
from interlock.gates.judge import judge

SPLIT, OTHER_SPLIT = "a" * 64, "f" * 64
EVALUATOR, OTHER_EVALUATOR = "b" * 64, "e" * 64
FILE = "c" * 64

Scores = NDArray[np.float64]


@dataclass
class World:
    """Everything a judge may look at; faults change it in place."""

    gates: dict[str, Gate] = field(default_factory=dict)
    measurements: dict[str, Measurement] = field(default_factory=dict)
    scores: dict[str, Any] = field(default_factory=dict)
    items: dict[str, Any] = field(default_factory=dict)
    gate: str = ""
    """The gate under test."""
    metric: str = ""
    """The measurement it looks at."""
    baseline: str | None = None
    """What it is compared with."""
    ended_early: bool = False
    """The analysis was told to stop; only systems that watch over time know such a state."""

    def add(self, name: str, scores: Scores, *, estimator: str, unit: str, **extra: Any) -> "World":
        """Measure `scores` under `name`: value, items and evidence follow from them.

        Scores are [n], or [n, 2] for a ratio (numerator, denominator) and a calibration (correct, confidence).
        """
        fields = {"split": "test", "split_sha256": SPLIT, "evaluator_sha256": EVALUATOR} | extra
        second = {"ratio": "denominator", "calibration": "confidence"}
        columns = {second[estimator]: f"{name}.{second[estimator]}"} if estimator in second else {}
        self.measurements[name] = Measurement(
            name=name,
            value=_estimate(scores, estimator, extra.get("quantile"), extra.get("bins")),
            unit=unit,
            n=len(scores),
            estimator=estimator,
            scores=ScoresRef(file="per_query.parquet", column=name, sha256=FILE, **columns),
            evidence=f"evaluate/metrics.json#/{name}@sha256:{FILE}",
            **fields,
        )
        self.scores[name], self.items[name] = scores, [f"q{index:05d}" for index in range(len(scores))]
        return self

    def plain(self, name: str, value: float, *, unit: str = "bool", **extra: Any) -> "World":
        """A number without items."""
        evidence = f"evaluate/metrics.json#/{name}@sha256:{FILE}"
        self.measurements[name] = Measurement(
            name=name, value=value, unit=unit, n=extra.pop("n", 1), estimator="value", evidence=evidence, **extra
        )
        return self

    def change(self, name: str, /, **fields: Any) -> None:
        """Change a measurement without the contract looking, as a faulty writer would."""
        self.measurements[name] = self.measurements[name].model_copy(update=fields)

    def change_gate(self, **fields: Any) -> None:
        """Change the gate under test."""
        self.gates[self.gate] = self.gates[self.gate].model_copy(update=fields)

    def rescore(self, name: str, scores: Scores, items: list[str] | None = None) -> None:
        """Other items for `name`, with value and n that fit them."""
        found = self.measurements[name]
        self.change(name, value=_estimate(scores, found.estimator, found.quantile, found.bins), n=len(scores))
        self.scores[name] = scores
        self.items[name] = items or [f"q{index:05d}" for index in range(len(scores))]

    def rows(self, judge_with: Callable[..., tuple[GateResult, ...]] = judge) -> tuple[GateResult, ...]:
        """The judge's rows."""
        return judge_with(self.gates, self.measurements, scores=self.scores, items=self.items, seed=7)


def _estimate(scores: Scores, estimator: str, quantile: float | None, bins: Bins | None) -> float | None:
    if scores.size == 0:
        return None
    if estimator == "ratio":
        return float(scores[:, 0].sum() / scores[:, 1].sum())
    if estimator == "calibration":
        return plain_error(scores[:, 0], scores[:, 1], bins or Bins())
    return float(np.quantile(scores, quantile) if estimator == "quantile" else scores.mean())


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What has to come out."""

    verdict: Verdict
    cause: Cause | None = None
    """Of the row of `gate`; None where the verdict has none or where a refusal comes before any row."""
    gate: str | None = None
    """Whose row states the cause; None for the gate under test."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One fault in one world."""

    fault: str
    kind: str
    """Kind of gate, or `files`."""
    number: int
    """Which of the repetitions with other random numbers."""
    expected: Expected
    after: str = ""
    """The system whose way of failing open this is, with where it is written down."""
    world: Callable[[], World] | None = None
    twin: Callable[[], World] | None = None
    drive: Callable[[], Verdict] | None = None
    """Instead of worlds: real code on the faulty files, and on the healthy ones."""
    drive_twin: Callable[[], Verdict] | None = None

    @property
    def name(self) -> str:
        """Unique over the benchmark."""
        return f"{self.fault}/{self.kind}/{self.number}"


Apply = Callable[[World, np.random.Generator], None]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One way to be wrong, for the kinds of gates that it can befall."""

    name: str
    kinds: tuple[str, ...]
    apply: Apply
    expected: Expected | dict[str, Expected]
    """The same for every kind, or by kind."""
    quality: str = "healthy"
    """What the world is like before `apply`: see `kinds.build`."""
    after: str = ""

    def expected_of(self, kind: str) -> Expected:
        """What has to come out for this kind of gate."""
        return self.expected[kind] if isinstance(self.expected, dict) else self.expected


def seed_of_case(*parts: object) -> np.random.Generator:
    """Random numbers that belong to a case, whatever else is in the benchmark."""
    return np.random.default_rng(zlib.crc32("/".join(map(str, parts)).encode()))


def blocked(cause: Cause | None = None, gate: str | None = None) -> Expected:
    """Could not be judged, and why."""
    return Expected(verdict=Verdict.BLOCKED, cause=cause, gate=gate)


FAIL = Expected(verdict=Verdict.FAIL)
INCONCLUSIVE = Expected(verdict=Verdict.INCONCLUSIVE)


def unchanged(world: World, rng: np.random.Generator) -> None:
    """For faults that lie in how the world was drawn."""


def copy_of(world: World) -> World:
    """A world of its own, sharing the arrays."""
    return dataclasses.replace(
        world,
        gates=dict(world.gates),
        measurements=dict(world.measurements),
        scores=dict(world.scores),
        items=dict(world.items),
    )
