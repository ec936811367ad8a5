"""Measurements, scores and items for tests of the judge: they fit together until a test breaks one of them."""

import dataclasses

import numpy as np

from interlock.contracts.gate import BaselineGate, PredicateGate, ThresholdGate
from interlock.contracts.measurement import Bins, Measurement, ScoresRef
from interlock.gates.calibration import plain_error
from interlock.gates.judge import judge

SPLIT, CODE, FILE = "a" * 64, "b" * 64, "c" * 64


@dataclasses.dataclass
class World:
    """Measurements, scores and items that fit together until a test breaks one of them."""

    measurements: dict = dataclasses.field(default_factory=dict)
    scores: dict = dataclasses.field(default_factory=dict)
    items: dict = dataclasses.field(default_factory=dict)

    def add(self, name, scores, *, estimator="rate", unit="ratio", value=None, **extra):
        scores = np.asarray(scores, dtype=float)
        quantile = extra.get("quantile")
        natural = float(np.quantile(scores, quantile) if quantile else scores.mean())
        self.measurements[name] = Measurement(
            name=name,
            value=natural if value is None else value,
            unit=unit,
            n=len(scores),
            estimator=estimator,
            split="test",
            split_sha256=SPLIT,
            evaluator_sha256=CODE,
            evidence=f"metrics.json#/{name}",
            scores=ScoresRef(file="per_query.parquet", column=name, sha256=FILE),
            **extra,
        )
        self.scores[name] = scores
        self.items[name] = [f"q{i}" for i in range(len(scores))]
        return self

    def add_two(self, name, first, second, *, estimator, value=None, unit="ratio", **extra):
        """A ratio (numerators, denominators) or a calibration (correct, confidence)."""
        scores = np.stack([np.asarray(first, dtype=float), np.asarray(second, dtype=float)], axis=1)
        bins = extra.setdefault("bins", Bins()) if estimator == "calibration" else None
        natural = plain_error(*scores.T, bins) if bins else float(scores[:, 0].sum() / (scores[:, 1].sum() or 1.0))
        column = "confidence" if bins else "denominator"
        self.measurements[name] = Measurement(
            name=name,
            value=natural if value is None else value,
            unit=unit,
            n=len(scores),
            estimator=estimator,
            split="test",
            split_sha256=SPLIT,
            evaluator_sha256=CODE,
            evidence=f"metrics.json#/{name}",
            scores=ScoresRef(file="per_query.parquet", column=name, sha256=FILE, **{column: f"{name}.{column}"}),
            **extra,
        )
        self.scores[name] = scores
        self.items[name] = [f"q{i}" for i in range(len(scores))]
        return self

    def plain(self, name, value, *, unit="bool", n=1, **extra):
        self.measurements[name] = Measurement(
            name=name, value=value, unit=unit, n=n, estimator="value", evidence=f"metrics.json#/{name}", **extra
        )
        return self

    def change(self, name, /, **fields):
        self.measurements[name] = self.measurements[name].model_copy(update=fields)
        return self

    def judge(self, *gates, seed=0, **named):
        mapping = {f"gate{i}": gate for i, gate in enumerate(gates)} | named
        return judge(mapping, self.measurements, scores=self.scores, items=self.items, seed=seed)


def hits(successes, n):
    return np.r_[np.ones(successes), np.zeros(n - successes)]


def at_least(target, metric="r_at_5", **extra):
    return ThresholdGate(kind="threshold", metric=metric, direction="at_least", target=target, **extra)


def over(margin=0.0, **extra):
    fields = {"metric": "r_at_5", "baseline": "bm25.r_at_5", "direction": "at_least"} | extra
    return BaselineGate(kind="baseline", margin=margin, **fields)


def yes(check="no_nan_inf", **extra):
    return PredicateGate(kind="predicate", check=check, **extra)


def at_most(target, metric, **extra):
    return ThresholdGate(kind="threshold", metric=metric, direction="at_most", target=target, **extra)


def healthy():
    """A world in which every gate of `GATES` passes."""
    random = np.random.default_rng(3)
    better = random.permutation(hits(700, 1000))
    worse = np.where(random.random(1000) < 0.2, 0.0, better)
    world = World().add("r_at_5", better).add("bm25.r_at_5", worse)
    world.add("echo_loop", random.normal(0.9, 0.02, 500), estimator="mean", unit="cosine")
    world.add("latency_p95", random.gamma(4.0, 1.0, 1500), estimator="quantile", quantile=0.95, unit="ms")
    world.add_two("speed", random.gamma(9.0, 9.0, 400), random.gamma(9.0, 1.0, 400), estimator="ratio", unit="tokens/s")
    confidence = random.uniform(0.5, 1.0, 2000)
    world.add_two("ece", random.random(2000) < confidence, confidence, estimator="calibration")
    return world.plain("no_nan_inf", 1.0, n=96).plain("loss", 0.2, unit="nats")


GATES = {
    "recall": at_least(0.5, n_min=200),
    "gain": over(n_min=200),
    "echo": at_least(0.82, "echo_loop", unit="cosine"),
    "latency": ThresholdGate(
        kind="threshold", metric="latency_p95", direction="at_most", target=10.0, unit="ms", severity="advise"
    ),
    "speed": at_least(7.0, "speed", unit="tokens/s", family="service"),
    "calibrated": at_most(0.1, "ece", family="service"),
    "finite": yes(severity="halt"),
    "loss": ThresholdGate(
        kind="threshold", metric="loss", direction="at_most", target=0.5, unit="nats", confidence=None
    ),
}
