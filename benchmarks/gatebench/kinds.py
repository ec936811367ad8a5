"""Healthy worlds, one per kind of gate, and the same worlds in worse states.

    build("mean_at_least", rng, quality="healthy")

Qualities: `healthy` passes with room; `failing` is truly on the wrong side; `borderline` has its estimate on the right
side and its bound on the wrong one; `equal` (baselines) has no true difference and, by luck, a small gain; `collapsed`
has the same score for every item; `few_perfect` has a handful of items, all of them as good as can be, and no minimum.

Scores are drawn in fixed proportions and shuffled, so that a world's state does not depend on luck. Sizes are small
where a bootstrap has to run: the benchmark is about decisions, not about precision.
"""

from collections.abc import Callable

import numpy as np

from gatebench.cases import Scores, World
from interlock.contracts.gate import BaselineGate, PredicateGate, ThresholdGate
from interlock.contracts.measurement import Bins
from interlock.gates.pairing import scores_sha256
from interlock.gates.sample import checked_sample

NUM_BOOTSTRAPPED = 160
QUALITIES = ("healthy", "failing", "borderline", "equal", "collapsed", "few_perfect")

Build = Callable[[np.random.Generator, str], World]


def build(kind: str, rng: np.random.Generator, quality: str = "healthy") -> World:
    """A world for this kind of gate, with a second gate beside it that passes: training converged."""
    world = KINDS[kind](rng, quality)
    world.plain("converged", 1.0, n=20)
    world.gates["converged"] = PredicateGate(kind="predicate", check="converged", phase="training")
    return world


def hits(successes: int, n: int, rng: np.random.Generator) -> Scores:
    """0 and 1 in this proportion, in random order."""
    return rng.permutation(np.r_[np.ones(successes), np.zeros(n - successes)])


def spread(centre: float, width: float, n: int, rng: np.random.Generator) -> Scores:
    """Numbers around `centre` with exactly this mean, in random order."""
    scores = rng.normal(0.0, width, n)
    return centre + scores - scores.mean()


def _threshold(world: World, metric: str, **fields: object) -> World:
    world.gate, world.metric = "tested", metric
    world.gates["tested"] = ThresholdGate.model_validate({"kind": "threshold", "metric": metric, **fields})
    return world


def rate_at_least(rng: np.random.Generator, quality: str) -> World:
    """Recall, 800 queries, wanted 0.50 (0.90 of five perfect ones)."""
    n = 5 if quality == "few_perfect" else 800
    share = {"healthy": 0.65, "failing": 0.40, "borderline": 0.51, "collapsed": 0.0, "few_perfect": 1.0}[quality]
    world = World().add("r_at_5", hits(round(share * n), n, rng), estimator="rate", unit="ratio")
    few = quality == "few_perfect"
    return _threshold(world, "r_at_5", direction="at_least", target=0.9 if few else 0.5, n_min=1 if few else 200)


def rate_at_most(rng: np.random.Generator, quality: str) -> World:
    """Error rate, 1,500 requests, allowed 2 % (no errors in 50 do not show that)."""
    n = 50 if quality == "few_perfect" else 1500
    errors = {"healthy": 9, "failing": 75, "borderline": 26, "collapsed": 1500, "few_perfect": 0}[quality]
    world = World().add("error_rate", hits(errors, n, rng), estimator="rate", unit="ratio")
    few = quality == "few_perfect"
    return _threshold(world, "error_rate", direction="at_most", target=0.02, n_min=1 if few else 300)


