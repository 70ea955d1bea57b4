"""How far the score of one label differs between two texts, as far as each stands for its kind.

The two texts have no window in common, so the two estimates are independent. The question is of
text of either kind and not of these windows alone, so even a text whose windows were all judged
has an interval. And windows of one document are alike: what counts is how many documents there
are. So documents are left out one at a time, with all their windows and these windows' weights.

Simulated with units of six kinds whose documents differ much, 80 windows drawn by influence, no
difference between the two texts, 400 to 500 pairs each: p is below 0.05 for 3.4 to 5.2 in 100 at 27
and 24 documents, 2.8 to 6.0 at 16 and 16, up to 9.8 at 12 and 12, and 4 to 9 at 8 and 24.

Source: Satterthwaite 1946.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from autointerp.core.errors import InputError
from autointerp.core.records import Stratum
from autointerp.statistics.closed_form_intervals import t_quantile, t_tails
from autointerp.statistics.left_out_documents import (
    FEWEST_DOCUMENTS,
    left_out_df,
    left_out_variance,
    sums_of_documents,
    without_each,
)
from autointerp.statistics.population import population_weights
from autointerp.statistics.scored_windows import ScoredWindows
from autointerp.statistics.sufficient_statistics import (
    correlation,
    pool_windows,
    why_no_correlation,
)


@dataclass(frozen=True, slots=True)
class JudgedText:
    """The judged windows of one text."""

    windows: ScoredWindows
    strata: tuple[Stratum, ...]
    """All that windows were drawn from, with their true sizes."""
    documents: tuple[str, ...]
    """Id of each window's document, in the order of the windows."""


@dataclass(frozen=True, slots=True)
class TextScore:
    """The population score on one text."""

    value: float | None
    """Correlation of real and predicted activations, -1..1; None where it is undefined."""
    low: float | None
    """Lower end of the interval over documents; None with fewer than `FEWEST_DOCUMENTS`."""
    high: float | None
    n_windows: int
    """Judged windows."""
    n_documents: int
    """Documents that these are of."""
    reason: str | None
    """Why there is no value."""


@dataclass(frozen=True, slots=True)
class TextDifference:
    """The population score on another text less that on the first."""

    value: float | None
    """-2..2; None where either score is undefined."""
    low: float | None
    high: float | None
    p: float | None
    """Of a difference at least as large, either way, where there is none; the interval leaves out
    0 where it is below 1 less the confidence."""
    reason: str | None
    """Why there is no value, or no interval."""


@dataclass(frozen=True, slots=True)
class _Estimate:
    score: TextScore
    variance: float
    df: float
    """Effective degrees of freedom of the variance: few where few documents make it."""


def text_difference(
    own: JudgedText, other: JudgedText, *, confidence: float = 0.95
) -> tuple[TextScore, TextScore, TextDifference]:
    """Both scores, and the second less the first with Welch's interval over documents.

    Raises:
        InputError: a text has not one document a window.
    """
    first, second = _estimate(own, confidence), _estimate(other, confidence)
    return first.score, second.score, _difference(first, second, confidence)


def _difference(own: _Estimate, other: _Estimate, confidence: float) -> TextDifference:
    for one in (own, other):
        if one.score.value is None:
            return TextDifference(None, None, None, None, one.score.reason)
    value = (other.score.value or 0.0) - (own.score.value or 0.0)
    fewest = min(own.score.n_documents, other.score.n_documents)
    if fewest < FEWEST_DOCUMENTS:
        reason = (
            f"{fewest} documents of one text were judged, {FEWEST_DOCUMENTS} are needed to tell "
            "what another document would change; read more tokens"
        )
        return TextDifference(value, None, None, None, reason)
    total = own.variance + other.variance
    if total <= 0:
        return TextDifference(value, value, value, float(value == 0), None)
    df = 1 / sum((one.variance / total) ** 2 / one.df for one in (own, other))
    error = math.sqrt(total)
    reach = error * t_quantile(confidence, df)
    low, high = max(-2.0, value - reach), min(2.0, value + reach)
    return TextDifference(value, low, high, t_tails(abs(value) / error, df), None)


def _estimate(text: JudgedText, confidence: float) -> _Estimate:
    if len(text.documents) != len(text.windows):
        raise InputError(
            f"{len(text.windows)} windows have {len(text.documents)} documents; give each its own"
        )
    n_documents = len(set(text.documents))
    pool = pool_windows(text.windows, population_weights(text.windows, text.strata), errors=False)
    reason = why_no_correlation(pool)
    if reason is not None:
        score = TextScore(None, None, None, len(text.windows), n_documents, reason)
        return _Estimate(score, 0.0, 1.0)
    sums = sums_of_documents(pool.rows, text.documents)
    value = float(correlation(sums.sum(axis=0)))
    if n_documents < FEWEST_DOCUMENTS:
        return _Estimate(TextScore(value, None, None, len(text.windows), n_documents, None), 0.0, 1)
    without = correlation(without_each(sums))
    variance, df = float(left_out_variance(without)), left_out_df(without)
    reach = math.sqrt(variance) * t_quantile(confidence, df)
    low, high = max(-1.0, value - reach), min(1.0, value + reach)
    return _Estimate(
        TextScore(value, low, high, len(text.windows), n_documents, None), variance, df
    )
