"""What can be wrong with numbers and their labels, whatever gate looks at them. All of it must block.

Each fault says for which kinds of gates it exists and which cause the judge has to name. `after` names the system that
is known to go on in this situation.
"""

import numpy as np

from gatebench.cases import (
    Apply,
    Expected,
    Fault,
    World,
    blocked,
)
from gatebench.kinds import ALL, BASELINES, COMPARED, PAIRS, RATES, SCORED
from interlock.contracts.gate import Gate, PredicateGate
from interlock.contracts.verdict import Cause, Verdict

NAN, INFINITE = float("nan"), float("inf")
ONE_COLUMN = tuple(kind for kind in SCORED if kind not in PAIRS)


def measured(**fields: object) -> Apply:
    """Change fields of the measurement under test."""
    return lambda world, rng: world.change(world.metric, **fields)


def _missing(world: World, rng: np.random.Generator) -> None:
    del world.measurements[world.metric]


def _renamed(world: World, rng: np.random.Generator) -> None:
    found = world.measurements.pop(world.metric)
    world.measurements["recall@5"] = found.model_copy(update={"name": "recall@5"})


def _misnamed(world: World, rng: np.random.Generator) -> None:
    world.change(world.metric, name="converged")


def _ended_early(world: World, rng: np.random.Generator) -> None:
    world.measurements.clear()
    world.ended_early = True


def _empty(world: World, rng: np.random.Generator) -> None:
    world.change(world.metric, n=0)
    if world.metric in world.scores:
        world.scores[world.metric], world.items[world.metric] = np.empty(0), []


def _empty_without_value(world: World, rng: np.random.Generator) -> None:
    _empty(world, rng)
    world.change(world.metric, value=None, reason="no data")


def _too_few(world: World, rng: np.random.Generator) -> None:
    gate = world.gates[world.gate]
    keep = int(gate.n_min) - 1  # type: ignore[union-attr]
    for name in filter(None, (world.metric, world.baseline)):
        if name in world.scores:
            world.rescore(name, world.scores[name][:keep], list(world.items[name][:keep]))
        else:
            world.change(name, n=keep)


def _traffic_stops(world: World, rng: np.random.Generator) -> None:
    """The first tenth arrived and looked well; the rest never came, and the writer says so."""
    for name in filter(None, (world.metric, world.baseline)):
        keep = len(world.scores[name]) // 10
        world.rescore(name, world.scores[name][:keep], list(world.items[name][:keep]))


