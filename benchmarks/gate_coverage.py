"""How often the judge's bounds hold, and how often a gate passes or fails wrongly, by simulation.

    python benchmarks/gate_coverage.py [--samples 1000] [--resamples 1999] [--workers 2]

Every kind of interval at 95 %, one-sided: the share of samples in which `lower` lies at or under the true value and
`upper` at or above it (0.95 is asked for). Rates and paired rates are summed exactly over all samples instead. Then
whole gates through `judge()`: wrong passes on the edge of the target, Holm's family error, verdicts on calibrated
models, and the power of the planned number of items. Results go to `benchmarks/results/gate_coverage.json`.
"""

import argparse
import itertools
import math
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np
from _machine import write_result
from scipy.stats import binom

from interlock.contracts.gate import BaselineGate, Gate, ThresholdGate
from interlock.contracts.measurement import Bins, Measurement, ScoresRef
from interlock.contracts.verdict import Verdict
from interlock.gates import bootstrap, calibration
from interlock.gates.bootstrap import Scores
from interlock.gates.calibration import calibration_curve, gaps, plain_error
from interlock.gates.judge import judge
from interlock.gates.paired_rates import paired_rate_bounds
from interlock.gates.power import items_needed, share_spread
from interlock.gates.ratio import ratio_curve
from interlock.gates.statistics import Bounds, mean_bounds, quantile_bounds, rate_bounds

CONFIDENCE = 0.95
Rows = list[dict[str, Any]]
Random = np.random.Generator


def rng(*key: int) -> Random:
    return np.random.default_rng(key)


def held(found: list[Bounds], true: float) -> dict[str, float]:
    """Shares of samples in which the bounds hold."""
    return {
        "lower_holds": round(float(np.mean([b.lower <= true for b in found])), 4),
        "upper_holds": round(float(np.mean([b.upper >= true for b in found])), 4),
    }


def rates() -> Rows:
    """Wilson, exactly."""
    rows = []
    for true, n in itertools.product((0.02, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.98), (50, 200, 1000)):
        counts = np.arange(n + 1)
        bounds = [rate_bounds(int(k), n, confidence=CONFIDENCE) for k in counts]
        weights = binom.pmf(counts, n, true)
        lower = float(weights[[b.lower <= true for b in bounds]].sum())
        upper = float(weights[[b.upper >= true for b in bounds]].sum())
        rows.append({"true": true, "n": n, "lower_holds": round(lower, 4), "upper_holds": round(upper, 4)})
    return rows


def paired_rates() -> Rows:
    """Tango, exactly; `wrong_pass` is a pass of `at_least` where the true difference is just the margin."""
    rows = []
    for n, difference, losses in itertools.product((50, 200, 400), (0.0, -0.05, 0.02), (0.01, 0.03, 0.1, 0.25)):
        gain, loss = (losses + difference, losses) if difference >= 0 else (losses, losses - difference)
        wrong, missed = 0.0, 0.0
        gains = np.arange(n + 1)
        for b, weight in zip(gains, binom.pmf(gains, n, gain), strict=True):
            if weight < 1e-7:
                continue
            others = binom.pmf(np.arange(n - b + 1), n - b, loss / (1 - gain)) * weight
            for c in np.flatnonzero(others > 1e-8):
                _, lower, upper = paired_rate_bounds(int(b), int(c), n, confidence=CONFIDENCE)
                wrong += others[c] * (lower >= difference)
                missed += others[c] * (upper < difference)
        expected = round(n * (gain + loss), 1)
        rows.append(
            {"n": n, "difference": difference, "discordant_expected": expected}
            | {"wrong_pass": round(float(wrong), 4), "wrong_fail": round(float(missed), 4)}
        )
    return rows


def ndcg(random: Random, n: int) -> Scores:
    """Scores as a search has them: a third 0, a third 1, the rest between."""
    kind = random.random(n)
    return np.where(kind < 0.35, 0.0, np.where(kind < 0.7, 1.0, 1 / np.log2(2 + random.integers(1, 10, n))))


