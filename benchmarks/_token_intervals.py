"""How often intervals of token-level scores hold the value over all windows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from _populations import KINDS, N_DRAWN, SIZES, TARGETS, Misses, Population, drawn, population

from autointerp.core.records import Stratum
from autointerp.core.scores import Score
from autointerp.statistics.bootstrap import Resampling
from autointerp.statistics.scored_windows import ScoredWindow
from autointerp.statistics.token_metrics import TOKEN_METRICS, token_metrics

RESAMPLING = Resampling(n_bootstrap=400)
Table = dict[tuple[str, int], Misses]


def add_scores(
    table: Table, key: tuple[float | str, int], scores: Sequence[Score], truths: Mapping[str, float]
) -> None:
    """Puts the intervals of scores of one draw, (kind of prediction, windows), into a table."""
    kind, n = key
    for score in scores:
        if score.low is None or score.high is None or score.name not in truths:
            continue
        table.setdefault((score.name, n), Misses()).add(
            kind, score.low, score.high, truths[score.name]
        )


def true_scores(windows: Sequence[ScoredWindow], peak: float) -> dict[str, float]:
    """Of all windows of a split, each of the stratum ``all``."""
    whole = [Stratum("all", len(windows), len(windows), 0.0, np.inf)]
    scores = token_metrics(windows, whole, Resampling(2), peak=peak)
    return {score.name: score.value for score in scores if score.value is not None}


def token_table(n_populations: int, n_draws: int) -> list[str]:
    """One line a score and number of windows: coverage by correlation, misses, width."""
    table: Table = {}
    for t, target in enumerate(TARGETS):
        for k, kind in enumerate(KINDS):
            rng = np.random.default_rng([t, k, 5])
            for _ in range(n_populations):
                _add_draws(table, rng, target, population(rng, kind, target), n_draws)
    return [Misses.head(), *lines_of(table, TOKEN_METRICS)]


def lines_of(table: Table, names: Sequence[str]) -> list[str]:
    """The lines of some scores."""
    return [
        table[name, n].line(f"n = {n:3d} {name}")
        for name in names
        for n in SIZES
        if (name, n) in table
    ]


def _add_draws(
    table: Table, rng: np.random.Generator, target: float, people: Population, n_draws: int
) -> None:
    every = [
        ScoredWindow(tuple(real), tuple(said), "all", 1.0)
        for real, said in zip(people.real, people.predicted, strict=True)
    ]
    truths = true_scores(every, people.peak)
    for _ in range(n_draws):
        whole = drawn(rng, people, N_DRAWN)
        for n in SIZES:
            part = whole.first(n)
            windows = people.judged(part)
            scores = token_metrics(windows, part.strata, RESAMPLING, peak=people.peak)
            add_scores(table, (target, n), scores, truths)
