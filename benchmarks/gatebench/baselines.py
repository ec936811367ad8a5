"""What can be wrong with a comparison: the baseline, the items, the split, the evaluator. All of it must block."""

import numpy as np

from gatebench.cases import OTHER_EVALUATOR, OTHER_SPLIT, Apply, Fault, World, blocked
from gatebench.faults import MISSING, NAN, NO_VALUE, TOO_FEW, UNIT, fault, measured, without_scores
from gatebench.kinds import BASELINES, PINNED
from interlock.contracts.verdict import Cause

ITEMS = blocked(Cause.ITEMS_DIFFER)


def compared(**fields: object) -> Apply:
    """Change fields of the baseline's measurement."""

    def apply(world: World, rng: np.random.Generator) -> None:
        assert world.baseline
        world.change(world.baseline, **fields)

    return apply


def both(**fields: object) -> Apply:
    """Change fields of measurement and baseline alike."""

    def apply(world: World, rng: np.random.Generator) -> None:
        assert world.baseline
        world.change(world.metric, **fields)
        world.change(world.baseline, **fields)

    return apply


def _without_hard_items(world: World, rng: np.random.Generator) -> None:
    """The tenth of the items that went worst timed out and is simply not there."""
    scores, items = world.scores[world.metric], world.items[world.metric]
    kept = np.sort(np.argsort(scores)[len(scores) // 10 :])
    world.rescore(world.metric, scores[kept], [items[index] for index in kept])


def _other_items(world: World, rng: np.random.Generator) -> None:
    assert world.baseline
    world.items[world.baseline] = [f"r{index:05d}" for index in range(len(world.items[world.baseline]))]


def _no_baseline(world: World, rng: np.random.Generator) -> None:
    assert world.baseline
    del world.measurements[world.baseline]


def _baseline_scores_lost(world: World, rng: np.random.Generator) -> None:
    assert world.baseline
    del world.scores[world.baseline]


def _with_itself(world: World, rng: np.random.Generator) -> None:
    world.change_gate(baseline=world.metric)


def _copied_column(world: World, rng: np.random.Generator) -> None:
    """The baseline's entry points at the candidate's own scores."""
    assert world.baseline
    found = world.measurements[world.metric]
    world.change(world.baseline, value=found.value, scores=found.scores)
    world.scores[world.baseline] = world.scores[world.metric]


def _baseline_by_hand(world: World, rng: np.random.Generator) -> None:
    """A number from a paper, without the items behind it."""
    assert world.baseline
    world.change(world.baseline, scores=None, estimator="value")


def _another_baseline(world: World, rng: np.random.Generator) -> None:
    """A newer release took its place under the same name, on the same items, by the same evaluator."""
    assert world.baseline
    world.rescore(world.baseline, world.scores[world.baseline] * 1.1)


def _other_pin(world: World, rng: np.random.Generator) -> None:
    world.change_gate(baseline_sha256="9" * 64)


def _grown_test_set(world: World, rng: np.random.Generator) -> None:
    """The baseline was measured again after queries were added."""
    assert world.baseline
    scores = world.scores[world.baseline]
    world.rescore(world.baseline, np.r_[scores, scores[:20]])
    world.change(world.baseline, split_sha256=OTHER_SPLIT)


FAULTS: tuple[Fault, ...] = (
    fault("no_items_to_pair", BASELINES, without_scores, blocked(Cause.NOT_COMPARABLE)),
    fault("hard_items_missing", BASELINES, _without_hard_items, ITEMS),
    fault("other_items", BASELINES, _other_items, ITEMS),
    fault("no_baseline", BASELINES, _no_baseline, MISSING, "TFX: without a baseline change thresholds are ignored"),
    fault("baseline_without_value", BASELINES, compared(value=None), NO_VALUE),
    fault("baseline_nan", BASELINES, compared(value=NAN), NO_VALUE, "Kayenta: a NaN effect size skips its check"),
    fault("baseline_empty", BASELINES, compared(n=0), TOO_FEW, "Kayenta: no data is no failure"),
    fault("baseline_scores_lost", BASELINES, _baseline_scores_lost, blocked(Cause.SCORES_MISSING)),
    fault("baseline_in_other_unit", BASELINES, compared(unit="percent"), UNIT),
    fault("baseline_by_hand", BASELINES, _baseline_by_hand, blocked(Cause.NOT_COMPARABLE)),
    fault("compared_with_itself", BASELINES, _with_itself, blocked(Cause.NOT_COMPARABLE)),
    fault(
        "baseline_is_a_copy", BASELINES, _copied_column, blocked(Cause.NOT_COMPARABLE), "Kayenta: identical is a pass"
    ),
    fault("baseline_newer_than_its_pin", PINNED, _another_baseline, blocked(Cause.BASELINE_CHANGED)),
    fault("baseline_of_other_pin", PINNED, _other_pin, blocked(Cause.BASELINE_CHANGED)),
    fault("split_swapped", BASELINES, compared(split_sha256=OTHER_SPLIT), blocked(Cause.SPLIT_DIFFERS)),
    fault("split_unknown", BASELINES, both(split_sha256=None), blocked(Cause.SPLIT_DIFFERS)),
    fault("baseline_on_grown_test_set", BASELINES, _grown_test_set, blocked(Cause.SPLIT_DIFFERS)),
    fault(
        "evaluator_changed",
        BASELINES,
        measured(evaluator_sha256=OTHER_EVALUATOR),
        blocked(Cause.EVALUATOR_DIFFERS),
        "autoresearch: the evaluator is in reach of what it evaluates",
    ),
    fault("evaluator_unknown", BASELINES, both(evaluator_sha256=None), blocked(Cause.EVALUATOR_DIFFERS)),
)
