"""What can be wrong with samples: too small, too even, too lucky, or simply bad. A fail or an inconclusive is due."""

import numpy as np

from gatebench.cases import FAIL, INCONCLUSIVE, Fault, World, blocked, unchanged
from gatebench.kinds import ALL, BASELINES, MEANS, RATES, SCORED
from interlock.contracts.measurement import Bins
from interlock.contracts.verdict import Cause


def _one_seed(world: World, rng: np.random.Generator) -> None:
    """The items are training runs, and there is one of them, a good one."""
    good = {"echo_loop": 0.93, "loss": 0.2}[world.metric]
    world.rescore(world.metric, np.array([good]), ["seed1"])
    world.change_gate(n_min=1)


def _one_pair(world: World, rng: np.random.Generator) -> None:
    for name in (world.metric, world.baseline):
        assert name
        world.rescore(name, world.scores[name][:1], ["seed1"])


def _seven_of_ten(world: World, rng: np.random.Generator) -> None:
    """Seven of ten requests take a hundred times as long; there is no largest latency."""
    assert world.baseline
    world.rescore(world.metric, rng.permutation(np.r_[np.full(7, 100.0), np.ones(3)]))
    world.rescore(world.baseline, np.ones(10))
    world.change_gate(n_min=2)


def _seven_tenths(world: World, rng: np.random.Generator) -> None:
    """The same share of a sample that is large enough."""
    assert world.baseline
    world.rescore(world.metric, rng.permutation(np.r_[np.full(112, 100.0), np.ones(48)]))
    world.rescore(world.baseline, np.ones(160))


def _few_calibrated(world: World, rng: np.random.Generator) -> None:
    """60 items of a perfectly calibrated model in 15 bins: the plain error exceeds 0.10 more often than not."""
    confidence = rng.uniform(0.05, 0.95, 60)
    world.change(world.metric, bins=Bins(count=15))
    world.rescore(world.metric, np.c_[(rng.random(60) < confidence).astype(float), confidence])
    world.change_gate(n_min=50)


def _says_no(world: World, rng: np.random.Generator) -> None:
    world.change(world.metric, value=0.0, reason="loss is NaN from step 812")
    world.change_gate(severity="block")


def _not_converged(world: World, rng: np.random.Generator) -> None:
    world.change("converged", value=0.0, reason="the loss still falls by 3 % per epoch")


def _quality(name: str, kinds: tuple[str, ...], quality: str, expected: object, after: str = "") -> Fault:
    return Fault(name=name, kinds=kinds, apply=unchanged, expected=expected, quality=quality, after=after)  # type: ignore[arg-type]


AT_LEAST = ("rate_at_least", "mean_at_least", "ratio_at_least", "family_of_rates", "value", "baseline_rate")
AT_MOST = ("rate_at_most", "mean_at_most", "quantile_at_most", "calibration_at_most", "baseline_mean")
EVEN = dict.fromkeys((*RATES, "quantile_at_most", "calibration_at_most"), FAIL)
"""Where the same score everywhere is a bad one; elsewhere it looks good, and shows nothing."""
FAULTS: tuple[Fault, ...] = (
    _quality("worse_than_wanted", AT_LEAST, "failing", FAIL),
    _quality("wrong_direction", AT_MOST, "failing", FAIL),
    _quality("training_halted", ("predicate",), "failing", FAIL),
    Fault(name="check_says_no", kinds=("predicate",), apply=_says_no, expected=FAIL),
    _quality("borderline", SCORED, "borderline", INCONCLUSIVE),
    _quality(
        "lucky_seed", BASELINES, "equal", INCONCLUSIVE, "autoresearch: any lower single run is kept"
    ),
    _quality("best_of_five_slices", ("family_of_rates",), "equal", INCONCLUSIVE),
    _quality("few_perfect_items", SCORED, "few_perfect", INCONCLUSIVE),
    _quality(
        "all_scores_the_same",
        SCORED,
        "collapsed",
        dict.fromkeys(SCORED, INCONCLUSIVE) | EVEN,
        "Kayenta: single-valued data is a pass",
    ),
    Fault(
        name="one_seed", kinds=MEANS, apply=_one_seed, expected=INCONCLUSIVE,
        after="autoresearch: any lower single run is kept",
    ),
    Fault(
        name="one_seed_each", kinds=BASELINES, apply=_one_pair, expected=blocked(Cause.TOO_FEW),
        after="autoresearch: any lower single run is kept",
    ),
    Fault(
        name="seven_of_ten_a_hundredfold", kinds=("baseline_mean",), apply=_seven_of_ten, expected=INCONCLUSIVE,
        after="Kayenta: its band is a fraction of the estimate (kayenta#780)",
    ),
    Fault(
        name="seven_tenths_a_hundredfold", kinds=("baseline_mean",), apply=_seven_tenths, expected=FAIL,
        after="Kayenta: its band is a fraction of the estimate (kayenta#780)",
    ),
    Fault(
        name="calibrated_but_few", kinds=("calibration_at_most",), apply=_few_calibrated, expected=INCONCLUSIVE,
    ),
    Fault(name="not_converged", kinds=ALL, apply=_not_converged, expected=FAIL),
)  # fmt: skip
