"""How probable a score is for answers that know nothing of the text, for one unit or for many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from autointerp.core.errors import InputError
from autointerp.core.records import Stratum
from autointerp.core.scores import Score
from autointerp.statistics.population import Sample
from autointerp.statistics.scored_windows import Floats, ScoredWindow
from autointerp.statistics.sufficient_statistics import why_no_correlation

_NAME = "chance_p"
# Correlations that differ by less than this differ by rounding only.
_SAME = 1e-9


def chance_of_correlation(
    windows: Sequence[ScoredWindow],
    strata: Sequence[Stratum],
    *,
    n_permutations: int = 1000,
    seed: int = 0,
    across_strata: bool = False,
) -> Score:
    """Permutation p-value of the population score; small for predictions that know something.

    Each permutation deals the predictions of a stratum to its windows anew (of the same length)
    and turns each around its window by a random number of tokens. What is kept is how much is
    predicted in each stratum, so knowing only which windows activate does not count as knowing.
    The score as it is counts as one permutation: p is never 0.

    p is at least ``1 / (n_permutations + 1)``. With `across_strata` predictions are dealt out to
    all windows, so that knowing which ones activate counts too; right where predictions are made
    without knowing the stratum, as always.
    """
    if n_permutations < 1:
        raise InputError(f"a p-value needs at least 1 permutation, found {n_permutations}")
    sample = Sample.of(windows, strata)
    stored = sample.windows
    reason = why_no_correlation(sample.pool)
    if reason is not None:
        return Score.undefined(_NAME, reason, n_windows=len(stored))
    alike: dict[tuple[str, int], list[int]] = {}
    for place, (name, length) in enumerate(
        zip(stored.strata, stored.lengths.tolist(), strict=True)
    ):
        alike.setdefault(("" if across_strata else name, length), []).append(place)
    if all(len(places) == 1 and length < 2 for (_, length), places in alike.items()):
        reason = "no two windows or tokens could change places"
        return Score.undefined(_NAME, reason, n_windows=len(stored))
    groups = [places for _, places in sorted(alike.items())]
    scores = _correlations(sample, groups, n_permutations, seed)
    # The score as it is stands first, and so is among those that reach it.
    reached = scores >= scores[0] - _SAME
    return Score(_NAME, float(reached.mean()), None, None, len(stored), None)


def _correlations(
    sample: Sample, groups: Sequence[Sequence[int]], n_permutations: int, seed: int
) -> Floats:
    """Of the windows as they are, then of each permutation within the groups."""
    from autointerp.statistics.compiled.permuted_scores import permuted_scores  # noqa: PLC0415
    from autointerp.statistics.compiled.random_numbers import drawing_state  # noqa: PLC0415

    windows = sample.windows
    scores = permuted_scores(
        windows.real,
        windows.predicted,
        windows.lengths,
        np.array(sample.weights),
        np.array([place for group in groups for place in group], dtype=np.int64),
        np.array([len(group) for group in groups], dtype=np.int64),
        np.stack([drawing_state([seed, number]) for number in range(len(groups))]),
        n_permutations,
    )
    return np.asarray(scores)


def q_values(
    p_values: Sequence[float | None], *, any_dependence: bool = False
) -> tuple[float | None, ...]:
    """Adjusted p-values: keeping those up to q makes at most a share q false ones, expected.

    With n permutations no p-value is below 1 / (n + 1): among m units of which k stand out, n
    must be above m / (k * q). For tests that are independent or depend positively on each other
    (Benjamini and Hochberg 1995).

    Args:
        p_values: one a unit, 0..1; None where a test was undefined, which counts as no test.
        any_dependence: for tests that may depend on each other in any way: larger by a factor of
            about the logarithm of their number (Benjamini and Yekutieli 2001).

    Raises:
        InputError: a p-value outside 0..1.
    """
    known = [(p, i) for i, p in enumerate(p_values) if p is not None]
    wrong = [p for p, _ in known if not 0 <= p <= 1]
    if wrong:
        raise InputError(f"p-values lie between 0 and 1, found {wrong[0]}")
    result: list[float | None] = [None] * len(p_values)
    # The smallest of what this and every larger p-value would need.
    least = 1.0
    factor = sum(1 / rank for rank in range(1, len(known) + 1)) if any_dependence else 1.0
    for rank, (p, place) in reversed(list(enumerate(sorted(known), 1))):
        least = min(least, p * factor * len(known) / rank)
        result[place] = least
    return tuple(result)
