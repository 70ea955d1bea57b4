"""How probable a score is for answers that know nothing of the text, for one unit or for many."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from autointerp.core.errors import InputError
from autointerp.core.records import Stratum
from autointerp.core.scores import Score
from autointerp.statistics.population import Sample
from autointerp.statistics.scored_windows import Floats, ScoredWindow, ScoredWindows
from autointerp.statistics.sufficient_statistics import why_no_correlation

_NAME = "chance_p"
# Correlations that differ by less than this differ by rounding only.
_SAME = 1e-9

Places = NDArray[np.int64]


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
    stored, weights = sample.windows, sample.weights
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
    scores = _correlations(stored, np.array(weights), groups, n_permutations, seed)
    # The score as it is stands first, and so is among those that reach it.
    reached = scores >= scores[0] - _SAME
    return Score(_NAME, float(reached.mean()), None, None, len(stored), None)


def _correlations(
    windows: ScoredWindows,
    weights: Floats,
    groups: Sequence[Sequence[int]],
    n_permutations: int,
    seed: int,
) -> Floats:
    """Of the windows as they are, then of each permutation within the groups."""
    lengths = windows.lengths
    each = np.repeat(weights, lengths)
    x, y = _centred(windows.real, each), _centred(windows.predicted, each)
    starts = np.cumsum(lengths) - lengths
    sums = np.zeros((1 + n_permutations, 3))
    for number, group in enumerate(groups):
        places = np.array(group)
        tokens = starts[places][:, None] + np.arange(lengths[places[0]])
        rng = np.random.default_rng([seed, number])
        sums += _dealt(x[tokens], y[tokens], weights[places], n_permutations, rng)
    n_tokens = float(weights @ lengths)
    mean = sums[:, 0] / n_tokens
    variance = np.maximum(sums[:, 1] / n_tokens - mean**2, _SAME**2)
    spread = np.average(x * x, weights=each)
    return np.asarray(sums[:, 2] / (n_tokens * np.sqrt(variance * spread)))


def _dealt(
    x: Floats, y: Floats, weights: Floats, n_permutations: int, rng: np.random.Generator
) -> Floats:
    """Weighted sums of y, y*y and x*y for the windows as they are and for each permutation.

    Shape (1 + n_permutations, 3).
    """
    from autointerp.statistics.compiled.permuted_sums import permuted_sums  # noqa: PLC0415

    n, length = x.shape
    if not length:
        return np.zeros((1 + n_permutations, 3))
    order = _permutations(n_permutations, n, rng)
    turn = rng.integers(0, length, size=order.shape)
    turn[0] = 0
    return np.asarray(permuted_sums(x, y, weights, order, turn))


def _permutations(n_permutations: int, n: int, rng: np.random.Generator) -> Places:
    """The order as it is, then random ones, shape (1 + n_permutations, n)."""
    orders = np.tile(np.arange(n), (1 + n_permutations, 1))
    rng.permuted(orders[1:], axis=1, out=orders[1:])
    return orders


def _centred(values: Floats, weights: Floats) -> Floats:
    array = values / np.abs(values).max()
    return np.asarray(array - np.average(array, weights=weights))


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
