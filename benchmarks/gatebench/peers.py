"""How the published rules of other systems decide about the same worlds.

Each model is written anew from the sources named in its docstring, as small as the rule itself, and is given every
input that the rule can use: the reported number, the scores of both sides, the direction, target and margin. Outcomes:

    pass            the system goes on
    not_pass        it fails, errors, waits or asks
    no_rule         nothing in it can express this gate, or it gives no verdict at all; counted apart

What these systems add around their rules (retries, dashboards, people) is not modelled, nor are faults in files that
they do not have. Versions are those of the files as read for this benchmark; later versions may differ.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from gatebench.cases import Scores, World
from gatebench.rank_test import shift_interval
from interlock.contracts.gate import BaselineGate, Gate, PredicateGate, ThresholdGate


class Outcome(StrEnum):
    """What a system does."""

    PASS = "pass"
    NOT_PASS = "not_pass"
    NO_RULE = "no_rule"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """One gate as another system would be set up for it, with the numbers it would find."""

    name: str
    higher_is_better: bool
    target: float | None
    """Wanted value; None for a comparison."""
    margin: float | None
    """Wanted difference to the baseline; None for a plain target."""
    is_check: bool
    is_enforced: bool
    value: float | None
    """The number reported under the expected name; None where there is none."""
    baseline_value: float | None
    scores: Scores | None
    baseline_scores: Scores | None

    @property
    def difference(self) -> float | None:
        """Reported value less the baseline's."""
        if self.value is None or self.baseline_value is None:
            return None
        return self.value - self.baseline_value

    @property
    def limit(self) -> float:
        """What the number, or the difference, is held against."""
        found = self.target if self.margin is None else self.margin
        assert found is not None
        return found


def seen(world: World) -> list[Seen]:
    """The world as others would see it: numbers by name, without digests, units or item ids."""
    return [_seen_gate(name, gate, world) for name, gate in sorted(world.gates.items())]


def _seen_gate(name: str, gate: Gate, world: World) -> Seen:
    metric = gate.check if isinstance(gate, PredicateGate) else gate.metric
    baseline = gate.baseline if isinstance(gate, BaselineGate) else None
    is_check = isinstance(gate, PredicateGate)
    return Seen(
        name=name,
        higher_is_better=is_check or gate.direction == "at_least",
        target=1.0 if is_check else gate.target if isinstance(gate, ThresholdGate) else None,
        margin=gate.margin if isinstance(gate, BaselineGate) else None,
        is_check=is_check,
        is_enforced=gate.severity != "advise",
        value=_value(world, metric),
        baseline_value=_value(world, baseline) if baseline else None,
        scores=_scores(world, metric),
        baseline_scores=_scores(world, baseline) if baseline else None,
    )


def _value(world: World, name: str) -> float | None:
    return world.measurements[name].value if name in world.measurements else None


def _scores(world: World, name: str) -> Scores | None:
    if name not in world.measurements or name not in world.scores:
        return None
    try:
        return np.asarray(world.scores[name], dtype=np.float64).ravel()
    except ValueError:
        return None


# --- Kayenta ---------------------------------------------------------------------------------------------------------


def kayenta(world: World, *, nan_strategy: str, pass_score: float = 95.0) -> Outcome:
    """NetflixACAJudge: share of metrics that the Mann-Whitney classifier calls neither high nor low, in percent.

    spinnaker/kayenta: `NetflixACAJudge.scala` (tolerance 0.25, confidence 0.98, NaN strategy `remove` unless told
    otherwise, effect size as the ratio of means against 1.0), `MannWhitneyClassifier.scala`, `WeightedSumScorer.scala`
    (a metric without data counts neither way; no metric with data scores 0), `ThresholdScoreClassifier.scala`. All
    metrics in one group. It compares with a control only, so targets and checks are not its business, and a wanted
    gain cannot be asked for. It is made for series of measurements: on items that are hit or missed its shift is
    nearly always 0, so that it finds little there.
    """
    comparisons = [gate for gate in seen(world) if gate.margin is not None and gate.is_enforced]
    if not comparisons:
        return Outcome.NO_RULE
    labels = [_kayenta_label(gate, nan_strategy) for gate in comparisons]
    counted = [label for label in labels if label not in ("nodata", "error")]
    score = 100 * counted.count("pass") / len(counted) if counted else 0.0
    return Outcome.PASS if score >= pass_score else Outcome.NOT_PASS


