"""Shares of units in two groups: their difference, its interval, and how often chance gives it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autointerp.core.errors import InputError
from autointerp.statistics.closed_form_intervals import wilson_interval

_ALIKE = 1e-9
"""Differences that are equal on paper differ by rounding."""


@dataclass(frozen=True, slots=True)
class SharesOfTwo:
    """The share of the first group less that of the second."""

    difference: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    p_value: float
    """Of a difference at least as large, either way, where nothing tells the groups apart."""


@dataclass(frozen=True, slots=True)
class _Layer:
    """The units of two groups in one layer."""

    n_yes: tuple[int, int]
    n: tuple[int, int]

    @property
    def weight(self) -> float:
        """Of Mantel and Haenszel: large where both groups have many units."""
        return self.n[0] * self.n[1] / sum(self.n)


def difference_of_shares(
    first: tuple[float, float], second: tuple[float, float], *, confidence: float = 0.95
) -> tuple[float, float, float]:
    """(difference, low, high) of two independent shares, each given as (number, of how many).

    Newcombe's hybrid of two Wilson intervals (Newcombe 1998, Statistics in Medicine 17, method
    10), which holds its confidence near 0 and 1, where the difference of normal errors does not.

    Raises:
        InputError: a group is empty.
    """
    return _hybrid(first, second, correlation=0.0, confidence=confidence)


def compare_shares(
    first: Sequence[tuple[int, bool]],
    second: Sequence[tuple[int, bool]],
    *,
    seed: int,
    n_permutations: int = 10_000,
) -> SharesOfTwo:
    """Two groups of different units, each as (layer, whether a rule covers it).

    Layers differ, and a group with more units of one layer is no sign of a difference. So the
    shares are compared within layers, which count by the weights of Mantel and Haenszel, and the
    p-value deals units of a layer out between the groups, as many to each as before. The interval
    is Newcombe's, of as many units as give each weighted share its variance. Groups that do not
    have units of the same layers, as of models of different depth, are compared as one layer.

    Raises:
        InputError: a group is empty.
    """
    if not first or not second:
        raise InputError("a difference of shares needs at least one unit in each group")
    layers = _layers(first, second)
    total = sum(layer.weight for layer in layers)
    weights = [layer.weight / total for layer in layers]
    counts = [_standardised(layers, weights, group) for group in (0, 1)]
    difference, low, high = difference_of_shares(counts[0], counts[1])
    rng, dealt = np.random.default_rng(seed), np.zeros(n_permutations)
    for layer, weight in zip(layers, weights, strict=True):
        n_yes, (n, of) = sum(layer.n_yes), layer.n
        drawn = rng.hypergeometric(n_yes, n + of - n_yes, n, n_permutations)
        dealt += weight * (drawn / n - (n_yes - drawn) / of)
    n_extreme = int((np.abs(dealt) >= abs(difference) - _ALIKE).sum())
    return SharesOfTwo(difference, low, high, (1 + n_extreme) / (1 + n_permutations))


def compare_pairs(pairs: Sequence[tuple[bool, bool]]) -> SharesOfTwo:
    """The same units twice, as read at two sites: whether a rule covers each, here and there.

    The interval is Newcombe's for pairs (Newcombe 1998, Statistics in Medicine 17, 2635-2650,
    method 10); the p-value is that of McNemar's exact test.

    Raises:
        InputError: there is no pair.
    """
    tally = Counter(pairs)
    n, only_first, only_second = len(pairs), tally[True, False], tally[False, True]
    both, none = tally[True, True], tally[False, False]
    shares = (both + only_first, n), (both + only_second, n)
    spread = math.sqrt(math.prod(yes * (of - yes) for yes, of in shares))
    excess = float(both * none - only_first * only_second)
    # Continuity is corrected where they go together, as Newcombe does.
    excess = max(excess - n / 2, 0.0) if excess > 0 else excess
    correlation = excess / spread if spread else 0.0
    found = _hybrid(*shares, correlation=correlation, confidence=0.95)
    differing = only_first + only_second
    fewer = sum(math.comb(differing, k) for k in range(min(only_first, only_second) + 1))
    return SharesOfTwo(*found, min(1.0, 2 * fewer / 2**differing))


def _hybrid(
    first: tuple[float, float],
    second: tuple[float, float],
    *,
    correlation: float,
    confidence: float,
) -> tuple[float, float, float]:
    if not first[1] or not second[1]:
        raise InputError("a difference of shares needs at least one unit in each group")
    (p, low_p, high_p), (q, low_q, high_q) = (
        (n / of, *wilson_interval(n, of, confidence=confidence)) for n, of in (first, second)
    )
    difference = p - q
    low = difference - _reach(p - low_p, high_q - q, correlation)
    high = difference + _reach(high_p - p, q - low_q, correlation)
    return difference, max(-1.0, low), min(1.0, high)


def _reach(one: float, other: float, correlation: float) -> float:
    return math.sqrt(max(0.0, one**2 - 2 * correlation * one * other + other**2))


def _layers(
    first: Sequence[tuple[int, bool]], second: Sequence[tuple[int, bool]]
) -> tuple[_Layer, ...]:
    parts = _by_layer(first), _by_layer(second)
    if parts[0].keys() != parts[1].keys():
        parts = {0: [yes for _, yes in first]}, {0: [yes for _, yes in second]}
    return tuple(
        _Layer((sum(one), sum(other)), (len(one), len(other)))
        for one, other in ((parts[0][layer], parts[1][layer]) for layer in sorted(parts[0]))
    )


def _by_layer(group: Sequence[tuple[int, bool]]) -> Mapping[int, list[bool]]:
    found = dict[int, list[bool]]()
    for layer, yes in group:
        found.setdefault(layer, []).append(yes)
    return found


def _standardised(
    layers: Sequence[_Layer], weights: Sequence[float], group: int
) -> tuple[float, float]:
    """(number, of how many): a weighted share, and as many units as give it its variance."""
    share = sum(w * own.n_yes[group] / own.n[group] for w, own in zip(weights, layers, strict=True))
    variance = sum(w**2 / own.n[group] for w, own in zip(weights, layers, strict=True))
    # A share of all or nothing stays one.
    return min(1.0, share) / variance, 1 / variance
