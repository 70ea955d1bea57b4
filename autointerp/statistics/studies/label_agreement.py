"""How far labels of the same units agree between runs, beside labels of different units."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from autointerp.core.errors import InputError
from autointerp.statistics.closed_form_intervals import t_quantile, wilson_interval
from autointerp.statistics.scored_windows import Floats
from autointerp.statistics.studies.rank_trends import mean_spearman

_WORD = re.compile(r"[^\W_]+")
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class RunLabels:
    """What one run says of the units, in an order that all runs share."""

    texts: tuple[str | None, ...]
    """Descriptions; None where there is none."""
    kinds: tuple[Hashable, ...]
    """What each unit is called besides: kinds that compare as a whole; None where unknown."""
    scores: tuple[float | None, ...]


@dataclass(frozen=True, slots=True)
class Agreement:
    """A mean over pairs of runs, with its 95 % interval over units, beside chance."""

    value: float
    low: float | None
    high: float | None
    chance: float | None
    """The same between labels of different units of the two runs."""
    n: int
    """Units that are compared in at least one pair."""


@dataclass(frozen=True, slots=True)
class RunAgreement:
    """Pairs of runs that differ in the same way."""

    n_pairs: int
    same_text: Agreement | None
    """Share of units with the same description, but for case and blanks."""
    shared_words: Agreement | None
    """Jaccard index of the words of both descriptions, 0..1."""
    same_kinds: Agreement | None
    """Share with the same kinds, of units that are of a kind in at least one of the two."""
    rank_correlation: Agreement | None
    """Spearman's of the scores, mean over pairs."""
    score_distance: float | None
    """Median absolute difference of the two scores of a unit."""


def words_of(text: str) -> frozenset[str]:
    """The different words and numbers of a description, without case."""
    return frozenset(word.casefold() for word in _WORD.findall(text))


def run_agreement(pairs: Sequence[tuple[RunLabels, RunLabels]], *, seed: int = 0) -> RunAgreement:
    """How far the runs of each pair agree.

    Raises:
        InputError: there is no pair, or runs are of different numbers of units.
    """
    if not pairs or len({len(run.texts) for pair in pairs for run in pair}) != 1:
        raise InputError("runs that are compared need the same units, and there must be two")
    texts = [_by_units(a.texts, b.texts, _same_text) for a, b in pairs]
    words = [_by_units(_words(a), _words(b), _jaccard) for a, b in pairs]
    kinds = [_by_units(a.kinds, b.kinds, _same_kinds) for a, b in pairs]
    both = [
        (x, y)
        for a, b in pairs
        for x, y in zip(a.scores, b.scores, strict=True)
        if x is not None and y is not None
    ]
    distances = [abs(x - y) for x, y in both]
    return RunAgreement(
        n_pairs=len(pairs),
        same_text=_agreement(texts, is_share=True),
        shared_words=_agreement(words, is_share=False),
        same_kinds=_agreement(kinds, is_share=True),
        rank_correlation=_rank_agreement(pairs, seed),
        score_distance=float(np.median(distances)) if distances else None,
    )


def _words(run: RunLabels) -> tuple[frozenset[str] | None, ...]:
    return tuple(None if text is None else words_of(text) for text in run.texts)


def _by_units(
    first: Sequence[Any], second: Sequence[Any], alike: Callable[[Any, Any], float]
) -> Floats:
    """How alike each label of the first run is to each of the second; NaN where that is undefined.

    Shape (n_units, n_units).
    """
    return np.array([[alike(a, b) for b in second] for a in first], dtype=np.float64)


def _same_text(a: str | None, b: str | None) -> float:
    if a is None or b is None:
        return math.nan
    return float(" ".join(a.casefold().split()) == " ".join(b.casefold().split()))


def _jaccard(a: frozenset[str] | None, b: frozenset[str] | None) -> float:
    if a is None or b is None or not (a or b):
        return math.nan
    return len(a & b) / len(a | b)


def _same_kinds(a: Hashable, b: Hashable) -> float:
    return float(a == b) if a or b else math.nan


def _agreement(tables: Sequence[Floats], *, is_share: bool) -> Agreement | None:
    own = np.array([np.diagonal(table) for table in tables])
    known = ~np.isnan(own).all(axis=0)
    if not known.any():
        return None
    of_units = np.nanmean(own[:, known], axis=0)
    others = np.concatenate([table[~np.eye(len(table), dtype=bool)] for table in tables])
    others = others[~np.isnan(others)]
    n, value = len(of_units), float(of_units.mean())
    low: float | None = None
    high: float | None = None
    if is_share:
        low, high = wilson_interval(float(of_units.sum()), n, confidence=_CONFIDENCE)
    elif n > 1:
        reach = t_quantile(_CONFIDENCE, n - 1) * float(of_units.std(ddof=1)) / math.sqrt(n)
        low, high = max(0.0, value - reach), min(1.0, value + reach)
    return Agreement(value, low, high, float(others.mean()) if len(others) else None, n)


def _rank_agreement(pairs: Sequence[tuple[RunLabels, RunLabels]], seed: int) -> Agreement | None:
    complete = [
        i
        for i in range(len(pairs[0][0].scores))
        if all(run.scores[i] is not None for pair in pairs for run in pair)
    ]
    columns = [
        tuple(np.array([run.scores[i] for i in complete], dtype=np.float64) for run in pair)
        for pair in pairs
    ]
    found = mean_spearman([(a, b) for a, b in columns], seed=seed)
    return None if found is None else Agreement(found.value, found.low, found.high, None, found.n)
