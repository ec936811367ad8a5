"""The rules of other systems, on examples whose outcome is written down by those systems themselves."""

import numpy as np
import pytest
from gatebench import generate, peer_scoring, peers, rank_test, tables
from gatebench.kinds import build
from gatebench.peers import Outcome

PASS, NOT_PASS, NO_RULE = Outcome.PASS, Outcome.NOT_PASS, Outcome.NO_RULE
NAN = float("nan")


def world(kind, quality="healthy"):
    return build(kind, np.random.default_rng(5), quality)


def test_seven_of_ten_a_hundredfold_gives_the_numbers_of_the_report():
    """spinnaker/kayenta#780 states interval 6.825e-5 .. 99 and estimate 98.9999."""
    shift = rank_test.shift_interval(np.r_[np.full(7, 100.0), np.ones(3)], np.ones(10), confidence=0.98)
    assert shift.lower == pytest.approx(6.825022991538781e-05, rel=1e-6)
    assert shift.estimate == pytest.approx(98.99992904170193, abs=1e-4)
    assert shift.upper == pytest.approx(99.0)


def test_a_shift_lies_within_its_interval_and_follows_the_data():
    rng = np.random.default_rng(0)
    sample, control = rng.normal(3.0, 1.0, 80), rng.normal(1.0, 1.0, 80)
    shift = rank_test.shift_interval(sample, control, confidence=0.98)
    assert shift.lower < shift.estimate < shift.upper
    assert shift.lower < 2.0 < shift.upper
    moved = rank_test.shift_interval(sample + 5, control, confidence=0.98)
    assert moved.estimate == pytest.approx(shift.estimate + 5, abs=1e-3)


def outcomes(made):
    return {name: rule(made) for name, rule in peers.PEERS.items()}


@pytest.mark.parametrize("kind", ["baseline_rate", "baseline_mean"])
def test_all_pass_a_better_run_and_stop_a_clearly_worse_one(kind):
    assert set(outcomes(world(kind)).values()) == {PASS}
    worse = world(kind)
    ours = worse.baseline, worse.metric
    for one, other in (ours, ours[::-1]):
        worse.gates[worse.gate] = worse.gates[worse.gate].model_copy(update={"metric": one, "baseline": other})
        if one == ours[0]:
            found = outcomes(worse)
    kayenta = found.pop("Kayenta (NaN removed)"), found.pop("Kayenta (NaN replaced)")
    assert set(found.values()) == {NOT_PASS}
    # Mann-Whitney on hits and misses finds no shift: half of all differences are ties
    assert set(kayenta) == ({PASS} if kind == "baseline_rate" else {NOT_PASS})


def test_kayenta_without_data():
    empty = world("baseline_mean")
    empty.scores[empty.metric] = np.full(160, NAN)
    assert peers.kayenta(empty, nan_strategy="remove") is NOT_PASS  # no metric with data scores 0
    two = world("baseline_rate")
    del two.measurements[two.metric]
    assert peers.kayenta(two, nan_strategy="remove") is PASS  # the other metric carries the group
    assert peers.kayenta(world("mean_at_least"), nan_strategy="remove") is NO_RULE


def test_argo_told_to_stop_before_any_measurement_is_successful():
    stopped = world("rate_at_least")
    stopped.measurements.clear()
    assert peers.argo_rollouts(stopped) is NOT_PASS
    stopped.ended_early = True
    assert peers.argo_rollouts(stopped) is PASS


def test_tfx_without_baseline_or_thresholds():
    alone = world("baseline_mean")
    del alone.measurements[alone.baseline]
    assert peers.tfx_evaluator(alone) is PASS  # the change threshold is taken out, the check is left
    alone.gates = {"tested": alone.gates["tested"]}
    assert peers.tfx_evaluator(alone) is NO_RULE


def test_nan_advances_in_flagger_and_in_mlflows_relative_change():
    for kind, mlflow in (("rate_at_least", NOT_PASS), ("baseline_mean", PASS)):
        broken = world(kind)
        broken.change(broken.metric, value=NAN)
        assert peers.flagger(broken) is PASS
        assert peers.mlflow_validate(broken) is mlflow
        assert peers.argo_rollouts(broken) is NOT_PASS
        assert peers.tfx_evaluator(broken) is NOT_PASS


def test_a_fault_that_a_rule_is_not_given_counts_apart():
    chosen = [case for case in generate.judge_cases(repetitions=1) if case.fault in ("split_swapped", "borderline")]
    tallies = peer_scoring.score_peers(chosen)
    for tally in tallies.values():
        assert tally.by_fault["split_swapped"].unseen == 2
        assert tally.by_fault["split_swapped"].wrong_passes == 0
        assert tally.by_fault["borderline"].wrong_passes > 0
        assert tally.wrong_stops == 0


def test_the_tables_name_every_fault_and_system():
    from gatebench import scoring
    from rich.console import Console

    results = scoring.run([case for case in generate.judge_cases(repetitions=1) if case.fault == "unit_changed"])
    console = Console(width=160, record=True, force_terminal=False)
    with console.capture() as capture:
        tables.show(results, peer_scoring.score_peers(result.case for result in results), console)
    text = capture.get()
    for word in ("unit_changed", "Kayenta", "Flagger", "MLflow", "wrong passes"):
        assert word in text