MEANS: dict[str, tuple[float, Callable[[Random, int], Scores]]] = {
    "normal": (0.0, lambda random, n: random.normal(size=n)),
    "exponential": (1.0, lambda random, n: random.exponential(size=n)),
    "lognormal": (math.exp(0.5), lambda random, n: np.exp(random.normal(size=n))),
    "cosine near 1": (1 - 1 / 13, lambda random, n: 1 - random.beta(1, 12, n)),
    "ndcg": (0.35 + 0.3 * float(np.mean(1 / np.log2(2 + np.arange(1, 10)))), ndcg),
    "nine in ten 0": (0.1, lambda random, n: (random.random(n) < 0.1) * random.exponential(size=n)),
    "paired, most ties": (0.0, lambda random, n: np.where(random.random(n) < 0.2, random.normal(size=n), 0.0)),
}


def means(num_samples: int) -> Rows:
    """Bootstrap of a mean: what the judge takes, and BCa alone. Samples too sparse for it get the sparse bound."""
    rows = []
    for (name, (true, draw)), n in itertools.product(MEANS.items(), (20, 60, 200)):
        found, alone = [], []
        for index in range(num_samples):
            scores = draw(rng(1, n, index), n)
            found.append(mean_bounds(scores, confidence=CONFIDENCE, rng=rng(2, index)))
            if found[-1].method != "sparse":
                resampled = bootstrap.resample(np.sort(scores) - scores.mean(), None, rng(2, index))
                low, high = (float(scores.mean()) + resampled.scale * side for side in resampled.bca(CONFIDENCE))
                alone.append((low <= true, high >= true))
        sparse = round(float(np.mean([b.method == "sparse" for b in found])), 4)
        lower, upper = np.mean(alone, axis=0).round(4) if alone else (None, None)
        rows.append(
            {"scores": name, "n": n, **held(found, true), "sparse": sparse}
            | {"bca_alone_lower_holds": lower, "bca_alone_upper_holds": upper}
        )
    return rows


def ratios(num_samples: int) -> Rows:
    """Tokens per second: denominators spread a little, a lot, and with one in five answers empty."""
    rows = []
    for spread, n in itertools.product(("even", "skewed", "some zero"), (20, 60, 200)):
        found = []
        for index in range(num_samples):
            random = rng(3, n, index)
            seconds = random.gamma(0.7 if spread == "skewed" else 4.0, 1.0, n)
            if spread == "some zero":
                seconds *= random.random(n) < 0.8
            tokens = 8 * seconds + random.exponential(1.0, n) * np.sqrt(seconds)
            found.append(ratio_curve(tokens, seconds, rng=rng(4, index))(CONFIDENCE))
        rows.append({"denominators": spread, "n": n, **held(found, true_ratio(spread))})
    return rows


def true_ratio(spread: str) -> float:
    """8 + E[sqrt(seconds)] / E[seconds] of the gamma distribution; zeros cancel."""
    shape = 0.7 if spread == "skewed" else 4.0
    return 8 + math.gamma(shape + 0.5) / math.gamma(shape) / shape


def quantiles(num_samples: int) -> Rows:
    """Order statistics, of exponential latencies."""
    rows = []
    for quantile, n in itertools.product((0.5, 0.95, 0.99), (100, 300, 1000)):
        found = [quantile_bounds(rng(5, n, i).exponential(size=n), quantile, confidence=CONFIDENCE)
                 for i in range(num_samples)]  # fmt: skip
        rows.append({"quantile": quantile, "n": n, **held(found, -math.log(1 - quantile))})
    return rows


