"""How often intervals hold the truth: correlations by method, other scores by the one in use.

Populations of 600 windows of 64 tokens with heavy-tailed activations. Windows are drawn as jobs
draw them: 40 at once in proportion to influence, a quarter of them whatever it is, fewer as a
part of these. A share of 95 % is asked for; "above" and "below" are the shares of intervals that
lie above and below the truth. Run with ``--quick`` for a look, and with ``--neurons SPEC`` for
neurons of SmolLM2-135M on Wikipedia instead.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np
from _both_sides import both_sides_table, real_both_sides_table
from _early_stopping import stopping_table
from _populations import (
    KINDS,
    N_DRAWN,
    SIZES,
    TARGETS,
    Floats,
    Misses,
    drawn,
    holds,
    levels,
    pearson,
    population,
    standard,
)
from _real_neurons import N_TOKENS, real_table
from _token_intervals import token_table

from autointerp.core.records import Stratum
from autointerp.statistics.bootstrap import (
    Group,
    Resampling,
    open_groups,
    replicate,
    without_singles,
)
from autointerp.statistics.classification import classification_score
from autointerp.statistics.closed_form_intervals import t_quantile
from autointerp.statistics.intervals import t_interval
from autointerp.statistics.population import (
    paired_difference,
    population_groups,
    population_weights,
)
from autointerp.statistics.scored_windows import ScoredWindow
from autointerp.statistics.simulation_metrics import simulation_scores
from autointerp.statistics.sufficient_statistics import correlation, pool_windows

Interval = tuple[float, float]
RESAMPLING = Resampling(n_bootstrap=400)


def correlation_intervals(
    windows: Sequence[ScoredWindow], strata: Sequence[Stratum]
) -> tuple[float, dict[str, Interval]]:
    """The population score and its interval by every method."""
    groups, weights = population_groups(windows, strata)
    pool = pool_windows(windows, weights)
    rows = pool.rows
    value = float(correlation(rows.sum(axis=0)))
    own = t_interval(value, correlation, rows, groups, RESAMPLING, fisher=True)
    groups = without_singles(groups)
    found = replicate(groups, lambda counts: correlation(counts @ rows), RESAMPLING)
    low, high = np.quantile(found, [0.025, 0.975])
    z, spread = math.atanh(_inside(value)), float(np.arctanh(_clip(found)).std(ddof=1))
    reach = spread * t_quantile(0.95, sum(len(g.members) - 1 for g in open_groups(groups)))
    wide = spread * NormalDist().inv_cdf(0.975)
    return value, {
        "in use": (own[0] or 0.0, own[1] or 0.0),
        "percentile": (float(low), float(high)),
        "basic": (2 * value - float(high), 2 * value - float(low)),
        "Fisher z, normal": (math.tanh(z - wide), math.tanh(z + wide)),
        "Fisher z, t of n - H": (math.tanh(z - reach), math.tanh(z + reach)),
        "studentised": studentised(rows, groups, value),
    }


def studentised(rows: Floats, groups: Sequence[Group], value: float) -> Interval:
    """Bootstrap-t on Fisher's scale, each resample with its own linearised standard error."""
    ones = np.ones((1, len(rows)))
    error = float(_standard_errors(ones, rows, groups, ones)[0])

    def pivot(counts: Floats) -> Floats:
        z = np.arctanh(_clip(correlation(counts @ rows)))
        return (z - math.atanh(_inside(value))) / _standard_errors(counts, rows, groups, ones)

    ends = np.quantile(replicate(groups, pivot, RESAMPLING), [0.025, 0.975])
    z = math.atanh(_inside(value))
    return math.tanh(z - float(ends[1]) * error), math.tanh(z - float(ends[0]) * error)


