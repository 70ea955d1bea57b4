"""How far values would be from themselves on other documents: one left out at a time.

Windows of a document are alike, so what counts is how many documents there are.

Source: Carter, Schnepel and Steigerwald 2017 (effective number of clusters).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from autointerp.statistics.scored_windows import Floats

FEWEST_DOCUMENTS = 16
"""Of fewer, nothing is said of how far other documents would be from them."""


def sums_of_documents(rows: ArrayLike, documents: Sequence[str]) -> Floats:
    """The rows of each document added up, shape (document, column); documents by their names.

    Args:
        rows: shape (window, column).
        documents: of each row.
    """
    rows = np.asarray(rows)
    names, places = np.unique(np.asarray(documents, dtype=object), return_inverse=True)
    sums = np.zeros((len(names), rows.shape[1]))
    np.add.at(sums, places, rows)
    return sums


def without_each(sums: Floats) -> Floats:
    """The total without one document each, of the shape of `sums`: its first axis is documents."""
    result: Floats = sums.sum(axis=0) - sums
    return result


def left_out_variance(values: Floats) -> Floats:
    """The variance of a value by what it is without one document each, along the first axis."""
    n = len(values)
    variance: Floats = (n - 1) / n * ((values - values.mean(axis=0)) ** 2).sum(axis=0)
    return variance


def left_out_df(values: Floats) -> float:
    """Degrees of freedom of that variance of one value, shape (document,).

    Those are 2 over the squared relative error of a variance, from the kurtosis: n - 1 where all
    documents pull alike, 2 where one alone does.
    """
    n = len(values)
    squares = (values - values.mean()) ** 2
    if not squares.any():
        return n - 1.0
    kurtosis = float(n * (squares**2).sum() / squares.sum() ** 2)
    df = 2 * n / (kurtosis - 1) if kurtosis > 1 else n - 1.0
    return min(max(df, 1.0), n - 1.0)
