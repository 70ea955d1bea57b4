"""What stopping at a narrow interval costs in coverage and saves in windows."""

from __future__ import annotations

import numpy as np
from _populations import KINDS, Population, drawn, holds, pearson, population

from autointerp.core.scores import Score
from autointerp.scorers.adaptive import enough, nested_draws, stopped
from autointerp.statistics.bootstrap import Resampling
from autointerp.statistics.population import population_score

TARGETS = (0.0, 0.2, 0.4, 0.6, 0.8, 0.9)
WIDTHS = (0.1, 0.15, 0.2, 0.3)
RESAMPLING = Resampling(n_bootstrap=200)
LAST = 80


def stopping_table(n_populations: int) -> list[str]:
    """One line a width."""
    lines = ["Stopping at a width: windows, coverage of the last interval and of the one given"]
    for width in WIDTHS:
        n, plain, given, error, narrow = np.array(_runs(width, n_populations)).T
        lines.append(
            f"width {width:.2f} windows {n.mean():5.1f}  last {100 * plain.mean():5.1f}"
            f"  given {100 * given.mean():5.1f}  rmse {np.sqrt((error**2).mean()):.3f}"
            f"  narrow enough {100 * narrow.mean():5.1f}"
        )
    return lines


def _runs(width: float, n_populations: int) -> list[list[float]]:
    found = []
    for t, target in enumerate(TARGETS):
        for k, kind in enumerate(KINDS):
            rng = np.random.default_rng([7, t, k])
            for _ in range(n_populations):
                people = population(rng, kind, target)
                truth = pearson(people.real, people.predicted)
                for _ in range(4):
                    n, last, given = _run(rng, people, width)
                    found.append(
                        [
                            n,
                            holds(last.low, last.high, truth),
                            holds(given.low, given.high, truth),
                            (last.value or 0.0) - truth,
                            enough(last, width=width),
                        ]
                    )
    return found


def _run(rng: np.random.Generator, people: Population, width: float) -> tuple[int, Score, Score]:
    """Windows used, the score when it stopped, and the score that is given."""
    parts = nested_draws(drawn(rng, people, LAST))
    for part in parts:
        score = population_score(people.judged(part), part.strata, RESAMPLING)
        if enough(score, width=width):
            break
    return score.n_windows, score, stopped(score, width=width)