CONFIDENCES: dict[str, Callable[[Random, int], Scores]] = {
    "0.5 .. 1": lambda random, n: random.uniform(0.5, 1.0, n),
    "0 .. 1": lambda random, n: random.random(n),
    "mostly over 0.9": lambda random, n: random.beta(8, 1, n),
}
WRONG: dict[str, Callable[[Scores], Scores]] = {
    "calibrated": lambda confidence: confidence,
    "over by 0.1": lambda confidence: np.clip(confidence - 0.1, 0, 1),
    "wavy": lambda confidence: np.clip(confidence + 0.1 * np.sin(12 * confidence), 0, 1),
    "over by 0.25": lambda confidence: np.clip(confidence - 0.25, 0, 1),
}


def calibrations(num_samples: int) -> Rows:
    """ECE with 15 equal-width bins: bounds, bias of the plain and the debiased value, and ECE <= 0.10 as a gate."""
    rows = []
    for (spread, draw), (wrong, truth), n in itertools.product(CONFIDENCES.items(), WRONG.items(), (100, 300, 1000)):
        many = draw(rng(6), 10**6)
        true = plain_error(truth(many), many, Bins())
        found, plain = [], []
        for index in range(num_samples):
            random = rng(7, n, index)
            confidence = draw(random, n)
            correct = (random.random(n) < truth(confidence)).astype(float)
            found.append(calibration_curve(correct, confidence, Bins(), rng=rng(8, index))(CONFIDENCE))
            plain.append(gaps(correct, confidence, Bins()).plain)
        rows.append(
            {"confidences": spread, "model": wrong, "n": n, "true": round(true, 4), **held(found, true)}
            | {"mean_plain": round(float(np.mean(plain)), 4)}
            | {"mean_debiased": round(float(np.mean([b.estimate for b in found])), 4)}
            | {"plain_over_0.10": round(float(np.mean(np.array(plain) > 0.1)), 4)}
            | {"gate_passes": round(float(np.mean([b.upper <= 0.1 for b in found])), 4)}
            | {"gate_fails": round(float(np.mean([b.lower > 0.1 for b in found])), 4)}
        )
    return rows


def measured(name: str, scores: Scores, estimator: str) -> Measurement:
    """A measurement that the judge accepts."""
    return Measurement(
        name=name, value=float(scores.mean()), unit="ratio", n=len(scores), estimator=estimator, evidence="simulated",
        split_sha256="a" * 64, evaluator_sha256="b" * 64, scores=ScoresRef(file="f", column=name, sha256="c" * 64),
    )  # fmt: skip


def edge(index: int, *, num_clear: int, family: str | None) -> list[Verdict]:
    """Verdicts of gates whose truth lies on the target, beside `num_clear` that pass clearly."""
    n, random = 200, rng(9, index)
    base = (random.random(n) < 0.5).astype(float)
    change = random.choice([-1.0, 0.0, 1.0], p=[0.1, 0.8, 0.1], size=n)
    flipped = np.where(change > 0, 1.0, np.where(change < 0, 0.0, base))
    scores = {
        "rate": ((random.random(n) < 0.7).astype(float), "rate"),
        "mean": (random.exponential(1.0, n), "mean"),
        "paired": (flipped, "rate"),
        "base": (base, "rate"),
        "skewed": (np.exp(random.normal(size=n)), "mean"),
        "other": (random.normal(0.0, 1.0, n), "mean"),
    } | {f"clear{i}": (random.normal(5.0, 1.0, n), "mean") for i in range(num_clear)}
    measurements = {name: measured(name, values, kind) for name, (values, kind) in scores.items()}
    targets = {"rate": 0.7, "mean": 1.0, "skewed": math.exp(0.5), "other": 0.0}
    targets |= {f"clear{i}": 0.0 for i in range(num_clear)}
    gates: dict[str, Gate] = {
        name: ThresholdGate(kind="threshold", metric=name, direction="at_least", target=target, family=family)
        for name, target in targets.items()
    }
    gates["paired"] = BaselineGate(
        kind="baseline", metric="paired", baseline="base", direction="at_least", family=family
    )
    rows = judge(
        gates,
        measurements,
        scores={name: values for name, (values, _) in scores.items()},
        items={name: range(n) for name in scores},
        seed=index,
    )
    return [row.verdict for row in rows if not row.gate.startswith("clear")]