def _partial(world: World, rng: np.random.Generator) -> None:
    """A third of the items was lost on the way; value and n are those of the whole."""
    keep = np.sort(rng.permutation(len(world.scores[world.metric]))[: len(world.scores[world.metric]) * 2 // 3])
    world.scores[world.metric] = world.scores[world.metric][keep]
    world.items[world.metric] = [world.items[world.metric][index] for index in keep]


def _nan_score(value: float) -> Apply:
    def apply(world: World, rng: np.random.Generator) -> None:
        scores = world.scores[world.metric].copy()
        scores[rng.integers(len(scores))] = value
        world.scores[world.metric] = scores

    return apply


def _all_nan(world: World, rng: np.random.Generator) -> None:
    world.scores[world.metric] = np.full(len(world.scores[world.metric]), NAN)
    world.change(world.metric, value=NAN)


def _nan_as_zero(world: World, rng: np.random.Generator) -> None:
    """A third of the scores was NaN and became 0; the value was computed over the others, and says n items."""
    scores = world.scores[world.metric].copy()
    lost = rng.permutation(len(scores))[: len(scores) // 3]
    scores[lost] = 0.0 if scores.mean() > 0.05 else 1.0
    world.scores[world.metric] = scores


def _value_typed_in(world: World, rng: np.random.Generator) -> None:
    """Somebody wrote the number that the gate wants; the items tell another story."""
    found = world.measurements[world.metric]
    at_least = world.gates[world.gate].direction == "at_least"  # type: ignore[union-attr]
    assert found.value is not None
    world.change(world.metric, value=found.value + (0.05 if at_least else -0.002))


def without_scores(world: World, rng: np.random.Generator) -> None:
    world.change(world.metric, scores=None)


def _scores_lost(world: World, rng: np.random.Generator) -> None:
    del world.scores[world.metric]


def _items_lost(world: World, rng: np.random.Generator) -> None:
    del world.items[world.metric]


def _two_dimensional(world: World, rng: np.random.Generator) -> None:
    world.scores[world.metric] = world.scores[world.metric].reshape(-1, 2)


def _as_text(world: World, rng: np.random.Generator) -> None:
    world.scores[world.metric] = world.scores[world.metric].astype(str)


def _duplicated(world: World, rng: np.random.Generator) -> None:
    """The worst items were replaced by copies of the best one, under its name, and everything computed again."""
    for name in filter(None, (world.metric, world.baseline)):
        scores, items = world.scores[name].copy(), list(world.items[name])
        order = np.argsort(scores if scores.ndim == 1 else scores[:, 0])
        best, worst = int(order[-1]), order[: max(3, len(scores) // 10)]
        for index in worst:
            scores[index], items[index] = scores[best], items[best]
        world.rescore(name, scores, items)


def _counted_twice(world: World, rng: np.random.Generator) -> None:
    """The whole sample once more, to reach a minimum of items."""
    for name in filter(None, (world.metric, world.baseline)):
        world.rescore(name, np.concatenate([world.scores[name]] * 2), list(world.items[name]) * 2)


def _percent(world: World, rng: np.random.Generator) -> None:
    """65 where 0.65 is meant, still labelled as before."""
    found = world.measurements[world.metric]
    assert found.value is not None
    world.change(world.metric, value=100 * found.value)
    if world.metric in world.scores:
        world.scores[world.metric] = 100 * world.scores[world.metric]


def _score_out_of_range(world: World, rng: np.random.Generator) -> None:
    scores = world.scores[world.metric].copy()
    scores[rng.integers(len(scores))] = 3.0
    world.rescore(world.metric, scores)


def _half_hits(world: World, rng: np.random.Generator) -> None:
    scores = world.scores[world.metric].copy()
    scores[:10] = 0.5
    world.rescore(world.metric, scores)


def _unit(world: World, rng: np.random.Generator) -> None:
    other = {"ratio": "percent", "cosine": "ratio", "nats": "bits", "ms": "s", "tokens/s": "tokens/min"}
    world.change(world.metric, unit=other[world.measurements[world.metric].unit])


def _denominator(change: str) -> Apply:
    def apply(world: World, rng: np.random.Generator) -> None:
        scores = world.scores[world.metric].copy()
        if change == "none":
            scores[:, 1] = 0.0
        else:
            scores[rng.integers(len(scores)), 1] = -0.1
            world.rescore(world.metric, scores)
        world.scores[world.metric] = scores

    return apply


def _impossible_confidence(world: World, rng: np.random.Generator) -> None:
    scores = world.scores[world.metric].copy()
    scores[rng.integers(len(scores)), 1] = 1.3
    world.rescore(world.metric, scores)


def _half_correct(world: World, rng: np.random.Generator) -> None:
    scores = world.scores[world.metric].copy()
    scores[:10, 0] = 0.5
    world.rescore(world.metric, scores)


def _one_column(world: World, rng: np.random.Generator) -> None:
    world.scores[world.metric] = world.scores[world.metric][:, 0]


def _other_bins(world: World, rng: np.random.Generator) -> None:
    """Too sure below one half and not sure enough above: in one bin that cancels, and this is the number stated."""
    scores = world.scores[world.metric].copy()
    low, high = scores[:, 1] < 0.4, scores[:, 1] > 0.6
    scores[low, 0], scores[high, 0] = 0.0, 1.0
    world.rescore(world.metric, scores)
    world.change(world.metric, value=abs(float((scores[:, 0] - scores[:, 1]).mean())))


def _family_gate(**fields: object) -> Apply:
    def apply(world: World, rng: np.random.Generator) -> None:
        world.gates["slice_3"] = world.gates["slice_3"].model_copy(update=fields)

    return apply


def _opinion(value: float, unit: str) -> Apply:
    return lambda world, rng: world.change(world.metric, value=value, unit=unit)


def _severity(severity: str) -> Apply:
    def apply(world: World, rng: np.random.Generator) -> None:
        gates: dict[str, Gate] = world.gates
        world.gates = {name: gate.model_copy(update={"severity": severity}) for name, gate in gates.items()}

    return apply


def _no_gates(world: World, rng: np.random.Generator) -> None:
    world.gates = {}


def _unknown_if_converged(world: World, rng: np.random.Generator) -> None:
    del world.measurements["converged"]


def _lost_file(world: World, rng: np.random.Generator) -> None:
    """Everything before the export passes, and nothing is known of the file."""
    world.gates["loads"] = PredicateGate(kind="predicate", check="model_loadable", phase="shipped")


def _held_back(world: World, rng: np.random.Generator) -> None:
    """Nothing was exported, because the training did not converge: that is the verdict, not the file's absence."""
    world.change("converged", value=0.0, reason="the loss still falls")
    world.gates["loads"] = PredicateGate(kind="predicate", check="model_loadable", phase="shipped")


MISSING, NO_VALUE, TOO_FEW = blocked(Cause.MISSING), blocked(Cause.NO_VALUE), blocked(Cause.TOO_FEW)
INVALID, DISAGREE = blocked(Cause.SCORES_INVALID), blocked(Cause.SCORES_DISAGREE)
OUT_OF_RANGE, UNIT = blocked(Cause.OUT_OF_RANGE), blocked(Cause.UNIT)
DUPLICATES = blocked(Cause.DUPLICATE_ITEMS)


def fault(name: str, kinds: tuple[str, ...], apply: Apply, expected: Expected, after: str = "") -> Fault:
    return Fault(name=name, kinds=kinds, apply=apply, expected=expected, after=after)


FAULTS: tuple[Fault, ...] = (
    fault("metric_missing", ALL, _missing, MISSING),
    fault("metric_renamed", ALL, _renamed, MISSING),
    fault("metric_misnamed", ALL, _misnamed, blocked(Cause.MISNAMED)),
    fault("ended_before_measuring", ALL, _ended_early, MISSING, "Argo Rollouts: ended early is always successful"),
    fault("value_absent", ALL, measured(value=None, reason="out of memory"), NO_VALUE),
    fault("value_nan", ALL, measured(value=NAN), NO_VALUE),
    fault("value_infinite", ALL, measured(value=INFINITE), NO_VALUE),
    fault("value_minus_infinite", COMPARED, measured(value=-INFINITE), NO_VALUE),
    fault("sample_empty", ALL, _empty, TOO_FEW),
    fault("sample_empty_no_value", ALL, _empty_without_value, NO_VALUE, "Kayenta: no data, NaN replaced, is a pass"),
    fault("too_few_items", COMPARED, _too_few, TOO_FEW),
    fault("traffic_stops", SCORED, _traffic_stops, TOO_FEW, "Flagger: traffic stops and it still advances"),
    fault("items_lost_on_the_way", SCORED, _partial, DISAGREE),
    fault("one_score_nan", SCORED, _nan_score(NAN), INVALID),
    fault("one_score_infinite", SCORED, _nan_score(INFINITE), INVALID, "Kayenta: a NaN effect size skips its check"),
    fault("all_scores_nan", SCORED, _all_nan, NO_VALUE, "Kayenta: no data, NaN replaced, is a pass"),
    fault("nan_replaced_by_zero", SCORED, _nan_as_zero, DISAGREE, "Kayenta: nanStrategy replace"),
    fault("value_typed_in", SCORED, _value_typed_in, DISAGREE, "AIDE: the metric is a field that a model fills in"),
    fault("value_of_other_bins", ("calibration_at_most",), _other_bins, DISAGREE),
    fault("n_overstated", SCORED, lambda world, rng: world.change(world.metric, n=10_000), DISAGREE),
    fault(
        "no_items_behind_it",
        tuple(kind for kind in SCORED if kind not in BASELINES),
        without_scores,
        blocked(Cause.NO_INTERVAL),
        "autoresearch: any lower single run is kept",
    ),
    fault("scores_not_found", SCORED, _scores_lost, blocked(Cause.SCORES_MISSING)),
    fault("item_ids_not_found", SCORED, _items_lost, blocked(Cause.SCORES_MISSING)),
    fault("scores_in_two_columns", ("rate_at_least", "mean_at_least", *BASELINES), _two_dimensional, INVALID),
    fault("scores_in_one_column", PAIRS, _one_column, INVALID),
    fault("denominators_negative", ("ratio_at_least",), _denominator("negative"), blocked(Cause.DENOMINATOR)),
    fault("denominators_zero", ("ratio_at_least",), _denominator("none"), blocked(Cause.DENOMINATOR)),
    fault("confidence_over_one", ("calibration_at_most",), _impossible_confidence, OUT_OF_RANGE),
    fault("correct_by_half", ("calibration_at_most",), _half_correct, OUT_OF_RANGE),
    fault("family_of_two_confidences", ("family_of_rates",), _family_gate(confidence=0.9), blocked(Cause.FAMILY)),
    fault("family_across_the_export", ("family_of_rates",), _family_gate(phase="shipped"), blocked(Cause.FAMILY)),
    fault("scores_as_text", SCORED, _as_text, INVALID),
    fault("items_duplicated", SCORED, _duplicated, DUPLICATES),
    fault("sample_counted_twice", SCORED, _counted_twice, DUPLICATES),
    fault("percent_as_ratio", ("rate_at_least", "mean_at_least", "value", "baseline_rate"), _percent, OUT_OF_RANGE),
    fault("score_out_of_range", (*RATES, "mean_at_least", "baseline_rate"), _score_out_of_range, OUT_OF_RANGE),
    fault("rate_of_half_hits", (*RATES, "baseline_rate"), _half_hits, OUT_OF_RANGE),
    fault("unit_changed", COMPARED, _unit, UNIT),
    fault(
        "opinion_for_a_check", ("predicate",), _opinion(0.9, "bool"), blocked(Cause.NOT_A_CHECK), "RD-Agent: LLM says"
    ),
    fault("number_for_a_check", ("predicate",), _opinion(1.0, "ratio"), blocked(Cause.NOT_A_CHECK)),
    fault("check_says_two", ("predicate",), _opinion(2.0, "bool"), OUT_OF_RANGE),
    fault("advisory_gates_only", ALL, _severity("advise"), blocked(), "MLflow: thresholds that nobody enforces"),
    fault("no_gates", ALL, _no_gates, blocked(), "TFX: without thresholds there is no verdict"),
    fault("unknown_if_converged", ALL, _unknown_if_converged, blocked(Cause.MISSING, gate="converged")),
    fault(
        "held_back_from_export",
        ALL,
        _held_back,
        Expected(verdict=Verdict.FAIL, cause=Cause.NOT_EXPORTED, gate="loads"),
    ),
    fault("lost_after_export", ALL, _lost_file, blocked(Cause.MISSING, gate="loads")),
)