def _kayenta_label(gate: Seen, nan_strategy: str) -> str:
    experiment, control = (_without_nan(scores, nan_strategy) for scores in (gate.scores, gate.baseline_scores))
    if not experiment.size or not control.size:
        return "nodata" if nan_strategy == "remove" else "pass"
    if np.array_equal(np.sort(experiment), np.sort(control)) or len(np.unique(np.r_[experiment, control])) == 1:
        return "pass"
    if not np.isfinite(np.r_[experiment, control]).all():
        return "error"
    if len(np.unique(experiment)) == len(np.unique(control)) == 1:
        rng = np.random.default_rng(0)
        experiment, control = (_with_noise(scores, rng) for scores in (experiment, control))
    shift = shift_interval(experiment, control, confidence=0.98)
    band = 0.25 * abs(shift.estimate)
    effect = 1.0 if control.mean() == 0 else float(experiment.mean() / control.mean())
    if not gate.higher_is_better:
        return "high" if shift.lower > band and effect >= 1.0 else "pass"
    return "low" if shift.upper < -band and effect <= 1.0 else "pass"


def _without_nan(scores: Scores | None, strategy: str) -> Scores:
    if scores is None:
        return np.empty(0)
    return scores[~np.isnan(scores)] if strategy == "remove" else np.nan_to_num(scores, nan=0.0, posinf=np.inf)


def _with_noise(scores: Scores, rng: np.random.Generator) -> Scores:
    return scores + rng.normal(0.0, abs(float(scores[0])) * 1e-5, len(scores))


# --- Argo Rollouts ---------------------------------------------------------------------------------------------------


def argo_rollouts(world: World) -> Outcome:
    """AnalysisRun with one measurement for each metric: the worst phase, or success when told to stop before any.

    argoproj/argo-rollouts: `analysis/analysis.go` (`assessMetricStatus`: no measurement and terminating is
    Successful; failureLimit and inconclusiveLimit 0; consecutiveErrorLimit 4, so a query that always errs ends in
    Error), `utils/evaluate/evaluate.go` (a measurement fails when its success condition is not true; a comparison with
    NaN is false). A comparison is a query for the difference; an advisory gate is a dry run, and a run of dry runs
    only is Successful.
    """
    gates = seen(world)
    if world.ended_early:
        return Outcome.PASS
    if not gates:
        return Outcome.NO_RULE  # an AnalysisTemplate needs at least one metric
    return _all_pass(_meets(gate) for gate in gates if gate.is_enforced)


def _meets(gate: Seen) -> bool:
    """The plain comparison: false for what is missing or NaN."""
    found = gate.value if gate.margin is None else gate.difference
    if found is None:
        return False
    return found >= gate.limit if gate.higher_is_better else found <= gate.limit


def _all_pass(answers: object) -> Outcome:
    return Outcome.PASS if all(answers) else Outcome.NOT_PASS  # type: ignore[call-overload]


# --- TFX -------------------------------------------------------------------------------------------------------------


def tfx_evaluator(world: World) -> Outcome:
    """Evaluator: every value threshold and every change threshold, on the metrics as computed.

    tensorflow/model-analysis: `evaluators/metrics_validator.py` (`validate_metrics`: a threshold whose metric is not
    found fails; NaN fails both bounds; absolute change in the stated direction), `utils/config_util.py`
    (`update_eval_config_with_defaults`: removing the baseline "also removes any change thresholds"; that they are
    missed is logged); tensorflow/tfx: `components/evaluator/executor.py` (no thresholds: no validation and no
    blessing, tfx#5148). An advisory gate is a metric without threshold.
    """
    has_baseline = any(gate.baseline_value is not None for gate in seen(world))
    gates = [gate for gate in seen(world) if gate.is_enforced]
    if not gates:
        return Outcome.NO_RULE
    left = [gate for gate in gates if gate.margin is None or has_baseline]
    return _all_pass(_meets(gate) for gate in left) if left else Outcome.NO_RULE


# --- Flagger ---------------------------------------------------------------------------------------------------------