def families(num_samples: int) -> Rows:
    """Five gates on the edge, alone or beside clear passes: how often any of them passes wrongly."""
    rows = []
    for num_clear, family in itertools.product((0, 3), (None, "all")):
        found = [edge(index, num_clear=num_clear, family=family) for index in range(num_samples)]
        any_passes = float(np.mean([Verdict.PASS in verdicts for verdicts in found]))
        rows.append({"on_the_edge": 5, "clear": num_clear, "holm": family is not None, "any_wrong_pass": any_passes})
    return rows


def powers(num_samples: int) -> Rows:
    """How often the planned number of items decides: 0.8 is planned for. Rates exactly, means by simulation."""
    rows = []
    for true, target in ((0.55, 0.5), (0.6, 0.5), (0.8, 0.75), (0.97, 0.95), (0.45, 0.5)):
        n = items_needed(
            true, target, spread=share_spread(true), spread_at_target=share_spread(target), confidence=CONFIDENCE
        )
        assert n is not None
        counts = np.arange(n + 1)
        bounds = [rate_bounds(int(k), n, confidence=CONFIDENCE) for k in counts]
        decided = [b.lower >= target if true > target else b.upper < target for b in bounds]
        rows.append({"scores": "rate", "true": true, "target": target, "planned_n": n}
                    | {"decides": round(float(binom.pmf(counts, n, true)[decided].sum()), 4)})  # fmt: skip
    for name in ("normal", "exponential", "ndcg"):
        true, draw = MEANS[name]
        spread = float(draw(rng(10), 10**6).std())
        target = true - spread / 5
        n = items_needed(true, target, spread=spread, confidence=CONFIDENCE)
        assert n is not None
        passes = [mean_bounds(draw(rng(11, i), n), confidence=CONFIDENCE, rng=rng(12, i)).lower >= target
                  for i in range(num_samples)]  # fmt: skip
        rows.append({"scores": name, "true": round(true, 4), "target": round(target, 4), "planned_n": n}
                    | {"decides": round(float(np.mean(passes)), 4)})  # fmt: skip
    return rows


def point_check() -> dict[str, float]:
    """The pitfall: a true 0.48 model against R@5 >= 0.50 at 200 queries, by its plain value and by its bound."""
    counts = np.arange(201)
    weights = binom.pmf(counts, 200, 0.48)
    bounds = [rate_bounds(int(k), 200, confidence=CONFIDENCE).lower >= 0.5 for k in counts]
    return {
        "plain_passes": round(float(weights[counts >= 100].sum()), 4),
        "judge_passes": round(float(weights[bounds].sum()), 4),
    }


PARTS: dict[str, Callable[[int], Rows]] = {
    "calibration": calibrations,
    "means": means,
    "families": families,
    "ratios": ratios,
    "power": powers,
    "quantiles": quantiles,
    "paired_rates_exact": lambda _: paired_rates(),
    "rates_exact": lambda _: rates(),
}


def part(name: str, num_samples: int, num_resamples: int) -> Rows:
    bootstrap.NUM_RESAMPLES = calibration.NUM_RESAMPLES = num_resamples
    return PARTS[name](num_samples)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=1999, help="of each bootstrap; the judge takes 9999")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    started = time.perf_counter()
    with ProcessPoolExecutor(options.workers) as pool:
        running = {name: pool.submit(part, name, options.samples, options.resamples) for name in PARTS}
        found = {name: future.result() for name, future in running.items()}
    result = {
        "what": "one-sided 95 % bounds of the judge: shares of samples in which they hold",
        "samples": options.samples,
        "resamples": options.resamples,
        "standard_error_at_0.95": round(math.sqrt(0.95 * 0.05 / options.samples), 4),
        "seconds": round(time.perf_counter() - started),
        "point_check": point_check(),
        **found,
    }
    print("->", write_result("gate_coverage", result, packages=("numpy", "scipy")))


if __name__ == "__main__":
    main()