def _standard_errors(counts: Floats, rows: Floats, groups: Sequence[Group], ones: Floats) -> Floats:
    """Of Fisher's z for each resample, from the influence of each window."""
    n, cx, cy, xx, yy, xy = np.moveaxis(counts @ rows[:, :6], -1, 0)
    mx, my = cx / n, cy / n
    vx, vy = np.maximum(xx / n - mx**2, 1e-300), np.maximum(yy / n - my**2, 1e-300)
    r = _clip((xy / n - mx * my) / np.sqrt(vx * vy))
    gradient = np.stack(
        [
            mx * my / np.sqrt(vx * vy) - r / 2 * (mx**2 / vx + my**2 / vy),
            -my / np.sqrt(vx * vy) + r * mx / vx,
            -mx / np.sqrt(vx * vy) + r * my / vy,
            -r / 2 / vx,
            -r / 2 / vy,
            1 / np.sqrt(vx * vy),
        ],
        axis=1,
    )
    influence = gradient @ rows[:, :6].T / (n * (1 - r**2))[:, None]
    variance = np.zeros(len(counts))
    for group in open_groups(groups):
        own, size = influence[:, list(group.members)], len(group.members)
        # A resample of two windows holds one of them, and has no variance of its own.
        times = counts if size > 2 else ones
        share = math.sqrt(group.unseen)
        drawn = 1 + (times[:, list(group.members)] - 1) / share * (size - 1) / size
        drawn = np.maximum(drawn, 0.0) / drawn.sum(axis=1, keepdims=True)
        mean = (drawn * own).sum(axis=1, keepdims=True)
        spread = (drawn * (own - mean) ** 2).sum(axis=1) * size**2 / (size - 1)
        variance += group.unseen * spread
    return np.sqrt(np.maximum(variance, 1e-12))


def correlation_table(n_populations: int, n_draws: int) -> list[str]:
    """One line a method and number of windows: coverage by correlation, misses, mean width."""
    found: dict[tuple[int, str], Misses] = {}
    zeros: dict[int, list[bool]] = {}
    for t, target in enumerate(TARGETS):
        for k, kind in enumerate(KINDS):
            rng = np.random.default_rng([t, k])
            for _ in range(n_populations):
                people = population(rng, kind, target)
                truth = pearson(people.real, people.predicted)
                for _ in range(n_draws):
                    whole = drawn(rng, people, N_DRAWN)
                    for n in SIZES:
                        part = whole.first(n)
                        value, ends = correlation_intervals(people.judged(part), part.strata)
                        for method, (low, high) in ends.items():
                            a, b = max(-1.0, min(low, value)), min(1.0, max(high, value))
                            found.setdefault((n, method), Misses()).add(target, a, b, truth)
                        if target == 0.0:
                            zeros.setdefault(n, []).append(ends["in use"][0] > 0.0)
    lines = [misses.line(f"n = {n:3d} {method}") for (n, method), misses in sorted(found.items())]
    claimed = ", ".join(f"{100 * np.mean(v):.1f} at {n}" for n, v in zeros.items())
    return [Misses.head(), *lines, f"noise is said to score above 0, per cent: {claimed}"]


def other_coverage(n: int, n_populations: int, n_draws: int) -> str:
    """Coverage of a paired difference and of the unweighted scores' intervals."""
    hits: dict[str, list[bool]] = {"difference": [], "rsquared": [], "absolute_dev_explained": []}
    for k, kind in enumerate(KINDS):
        rng = np.random.default_rng([n, 99, k])
        for _ in range(n_populations * 2):
            first = population(rng, kind, 0.6)
            real = first.real
            guess = standard(np.exp(rng.normal(size=real.shape)))
            second = replace(first, predicted=levels(standard(first.predicted) + guess))
            truth = pearson(real, first.predicted) - pearson(real, second.predicted)
            scale = float((real * first.predicted).sum() / (first.predicted**2).sum())
            fitted = replace(first, predicted=first.predicted * scale)
            r2 = 1 - ((real - fitted.predicted) ** 2).mean() / (real**2).mean()
            dev = 1 - np.abs(real - fitted.predicted).mean() / np.abs(real).mean()
            for _ in range(n_draws):
                part = drawn(rng, first, N_DRAWN).first(n)
                one, two, third = (p.judged(part) for p in (first, second, fitted))
                gap = paired_difference(one, two, part.strata, n_bootstrap=RESAMPLING.n_bootstrap)
                hits["difference"].append(holds(gap.low, gap.high, truth))
                scores = simulation_scores(
                    [window.real for window in third],
                    [window.predicted for window in third],
                    weights=population_weights(third, part.strata),
                    strata=[window.stratum for window in third],
                    n_bootstrap=RESAMPLING.n_bootstrap,
                )
                for name, want in (("rsquared", r2), ("absolute_dev_explained", dev)):
                    score = getattr(scores, name)
                    hits[name].append(holds(score.low, score.high, float(want)))
    return f"n = {n:3d}  " + "  ".join(f"{k} {100 * np.mean(v):.1f}" for k, v in hits.items())