def flagger(world: World) -> Outcome:
    """Metric checks of one iteration: each halts the advance when its number is outside `thresholdRange`.

    fluxcd/flagger: `pkg/controller/scheduler_metrics.go` (`runMetricChecks`: no values found halts; otherwise
    `val < min` or `val > max` halts, so NaN, which is neither, advances), `pkg/metrics/providers/prometheus.go` (NaN
    is a value like any other). A comparison is a query for the difference; a check is a webhook that must succeed.
    Iterations repeat the same question and are not modelled, nor are alerts for advisory gates.
    """
    gates = [gate for gate in seen(world) if gate.is_enforced]
    return _all_pass(_flagger_advances(gate) for gate in gates)  # without metrics every iteration advances


def _flagger_advances(gate: Seen) -> bool:
    if gate.is_check:
        return gate.value == 1.0
    found = gate.value if gate.margin is None else gate.difference
    if found is None:
        return False
    return not (found < gate.limit if gate.higher_is_better else found > gate.limit)


# --- MLflow ----------------------------------------------------------------------------------------------------------


def mlflow_validate(world: World) -> Outcome:
    """`validate_evaluation_results`, where somebody calls it: every `MetricThreshold` on the logged metrics.

    mlflow/mlflow: `models/evaluation/validation.py` (`threshold` by >= or <=; `min_absolute_change`, which must be
    positive, on decimals, where NaN raises; `min_relative_change` fails when it is *less* than wanted, which NaN is
    not; a missing candidate metric fails; `if min_relative_change or min_absolute_change` is what looks for the
    baseline). A margin of zero can only be written as `min_relative_change=0.0`. Without thresholds nothing is
    validated and nothing is raised.
    """
    gates = [gate for gate in seen(world) if gate.is_enforced]
    if not gates:
        return Outcome.NO_RULE
    return _all_pass(_mlflow_accepts(gate) for gate in gates)


def _mlflow_accepts(gate: Seen) -> bool:
    if gate.value is None:
        return False
    if gate.margin is None:
        return _meets(gate)
    if gate.baseline_value is None:
        return False  # None takes part in arithmetic, which raises
    gain = gate.value - gate.baseline_value if gate.higher_is_better else gate.baseline_value - gate.value
    if gate.margin != 0:
        return not math.isnan(gain) and gain >= abs(gate.margin)
    if gate.baseline_value == 0:
        return gain >= 1e-10
    return not gain / gate.baseline_value < 0.0


# --- the point comparison --------------------------------------------------------------------------------------------


def point_comparison(world: World) -> Outcome:
    """Keep the change if the number is better: the rule of research agents.

    karpathy/autoresearch: `program.md` ("if val_bpb improved (lower), you advance the branch", equal or worse is
    reset), and its like. One number against one number; everything else, such as whether it converged, is not asked.
    """
    gates = [gate for gate in seen(world) if gate.is_enforced and gate.name == world.gate and not gate.is_check]
    if not gates:
        return Outcome.NO_RULE
    return _all_pass(_improves(gate) for gate in gates)


def _improves(gate: Seen) -> bool:
    found = gate.value if gate.margin is None else gate.difference
    if found is None:
        return False
    return found > gate.limit if gate.higher_is_better else found < gate.limit


PEERS: dict[str, Callable[[World], Outcome]] = {
    "Kayenta (NaN removed)": lambda world: kayenta(world, nan_strategy="remove"),
    "Kayenta (NaN replaced)": lambda world: kayenta(world, nan_strategy="replace"),
    "Argo Rollouts": argo_rollouts,
    "TFX Evaluator": tfx_evaluator,
    "Flagger": flagger,
    "MLflow": mlflow_validate,
    "point comparison": point_comparison,
}


def reads(name: str, world: World) -> str:
    """Everything about this world that the rule can react to, as text: equal texts, equal decisions.

    A fault that leaves it as it is in the healthy twin is none that the system could have seen.
    """
    gates = [gate for gate in seen(world) if gate.is_enforced]
    if name.startswith("Kayenta"):
        pairs = [(gate.scores, gate.baseline_scores) for gate in gates if gate.margin is not None]
        return repr([[None if scores is None else scores.tolist() for scores in pair] for pair in pairs])
    if name == "point comparison":
        gates = [gate for gate in gates if gate.name == world.gate]
    numbers = [(gate.value, gate.baseline_value, gate.limit, gate.higher_is_better) for gate in gates]
    return repr((numbers, world.ended_early if name == "Argo Rollouts" else False))
