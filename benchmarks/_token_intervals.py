"""How often intervals of token-level scores hold the value over all windows."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from _populations import KINDS, Floats, draw, population, scored, strata_of

from autointerp.core.records import Stratum
from autointerp.core.scores import Score
from autointerp.scorers.bootstrap import Resampling
from autointerp.scorers.token_metrics import TOKEN_METRICS, token_metrics

TARGETS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9, 0.97)
RESAMPLING = Resampling(n_bootstrap=400)


def _scores(
    picks: Sequence[tuple[int, str]], strata: Sequence[Stratum], real: Floats, predicted: Floats
) -> tuple[Score, ...]:
    windows = scored(picks, real, predicted)
    return token_metrics(windows, strata, RESAMPLING, peak=float(real.max()))


def token_table(sizes: Sequence[int], n_populations: int, n_draws: int) -> list[str]:
    """One line a score and number of windows: coverage by target correlation, misses, width."""
    lines = [
        "Token-level scores at 0.1 of the peak, by correlation of the predictions; "
        "'high' is the share of intervals above the truth",
        f"{'':26s}" + "".join(f"{t:7.2f}" for t in TARGETS) + "    all   high  width",
    ]
    for n in sizes:
        found = _draws(n, n_populations, n_draws)
        for name in TOKEN_METRICS:
            rows = np.array(found[name])
            by = [100 * rows[rows[:, 0] == t, 1].mean() for t in range(len(TARGETS))]
            cells = "".join(f"{share:7.1f}" for share in by)
            lines.append(
                f"n = {n:3d} {name:18s}{cells}{np.mean(by):7.1f}"
                f"{100 * rows[:, 2].mean():7.1f}{rows[:, 3].mean():7.2f}"
            )
    return lines


def _draws(n: int, n_populations: int, n_draws: int) -> dict[str, list[list[float]]]:
    """Of each score and draw: target, is the truth held, is it below, how wide."""
    found: dict[str, list[list[float]]] = {name: [] for name in TOKEN_METRICS}
    for t, target in enumerate(TARGETS):
        for k, kind in enumerate(KINDS):
            rng = np.random.default_rng([n, t, k, 5])
            for _ in range(n_populations):
                real, predicted = population(rng, kind, target)
                predicted = predicted * real.max() / 10
                whole = [Stratum("all", len(real), len(real), 0.0, float(real.max()))]
                truth = _scores([(i, "all") for i in range(len(real))], whole, real, predicted)
                parts, strata = strata_of(real, n)
                for _ in range(n_draws):
                    scores = _scores(draw(rng, parts, strata), strata, real, predicted)
                    for score, true in zip(scores, truth, strict=True):
                        if score.low is None or score.high is None or true.value is None:
                            continue
                        low, high = score.low - 1e-12, score.high + 1e-12
                        held = low <= true.value <= high
                        width = score.high - score.low
                        found[score.name].append([t, held, true.value < low, width])
    return found