def verdict_coverage(n: int, n_draws: int) -> str:
    """Coverage for judges of four qualities on half activating, half silent windows."""
    hits: dict[str, list[bool]] = {"balanced_accuracy": [], "f1": [], "auroc": [], "auprc": []}
    rng = np.random.default_rng([n, 7])
    for found, refused in ((0.5, 0.5), (0.7, 0.9), (0.9, 0.9), (0.99, 0.95)):
        shift = NormalDist().inv_cdf(found) + NormalDist().inv_cdf(refused)
        area = NormalDist().cdf(shift / math.sqrt(2))
        curve = _average_precision(shift)
        truths = [i < n // 2 for i in range(n)]
        for _ in range(n_draws):
            sure = rng.normal(size=n) + np.where(truths, shift, 0.0)
            said = (sure > NormalDist().inv_cdf(refused)).tolist()
            wanted = {
                "balanced_accuracy": (found + refused) / 2,
                "f1": 2 * found / (found + 1 + 1 - refused),
                "auroc": area,
                "auprc": curve,
            }
            scores = (
                classification_score("balanced_accuracy", said, truths, RESAMPLING),
                classification_score("f1", said, truths, RESAMPLING),
                classification_score("auroc", sure.tolist(), truths, RESAMPLING),
                classification_score("auprc", sure.tolist(), truths, RESAMPLING),
            )
            for score in scores:
                hits[score.name].append(holds(score.low, score.high, wanted[score.name]))
    return f"n = {n:3d}  " + "  ".join(f"{k} {100 * np.mean(v):.1f}" for k, v in hits.items())


def _average_precision(shift: float) -> float:
    """Of endless windows, half of them activating, that are told apart so well."""
    cuts = np.linspace(shift + 8.0, -8.0, 20_001)
    normal = NormalDist()
    found = np.array([1 - normal.cdf(cut - shift) for cut in cuts])
    wrong = np.array([1 - normal.cdf(cut) for cut in cuts])
    precision = found / np.maximum(found + wrong, 1e-300)
    return float(((precision[1:] + precision[:-1]) / 2) @ np.diff(found))


def _inside(value: float) -> float:
    return min(max(value, -1 + 1e-9), 1 - 1e-9)


def _clip(values: Floats) -> Floats:
    return np.clip(values, -1 + 1e-9, 1 - 1e-9)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the populations")
    parser.add_argument("--neurons", default="", help="such as random:100@0,7,14,21,29")
    arguments = parser.parse_args()
    if arguments.neurons:
        print("\n".join(real_table(arguments.neurons)))
        print("Both sides of zero scored as one")
        print("\n".join(real_both_sides_table(arguments.neurons, N_TOKENS)))
        return
    n_populations = 1 if arguments.quick else 10
    print("Population correlation")
    print("\n".join(correlation_table(n_populations, 4)))
    print("Other scores of simulations: coverage")
    for n in SIZES:
        print(other_coverage(n, n_populations, 4))
    print("Verdicts, half activating and half silent: coverage")
    for n in (12, 20, 60):
        print(verdict_coverage(n, 50 * n_populations))
    print("Token-level scores at 0.1 of the peak, by correlation of the predictions")
    print("\n".join(token_table(n_populations, 4)))
    print("Both sides of zero scored as one")
    print("\n".join(both_sides_table(n_populations, 4)))
    print("\n".join(stopping_table(n_populations)))


if __name__ == "__main__":
    main()
