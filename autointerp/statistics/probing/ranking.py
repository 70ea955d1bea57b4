"""How well each unit alone separates the examples of a feature, by four measures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from autointerp.core.errors import InputError
from autointerp.statistics.confusion import average_precision
from autointerp.statistics.probing.class_histograms import NEGATIVE, POSITIVE, ClassHistograms
from autointerp.statistics.scored_windows import Floats

# Units whose bins are worked on at once.
_BLOCK = 2048

Measure = Literal["mean_difference", "f_statistic", "average_precision", "mutual_information"]
"""What units are ranked by."""


@dataclass(frozen=True, slots=True, eq=False)
class UnitMeasures:
    """The measures of each unit, shape (n_units,) all; NaN where a unit never varies."""

    n_negative: int
    """Examples without the feature."""
    n_positive: int
    """Examples with it."""
    mean_difference: Floats
    """Mean activation with the feature less that without, model units."""
    f_statistic: Floats
    """Of a one-way analysis of variance, 0 or more: infinite where neither class varies."""
    average_precision: Floats
    """Of high activations for the feature, 0..1; chance is the share of examples with it."""
    average_precision_of_low: Floats
    """The same of low activations, for units that are low where the feature is."""
    mutual_information: Floats
    """Of the feature and the unit's bin, nats; 0 or more."""

    def best(self, measure: Measure, n: int) -> NDArray[np.intp]:
        """The n best units, 0-based, best first; equal ones in their order.

        A mean difference counts by its size, an average precision by the better end.
        """
        value: Floats = getattr(self, measure)
        if measure == "mean_difference":
            value = np.abs(value)
        if measure == "average_precision":
            value = np.maximum(value, self.average_precision_of_low)
        return np.argsort(-np.nan_to_num(value, nan=-np.inf, posinf=np.inf), kind="stable")[:n]


MEASURES: tuple[Measure, ...] = get_args(Measure)


def measure_units(histograms: ClassHistograms) -> UnitMeasures:
    """All measures of all units. Average precision and information are those of binned values.

    Raises:
        InputError: examples of one class only.
    """
    n = histograms.n_examples
    check_classes(int(n[POSITIVE]), int(n[NEGATIVE]))
    means = histograms.sums / n[:, None]
    blocks = [_of_bins(counts) for counts in _blocks(histograms)]
    high, low, information = (np.concatenate(column) for column in zip(*blocks, strict=True))
    return UnitMeasures(
        int(n[NEGATIVE]),
        int(n[POSITIVE]),
        means[POSITIVE] - means[NEGATIVE],
        _f_statistic(histograms),
        high,
        low,
        information,
    )


def check_classes(n_positive: int, n_negative: int) -> None:
    """Refuses examples of one class only."""
    if min(n_positive, n_negative) == 0:
        kind = "have" if n_negative == 0 else "lack"
        raise InputError(
            f"all {n_positive + n_negative} examples {kind} the feature: give examples with it "
            "and without it"
        )


def _f_statistic(histograms: ClassHistograms) -> Floats:
    n, sums = histograms.n_examples[:, None], histograms.sums
    total, whole = n.sum(), (sums.sum(axis=0) ** 2) / n.sum()
    between = (sums**2 / n).sum(axis=0) - whole
    within = histograms.squares.sum(axis=0) - (sums**2 / n).sum(axis=0)
    # Rounding leaves a little of what is 0 on paper.
    noise = 1e-12 * histograms.squares.sum(axis=0)
    between = np.where(between > noise, between, 0.0)
    within = np.where(within > noise, within, 0.0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(between * (total - 2) / within)


def _blocks(histograms: ClassHistograms) -> Iterator[Floats]:
    for first in range(0, histograms.n_units, _BLOCK):
        yield histograms.counts[:, first : first + _BLOCK].astype(np.float64)


def _of_bins(counts: Floats) -> tuple[Floats, Floats, Floats]:
    """Average precision of high and of low values, and the information, of some units."""
    varies = (counts.sum(axis=0) > 0).sum(axis=-1) > 1
    areas = [_precision(counts[..., ::-1]), _precision(counts)]
    columns = [*areas, _information(counts)]
    high, low, information = (np.where(varies, column, np.nan) for column in columns)
    return high, low, information


def _precision(descending: Floats) -> Floats:
    cumulated = np.cumsum(descending, axis=-1)
    return average_precision(cumulated[POSITIVE], cumulated.sum(axis=0))


def _information(counts: Floats) -> Floats:
    """Mutual information of class and bin, nats: entropies of both less that of the pair."""
    total = counts.sum(axis=(0, 2))
    both = _entropies(counts.transpose(1, 0, 2).reshape(len(total), -1), total)
    parts = _entropies(counts.sum(axis=2).T, total) + _entropies(counts.sum(axis=0), total)
    return np.asarray(np.maximum(parts - both, 0.0))


def _entropies(counts: Floats, total: Floats) -> Floats:
    logs = np.log(np.where(counts > 0, counts, 1.0))
    return np.asarray(np.log(total) - (counts * logs).sum(axis=-1) / total)
