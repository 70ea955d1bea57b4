"""Shares of units in two groups: their difference, its interval, and how often chance gives it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autointerp.core.errors import InputError
from autointerp.statistics.closed_form_intervals import wilson_interval


@dataclass(frozen=True, slots=True)
class SharesOfTwo:
    """The share of the first group less that of the second."""

    difference: float
    low: float
    """Lower end of the 95 % interval."""
    high: float
    p_value: float
    """Of a difference at least as large, either way, where groups are dealt out anew."""


def difference_of_shares(
    first: tuple[int, int], second: tuple[int, int], *, confidence: float = 0.95
) -> tuple[float, float, float]:
    """(difference, low, high) of two independent shares, each given as (number, of how many).

    Newcombe's hybrid of two Wilson intervals (Newcombe 1998, Statistics in Medicine 17, method
    10), which holds its confidence near 0 and 1, where the difference of normal errors does not.

    Raises:
        InputError: a group is empty.
    """
    if not first[1] or not second[1]:
        raise InputError("a difference of shares needs at least one unit in each group")
    (p, low_p, high_p), (q, low_q, high_q) = (
        (n / of, *wilson_interval(n, of, confidence=confidence)) for n, of in (first, second)
    )
    difference = p - q
    low = difference - math.hypot(p - low_p, high_q - q)
    high = difference + math.hypot(high_p - p, q - low_q)
    return difference, max(-1.0, low), min(1.0, high)


def compare_shares(
    first: Sequence[tuple[int, bool]],
    second: Sequence[tuple[int, bool]],
    *,
    seed: int,
    n_permutations: int = 2000,
) -> SharesOfTwo:
    """Two groups of units, each as (layer, whether a rule covers it).

    The p-value deals units of a layer out between the groups, as many to each as before: layers
    differ, and a group with more of one layer is no sign of a difference.

    Raises:
        InputError: a group is empty.
    """
    counts = tuple((sum(yes for _, yes in group), len(group)) for group in (first, second))
    difference, low, high = difference_of_shares(*counts)
    rng = np.random.default_rng(seed)
    drawn = np.zeros(n_permutations)
    for layer in sorted({layer for layer, _ in (*first, *second)}):
        n_first = sum(own == layer for own, _ in first)
        both = [yes for group in (first, second) for own, yes in group if own == layer]
        n_yes = sum(both)
        if both:
            drawn += rng.hypergeometric(n_yes, len(both) - n_yes, n_first, n_permutations)
    total = counts[0][0] + counts[1][0]
    dealt = drawn / counts[0][1] - (total - drawn) / counts[1][1]
    # Within layers, what is expected is not always 0.
    middle = dealt.mean()
    n_extreme = int((np.abs(dealt - middle) >= abs(difference - middle) - 1e-12).sum())
    return SharesOfTwo(difference, low, high, (1 + n_extreme) / (1 + n_permutations))
