"""Which metrics fall when a label that is right by construction is damaged.

A metric falls where (damaged - intact) is below -0.001 of the width of its range; that is the rule
of the paper's code.

Source: Oikarinen et al. 2025, "Evaluating neuron explanations: a unified framework with sanity
checks", section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from autointerp.core.records import HeldOutSet, Stratum, TokenMeans
from autointerp.core.seeds import derive_seed
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus
from autointerp.sanity.known_units import KnownUnit, UnitsRead
from autointerp.sanity.metric_values import (
    METRICS,
    TOP_RANDOM_SAMPLE,
    metric_values,
    unweighted_correlation,
)
from autointerp.statistics.scored_windows import ScoredWindow

HEADLINE = "population"
LEAST_SHARE = 0.9
"""Share of units in which a metric has to fall, in both checks."""
_EPSILON = 0.001

_Values = Mapping[str, float | None]
Marks = NDArray[np.bool_]

# A mean over few occurrences is drawn towards the overall mean as if by so many more.
_PRIOR_COUNT = 4.0
# Damage that adds as many tokens again must find them.
_LARGEST = 0.25
_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class MetricCheck:
    """What became of one metric over all units."""

    metric: str
    windows: str
    """``drawn`` as a job draws them, or ``all`` held-out ones."""
    n: int
    """Units with a score for the intact label."""
    n_units: int
    """Units that were checked."""
    median: float | None
    """Of the intact labels' scores."""
    removed: float | None
    """Share of the n in which the score fell when half of the positives were removed; a score
    that damage left undefined has not fallen."""
    added: float | None
    """The same when as many other tokens were added."""
    share: float | None
    """Median share of held-out tokens that the intact labels mark."""

    @property
    def passed(self) -> bool:
        """Whether the metric fell often enough in both checks."""
        return min(self.removed or 0.0, self.added or 0.0) >= LEAST_SHARE


@dataclass(frozen=True, slots=True)
class _Checked:
    """The metrics of one unit on one set of windows."""

    intact: _Values
    by_damage: Mapping[Damage, _Values]
    share: float
    """Of held-out tokens that the intact label marks."""


# A label whose tokens held-out text does not have.
_NOTHING = _Checked({}, {}, 0.0)


def fell(metric: str, intact: float, after: float | None) -> bool:
    """Whether the metric says that the damaged label is worse."""
    return after is not None and (after - intact) / METRICS[metric] < -_EPSILON


def check_metrics(read: UnitsRead, *, share: float | None = None) -> tuple[MetricCheck, ...]:
    """Every metric on the drawn windows, then on all held-out ones where they were read.

    A unit's label marks about this share of the explain tokens as positive; the one that fits it
    best where None.
    """
    result: dict[str, list[_Checked]] = {}
    for unit in read.units:
        for windows, checked in _check_unit(unit, read, share).items():
            result.setdefault(windows, []).append(checked)
    return tuple(
        _summed(metric, windows, checked)
        for windows, checked in result.items()
        for metric in METRICS
        if any(metric in one.intact for one in checked)
    )


def _check_unit(unit: KnownUnit, read: UnitsRead, share: float | None) -> dict[str, _Checked]:
    held_out = _HeldOutText(read.corpus)
    intact = mark(held_out.tokens, concept_tokens(unit.means, share))
    if not intact.any():
        return {name: _NOTHING for name in _ways(read)}
    part = float(intact.mean())
    labels = {
        damage: damaged(intact, damage, seed=derive_seed(read.options.seed, damage, str(unit.unit)))
        for damage in Damage
    }
    return {
        name: _Checked(
            values(unit, held_out, intact, part),
            {damage: values(unit, held_out, marks, part) for damage, marks in labels.items()},
            part,
        )
        for name, values in _ways(read).items()
    }


def _ways(read: UnitsRead) -> dict[str, _Way]:
    ways: dict[str, _Way] = {"drawn": _drawn_values}
    if read.options.whole:
        ways["all"] = _all_values
    return ways


class _HeldOutText:
    """All held-out tokens in a row, and where each window stands in it."""

    def __init__(self, corpus: TokenCorpus) -> None:
        ids = corpus.window_ids(Split.HELD_OUT)
        self.ids = ids
        starts = corpus.starts[ids.start : ids.stop + 1]
        self._starts = starts - starts[0]
        self.tokens = corpus.tokens[starts[0] : starts[-1]]

    def window(
        self, unit: KnownUnit, marks: Marks, window: int, *, stratum: str, weight: float
    ) -> ScoredWindow:
        """A window with the label as the prediction: the peak where it is positive, else 0."""
        place = window - self.ids.start
        part = marks[self._starts[place] : self._starts[place + 1]]
        predicted = np.where(part, unit.sets.held_out.peak, 0.0)
        return ScoredWindow(tuple(unit.real[window]), tuple(predicted), stratum, weight)


