"""Releases: what must hold before a model answers anybody, what each executive found, and the evidence of a shadow.

`ReleaseSettings` is `release.*` of the configuration. An `ExecutiveReport` is what code found for one member of the
executive team; it is written beside the decision, and every fact that the member may cite points into it. A
`ShadowReport` is written by whoever ran the candidate beside production and is given with `--evidence`: its numbers are
judged here by `release.service_levels`, so a verdict in it would say nothing.
"""

from typing import Annotated, Literal

from pydantic import Field, JsonValue, model_validator

from interlock.contracts.base import Contract
from interlock.contracts.gate import Direction, RunId
from interlock.contracts.measurement import Sha256
from interlock.contracts.verdict import GateResult, Verdict, fold

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]


class ServiceLevel(Contract):
    """One service level: a target that the candidate must reach while it answers beside production."""

    metric: str
    """Name of the observation in the shadow report."""
    direction: Direction
    """`at_least`: larger is better; `at_most`: smaller is better."""
    target: float
    """In `unit`."""
    unit: str
    """An observation in another unit is blocked."""
    n_min: Annotated[int, Field(ge=1)] = 1
    """Fewer observations than this leave it open: neither promote nor roll back."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] | None = 0.95
    """Confidence that the observation's bounds must have; null compares the plain value."""
    severity: Literal["block", "advise"] = "block"
    """`advise` is shown and decides nothing."""
    lanes: tuple[str, ...] = ()
    """Kinds of lanes that it applies to; none named: all."""
    when: Literal["always", "first_release", "beside_production"] = "always"
    """`first_release`: where no version of the lane is in production; `beside_production`: where one is."""


class RiskWeights(Contract):
    """Weights of the composite risk of an integration; they add up to one."""

    schema_drift: Annotated[float, Field(ge=0.0, le=1.0)] = 0.4
    """Names, types and shapes of inputs and outputs."""
    dependencies: Annotated[float, Field(ge=0.0, le=1.0)] = 0.3
    """Locked packages."""
    latency: Annotated[float, Field(ge=0.0, le=1.0)] = 0.2
    """P95 against production's."""
    output: Annotated[float, Field(ge=0.0, le=1.0)] = 0.1
    """Answers to the same items."""

    @model_validator(mode="after")
    def _add_up(self) -> "RiskWeights":
        total = self.schema_drift + self.dependencies + self.latency + self.output
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"the weights add up to {total:g}, not to 1")
        return self


class ReleaseSettings(Contract):
    """`release.*`: what a release is judged by, besides the gates of its lane."""

    latency_p95_ms_max: Annotated[float, Field(gt=0.0)] = 500.0
    """P95 of the exported model, milliseconds."""
    latency_drift_ms_max: Annotated[float, Field(ge=0.0)] = 5.0
    """How much slower than production its P95 may be, milliseconds."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] = 0.95
    """Of intervals in these checks; two-sided for differences from production."""
    regression_max: Annotated[float, Field(ge=0.0)] = 0.005
    """Loss against production that is acceptable in metrics other than the compared one, in their own unit."""
    compared: tuple[str, ...] = ("ndcg_at_10", "r_at_5", "accuracy", "f1")
    """Metrics by which a candidate must be better than production: the first one that both have per-item scores of;
    where neither has any of them, the first metric of a blocking gate."""
    risk_weights: RiskWeights = RiskWeights()
    """Of the composite risk."""
    risk_medium_from: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.3
    """From here on shadow only."""
    risk_high_from: Annotated[float, Field(gt=0.0, le=1.0)] = 0.6
    """From here on it is no release."""
    service_levels: dict[Name, ServiceLevel] = Field(default_factory=dict)
    """By name; what no shadow report says of them is open, and an open one that blocks allows no GO."""

    @model_validator(mode="after")
    def _medium_comes_before_high(self) -> "ReleaseSettings":
        if not self.risk_medium_from < self.risk_high_from:
            raise ValueError(f"medium from {self.risk_medium_from:g} is not below high from {self.risk_high_from:g}")
        return self


class VersionId(Contract):
    """Which model is meant."""

    model_id: str
    """Name in the registry; empty for a run without an export."""
    run_id: RunId
    """Its run."""
    sha256: Sha256 | None
    """Digest of the model's main file; None without an export."""
    stage: str
    """Stage that it holds now; empty for a run without an export."""


class ExecutiveReport(Contract):
    """What code found for one executive: `<agent>.json` beside the decision."""

    agent: str
    """Whose report it is."""
    candidate: VersionId
    """What is to be released."""
    production: VersionId | None
    """What answers now; None for a first release."""
    rows: tuple[GateResult, ...]
    """What this executive answers for."""
    verdict: Verdict
    """The rows folded; advisory ones do not count."""
    facts: dict[str, bool | int | float | str]
    """What was found besides, by name; durations in seconds, latencies in milliseconds, as the names say."""
    details: dict[str, JsonValue]
    """Tables too long to cite: the signature of the model, the parts of the risk, differences of packages."""
    sources: dict[str, Sha256]
    """Files that all of it was read from, relative to the home (`evidence:` files to the decision), by digest."""

    @model_validator(mode="after")
    def _is_folded(self) -> "ExecutiveReport":
        if self.verdict is not fold(self.rows):
            raise ValueError(f"the rows fold to {fold(self.rows)}, not to {self.verdict}")
        return self


class Observation(Contract):
    """One observed number of a shadow."""

    observed: float
    """The estimate."""
    lower: float | None = None
    """One-sided lower bound, valid however often it was looked at; None where there is none."""
    upper: float | None = None
    """One-sided upper bound, likewise."""
    confidence: Annotated[float, Field(gt=0.5, lt=1.0)] | None = None
    """Confidence of each bound by itself."""
    n: Annotated[int, Field(ge=0)]
    """Requests, or items, behind it."""
    unit: str
    """Unit of all of these."""
    source: str
    """Which of the report's files it was computed from."""

    @model_validator(mode="after")
    def _fits_together(self) -> "Observation":
        bounds = (self.lower, self.upper)
        if (self.confidence is None) != (bounds == (None, None)):
            raise ValueError("bounds and their confidence belong together")
        if (self.lower is not None and self.lower > self.observed) or (
            self.upper is not None and self.upper < self.observed
        ):
            raise ValueError(f"contradicts itself: {self.observed:g} is not between {self.lower} and {self.upper}")
        return self


class ShadowReport(Contract):
    """`shadow.json`: what was observed while the candidate answered beside production, and nobody saw its answers."""

    report_version: Literal[1] = 1
    """Version of this layout."""
    lane: str
    """Lane of both models."""
    candidate_run: RunId
    """Run of the candidate."""
    candidate_sha256: Sha256
    """Digest of the candidate's main file: other bytes are another candidate."""
    production_run: RunId | None
    """Run that answered; None where nothing was in production."""
    requests: Annotated[int, Field(ge=1)]
    """Requests that both answered."""
    duration_s: Annotated[float, Field(gt=0.0)]
    """Seconds from the first to the last of them."""
    observations: Annotated[dict[Name, Observation], Field(min_length=1)]
    """By metric, as `release.service_levels` names them."""
    files: dict[str, Sha256]
    """Raw records that the numbers were computed from, relative to this file; each must be there with this digest."""

    @model_validator(mode="after")
    def _names_its_sources(self) -> "ShadowReport":
        unknown = sorted({item.source for item in self.observations.values()} - set(self.files))
        if unknown:
            raise ValueError(f"observations come from {unknown}, which `files` does not list")
        return self
