"""Which metrics fall when a right label is damaged.

Source: Oikarinen et al. 2025, section 4. A metric falls where (damaged - intact) is below
-0.001 of the width of its range; that is the rule of the paper's code.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from autointerp.core.records import HeldOutSet, Stratum
from autointerp.core.seeds import derive_seed
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus
from autointerp.sanity.concepts import Damage, Marks, concept_tokens, damaged, mark
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

    Args:
        read: the units.
        share: of the explain tokens that a unit's label marks as positive, about; None takes
            each unit's best-fitting label.
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