def mean_at_least(rng: np.random.Generator, quality: str) -> World:
    """A cosine per item, wanted 0.82; its range is known."""
    few = quality == "few_perfect"
    scores = {
        "healthy": lambda: spread(0.90, 0.02, NUM_BOOTSTRAPPED, rng),
        "failing": lambda: spread(0.75, 0.02, NUM_BOOTSTRAPPED, rng),
        "borderline": lambda: spread(0.821, 0.05, NUM_BOOTSTRAPPED, rng),
        "collapsed": lambda: np.full(NUM_BOOTSTRAPPED, 0.83),
        "few_perfect": lambda: np.full(5, 1.0),
    }[quality]()
    world = World().add("echo_loop", scores, estimator="mean", unit="cosine")
    return _threshold(
        world, "echo_loop", direction="at_least", target=0.82, unit="cosine", n_min=1 if few else NUM_BOOTSTRAPPED // 2
    )


def mean_at_most(rng: np.random.Generator, quality: str) -> World:
    """A loss per item in nats, allowed 0.50; it has no largest value."""
    few = quality == "few_perfect"
    scores = {
        "healthy": lambda: spread(0.30, 0.05, NUM_BOOTSTRAPPED, rng),
        "failing": lambda: spread(0.70, 0.05, NUM_BOOTSTRAPPED, rng),
        "borderline": lambda: spread(0.49, 0.20, NUM_BOOTSTRAPPED, rng),
        "collapsed": lambda: np.full(NUM_BOOTSTRAPPED, 0.40),
        "few_perfect": lambda: np.full(5, 0.01),
    }[quality]()
    world = World().add("loss", scores, estimator="mean", unit="nats")
    return _threshold(
        world, "loss", direction="at_most", target=0.5, unit="nats", n_min=1 if few else NUM_BOOTSTRAPPED // 2
    )


def quantile_at_most(rng: np.random.Generator, quality: str) -> World:
    """P95 of a latency, 1,200 requests, allowed 10 ms (the best 40 requests have no bound for a P95)."""
    n = 40 if quality == "few_perfect" else 1200
    scale = {"healthy": 1.0, "failing": 2.0, "borderline": 1.27, "collapsed": 2.6, "few_perfect": 0.2}[quality]
    ranks = (np.arange(n) + 0.5) / n
    shape = np.full(n, 5.0) if quality == "collapsed" else 2.3 * -np.log1p(-ranks) + 1.0
    world = World().add("latency_p95", rng.permutation(shape * scale), estimator="quantile", quantile=0.95, unit="ms")
    few = quality == "few_perfect"
    return _threshold(world, "latency_p95", direction="at_most", target=10.0, unit="ms", n_min=1 if few else 200)


def ratio_at_least(rng: np.random.Generator, quality: str) -> World:
    """Tokens per second over requests of different length, wanted 800: a sum over a sum."""
    n = 5 if quality == "few_perfect" else NUM_BOOTSTRAPPED
    seconds = rng.permutation(np.linspace(0.5, 2.0, n))
    speed = {
        "healthy": lambda: spread(1000.0, 80.0, n, rng),
        "failing": lambda: spread(650.0, 80.0, n, rng),
        "borderline": lambda: spread(805.0, 250.0, n, rng),
        "collapsed": lambda: np.full(n, 830.0),
        "few_perfect": lambda: np.full(n, 5000.0),
    }[quality]()
    tokens = speed * seconds
    if quality == "borderline":
        tokens *= 805.0 * seconds.sum() / tokens.sum()
    world = World().add("throughput", np.c_[tokens, seconds], estimator="ratio", unit="tokens/s")
    return _threshold(
        world, "throughput", direction="at_least", target=800.0, unit="tokens/s", n_min=1 if n == 5 else n // 2
    )