_Way = Callable[[KnownUnit, _HeldOutText, Marks, float], _Values]


def _drawn_values(unit: KnownUnit, text: _HeldOutText, marks: Marks, share: float) -> _Values:
    held_out: HeldOutSet = unit.sets.held_out
    windows = [
        text.window(unit, marks, r.window, stratum=r.stratum, weight=r.weight)
        for r in held_out.records
    ]
    values = metric_values(windows, held_out.strata, peak=held_out.peak, share=share)
    sample = [text.window(unit, marks, w, stratum="all", weight=1.0) for w in unit.top_random]
    return values | {TOP_RANDOM_SAMPLE: unweighted_correlation(sample)}


def _all_values(unit: KnownUnit, text: _HeldOutText, marks: Marks, share: float) -> _Values:
    held_out: HeldOutSet = unit.sets.held_out
    n = len(text.ids)
    windows = [text.window(unit, marks, w, stratum="all", weight=1.0) for w in text.ids]
    strata = [Stratum("all", n, n, 0.0, np.inf)]
    values = metric_values(windows, strata, peak=held_out.peak, share=share)
    return {name: value for name, value in values.items() if name != "top_random"}


def _summed(metric: str, windows: str, checked: Sequence[_Checked]) -> MetricCheck:
    pairs = [(one, one.intact.get(metric)) for one in checked]
    there = [(one, value) for one, value in pairs if value is not None]

    def fallen(damage: Damage) -> float | None:
        if not there:
            return None
        return float(
            np.mean([fell(metric, value, one.by_damage[damage][metric]) for one, value in there])
        )

    return MetricCheck(
        metric,
        windows,
        len(there),
        len(checked),
        float(np.median([value for _, value in there])) if there else None,
        fallen(Damage.REMOVED),
        fallen(Damage.ADDED),
        float(np.median([one.share for one, _ in there])) if there else None,
    )


class Damage(StrEnum):
    """What is done to a label that a score must notice."""

    REMOVED = "removed"
    """Half of the positives are gone."""
    ADDED = "added"
    """As many other tokens, chosen at random, are positive too."""


def concept_tokens(means: TokenMeans, share: float | None = None) -> tuple[int, ...]:
    """The token types on which a unit is most active, by falling mean over explain text.

    They end where the label correlates most with the activations on explain text, as the paper
    takes the concept that fits a unit best; or where they are a given share of its tokens. Types
    on which the unit is no more active than on average are never taken.

    Args:
        means: the unit's token lookup table, fitted on explain text.
        share: of the explain tokens, 0..1; the type that reaches it is the last. None takes the
            label that fits best, which is at most a quarter of them.
    """
    counts, overall = means.counts, means.overall
    gains = {
        token: counts[token] * (mean - overall) / (counts[token] + _PRIOR_COUNT)
        for token, mean in means.means.items()
    }
    order = [t for t in sorted(gains, key=lambda t: (-gains[t], t)) if gains[t] > 0]
    if not order:
        return ()
    n_total = sum(counts.values())
    n_so_far = np.cumsum([counts[token] for token in order])
    if share is not None:
        n_types = int(np.searchsorted(n_so_far, share * n_total - _ROUNDING)) + 1
    else:
        gained = np.cumsum([counts[token] * gains[token] for token in order])
        fit = gained / np.sqrt(n_so_far * np.maximum(n_total - n_so_far, 1))
        n_types = int(np.where(n_so_far <= _LARGEST * n_total, fit, -1.0).argmax()) + 1
    return tuple(order[:n_types])


def mark(tokens: NDArray[np.int32], types: tuple[int, ...]) -> Marks:
    """Where the tokens are of those types; the same shape."""
    return np.isin(tokens, np.array(types, dtype=tokens.dtype))


def damaged(marks: Marks, damage: Damage, *, seed: int) -> Marks:
    """The label with half of its positives removed, or as many random negatives added.

    By occurrence, each as likely as every other, over all the text that is given.
    """
    generator = np.random.default_rng(seed)
    positives, negatives = np.flatnonzero(marks), np.flatnonzero(~marks)
    changed = marks.copy()
    if damage is Damage.REMOVED:
        changed[generator.choice(positives, len(positives) // 2, replace=False)] = False
    else:
        n = min(len(positives), len(negatives))
        changed[generator.choice(negatives, n, replace=False)] = True
    return changed