def calibration_at_most(rng: np.random.Generator, quality: str) -> World:
    """Expected calibration error in 5 bins, allowed 0.10; correct answers stand in exact proportion in every bin."""
    n = 5 if quality == "few_perfect" else 400
    stated = np.repeat([0.15, 0.3, 0.5, 0.7, 0.9], n // 5)
    true = {
        "healthy": stated - 0.025,
        "failing": np.clip(stated - 0.35, 0.0, 1.0),
        "borderline": stated - np.array([0.05, 0.07, 0.1, 0.1, 0.1]).repeat(n // 5),
        "collapsed": np.ones(n),
        "few_perfect": np.ones(n),
    }[quality]
    if quality in ("collapsed", "few_perfect"):
        stated = np.full(n, 0.6 if quality == "collapsed" else 0.99)
    correct = np.concatenate([hits(round(part.sum()), len(part), rng) for part in np.split(true, 5)])
    scores = np.c_[correct, stated]
    world = World().add("ece", scores, estimator="calibration", unit="ratio", bins=Bins(count=5))
    few = quality == "few_perfect"
    return _threshold(world, "ece", direction="at_most", target=0.1, n_min=1 if few else 200)


def family_of_rates(rng: np.random.Generator, quality: str) -> World:
    """Five slices of a test set, each wanted at 0.50 and reported; the gate under test is the one that blocks.

    `equal`: no slice is truly better, and the one that came out best is the one that is shown.
    """
    n = 5 if quality == "few_perfect" else 800
    share = {
        "healthy": 0.65,
        "failing": 0.40,
        "borderline": 0.51,
        "equal": 0.5325,
        "collapsed": 0.0,
        "few_perfect": 1.0,
    }
    others = 0.5 if quality == "equal" else 0.65
    world = World().add("slice_1", hits(round(share[quality] * n), n, rng), estimator="rate", unit="ratio")
    fields = {"direction": "at_least", "target": 0.9 if n == 5 else 0.5, "family": "slices"}
    for number in range(2, 6):
        name = f"slice_{number}"
        world.add(name, hits(round(others * 800), 800, rng), estimator="rate", unit="ratio")
        gate = {"kind": "threshold", "metric": name, "severity": "advise", **fields, "target": 0.5}
        world.gates[name] = ThresholdGate.model_validate(gate)
    return _threshold(world, "slice_1", **fields, n_min=1 if n == 5 else 200)


def value(rng: np.random.Generator, quality: str) -> World:
    """A number with its own formula and no items, compared plainly: the uplift, wanted 0.10."""
    level = {"healthy": 0.2, "failing": 0.05}[quality] + rng.uniform(-0.01, 0.01)
    world = World().plain("uplift", level, unit="ratio", n=400, score_range=(-1.0, 1.0))
    return _threshold(world, "uplift", direction="at_least", target=0.1, confidence=None, n_min=200)


def baseline_rate(rng: np.random.Generator, quality: str) -> World:
    """Recall beside BM25 on the same queries, wanted no loss; a second comparison stands beside it."""
    n = 3 if quality == "few_perfect" else NUM_BOOTSTRAPPED
    ours, theirs = _pair_of_hits(n, rng, quality)
    world = World().add("r_at_5", ours, estimator="rate", unit="ratio")
    world.add("bm25.r_at_5", theirs, estimator="rate", unit="ratio")
    better = spread(0.6, 0.1, NUM_BOOTSTRAPPED, rng)
    world.add("ndcg", better, estimator="mean", unit="ratio")
    world.add("bm25.ndcg", better - spread(0.2, 0.05, NUM_BOOTSTRAPPED, rng), estimator="mean", unit="ratio")
    beside = {"kind": "baseline", "direction": "at_least", "metric": "ndcg", "baseline": "bm25.ndcg"}
    world.gates["beside"] = BaselineGate.model_validate(beside)
    return _against(world, "r_at_5", "bm25.r_at_5", direction="at_least", n_min=2 if n == 3 else n // 2)


def _pair_of_hits(n: int, rng: np.random.Generator, quality: str) -> tuple[Scores, Scores]:
    """Hits of two systems on the same queries, by the number that only one of them finds."""
    if quality in ("collapsed", "few_perfect"):
        ours = np.ones(n)
        return ours, np.ones(n) if quality == "collapsed" else np.zeros(n)
    gained, lost = {"healthy": (50, 6), "failing": (6, 50), "borderline": (17, 13), "equal": (21, 20)}[quality]
    rest = n - gained - lost
    ours = np.r_[np.ones(gained), np.zeros(lost), np.ones(rest // 2), np.zeros(rest - rest // 2)]
    theirs = np.r_[np.zeros(gained), np.ones(lost), np.ones(rest // 2), np.zeros(rest - rest // 2)]
    order = rng.permutation(n)
    return ours[order], theirs[order]


def baseline_mean(rng: np.random.Generator, quality: str) -> World:
    """A latency beside the present version's on the same requests, wanted no rise; smaller is better."""
    n = 5 if quality == "few_perfect" else NUM_BOOTSTRAPPED
    theirs = np.abs(spread(8.0, 1.5, n, rng)) + 0.5
    gain = {
        "healthy": lambda: spread(1.0, 0.8, n, rng),
        "failing": lambda: spread(-1.0, 0.8, n, rng),
        "borderline": lambda: spread(0.05, 1.5, n, rng),
        "equal": lambda: spread(0.02, 1.5, n, rng),
        "collapsed": lambda: np.zeros(n),
        "few_perfect": lambda: np.full(n, 4.0),
    }[quality]()
    if quality == "collapsed":
        theirs = np.full(n, 8.0)
    world = World().add("latency", theirs - gain, estimator="mean", unit="ms")
    world.add("production.latency", theirs, estimator="mean", unit="ms")
    return _against(world, "latency", "production.latency", direction="at_most", n_min=2 if n == 5 else n // 2)


def _against(world: World, metric: str, baseline: str, **fields: object) -> World:
    world.gate, world.metric, world.baseline = "tested", metric, baseline
    gate = {"kind": "baseline", "metric": metric, "baseline": baseline, **fields}
    world.gates["tested"] = BaselineGate.model_validate(gate)
    return world


def pinned_baseline(rng: np.random.Generator, quality: str) -> World:
    """The same comparison with the digest of the baseline's items and scores written into the gate."""
    world = baseline_mean(rng, quality)
    assert world.baseline
    sample = checked_sample(world.baseline, world.measurements, scores=world.scores, items=world.items)
    world.change_gate(baseline_sha256=scores_sha256(sample))
    return world


def predicate(rng: np.random.Generator, quality: str) -> World:
    """A yes/no check with evidence."""
    world = World(gate="tested", metric="no_nan_inf").plain("no_nan_inf", float(quality == "healthy"), n=96)
    world.gates["tested"] = PredicateGate(kind="predicate", check="no_nan_inf", severity="halt", phase="training")
    return world


KINDS: dict[str, Build] = {
    "rate_at_least": rate_at_least,
    "rate_at_most": rate_at_most,
    "mean_at_least": mean_at_least,
    "mean_at_most": mean_at_most,
    "quantile_at_most": quantile_at_most,
    "ratio_at_least": ratio_at_least,
    "calibration_at_most": calibration_at_most,
    "family_of_rates": family_of_rates,
    "value": value,
    "baseline_rate": baseline_rate,
    "baseline_mean": baseline_mean,
    "pinned_baseline": pinned_baseline,
    "predicate": predicate,
}

RATES = ("rate_at_least", "rate_at_most", "family_of_rates")
MEANS = ("mean_at_least", "mean_at_most")
PAIRS = ("ratio_at_least", "calibration_at_most")
"""Kinds whose items have two numbers."""
BASELINES = ("baseline_rate", "baseline_mean")
PINNED = ("pinned_baseline",)
"""Only for faults of the pin: everything else that befalls a baseline would show there as another baseline."""
ALL = tuple(kind for kind in KINDS if kind not in PINNED)
SCORED = (*RATES, *MEANS, "quantile_at_most", *PAIRS, *BASELINES)
"""Kinds whose measurement has per-item scores."""
COMPARED = (*SCORED, "value")
"""Kinds with a number and a target."""
