"""The two sides of one unit scored as one: predicted plus minus predicted minus, against raw.

The windows of each side were drawn from the same text by themselves, with probabilities of their
own. Together they are a sample from two overlapping frames (Hartley 1962): a window that was drawn
for a side counts there its weight times a share, and the shares of both sides add up to 1 for
every window. Whatever shares are fixed before the draws give unbiased totals. Best is a weight of
one over the sum of both probabilities; but of a window that one side drew, the probability in the
other draw was not kept, so that shares go by what the window's peaks say of it.

A window counts for nothing unless both explanations were asked about it: what they predict enters
by its difference, squared. The windows that both sides happened to draw would be a poor
sample: of 40 of 600 for each side they are three, often none, each standing for the product of two
weights. Resampled by themselves they lack the chance that made them the common ones, about half of
the variance: intervals held the truth in 85 to 91 % (60 to 120 of 300 windows, 400 draws a size).
And they are 0.9 wide at 40 of 600 windows a side, where asking about all gives 0.07.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from autointerp.core.errors import InputError
from autointerp.core.explanations import Explanation
from autointerp.core.ids import Side
from autointerp.core.records import ActivationRecord
from autointerp.core.scores import Score, ScorerResult
from autointerp.scorers.scorer_inputs import Scorer, ScoringSet
from autointerp.statistics.bootstrap import Group
from autointerp.statistics.population import (
    CERTAIN_WEIGHT,
    correlation_score,
    neighbour_groups,
)
from autointerp.statistics.scored_windows import ScoredWindow
from autointerp.statistics.sufficient_statistics import pool_windows

BOTH_SIDES = "both_sides"
# As windows are drawn: in proportion to about this power of the peak, some of them all alike.
_BY_PEAK, _ALIKE = 1.5, 0.5


@dataclass(frozen=True, slots=True)
class JudgedSide:
    """What one side's explanation predicts."""

    windows: ScoringSet
    """The side's own draw."""
    predicted: Mapping[int, tuple[float, ...] | None]
    """By window, of both draws: activations of the side, model units; None for a failed trial. A
    window that was not asked about is not in it."""

    @classmethod
    def of(cls, windows: ScoringSet, results: Iterable[ScorerResult]) -> JudgedSide:
        """The trials of several results together."""
        result = {trial.window: trial.predicted for r in results for trial in r.trials}
        return cls(windows, result)


async def put_to(
    judge: Scorer, explanation: Explanation, own: ScoringSet, other: ScoringSet
) -> ScorerResult:
    """What a side's explanation predicts on the windows that only the other side drew.

    The trials are what it is for: its scores are of no meaning.

    Raises:
        UpstreamError: the LLM could not be used.
    """
    known = {record.window for record in own.records}
    records = tuple(record for record in other.records if record.window not in known)
    asked = replace(own, records=records, strata=other.strata, n_bootstrap=2)
    return await judge.score(explanation, asked)


def both_sides_score(plus: JudgedSide, minus: JudgedSide) -> Score:
    """``both_sides``: what the correlation with raw activations would be over all held-out text.

    Undefined unless each side was asked about the windows of both draws.

    Raises:
        InputError: the two are not the two sides of one unit on the same text.
    """
    _check(plus.windows, minus.windows)
    if reason := _why_unequal(plus, minus):
        return Score.undefined(BOTH_SIDES, reason)
    judged: list[ScoredWindow] = []
    groups: list[Group] = []
    windows: set[int] = set()
    for part in both_draws(plus.windows, minus.windows):
        message = [(entry, _difference(entry.record, plus, minus)) for entry in part]
        result = [(entry, values) for entry, values in message if values is not None]
        stands_for = [entry.stands_for for entry, _ in result]
        groups += neighbour_groups(stands_for, stands_for, first=len(judged))
        for entry, values in result:
            # What failed is made up for by the rest of its draw.
            weight = entry.weight * len(part) / len(result)
            judged.append(ScoredWindow(entry.record.activations, values, BOTH_SIDES, weight))
            windows.add(entry.record.window)
    if not judged:
        return Score.undefined(BOTH_SIDES, "no window was judged for both sides")
    pool = pool_windows(judged, [window.weight for window in judged])
    score = correlation_score(BOTH_SIDES, pool, groups, plus.windows.resampling)
    return replace(score, n_windows=len(windows))


@dataclass(frozen=True, slots=True)
class Entry:
    """A window as one draw has it."""

    record: ActivationRecord
    weight: float
    """Windows of the split that it stands for in the sum over all entries."""
    stands_for: float
    """One over its probability in the draw."""


def both_draws(plus: ScoringSet, minus: ScoringSet) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """What each draw adds to sums over the split; a window that both drew is in both.

    A window that was certain in a draw counts there alone.
    """
    certain = [
        {r.window for r in side.records if r.weight <= CERTAIN_WEIGHT} for side in (plus, minus)
    ]

    def share(record: ActivationRecord) -> float:
        if any(record.window in windows for windows in certain):
            return float(record.window in certain[0])
        up, down = (_likely(record, side) for side in (plus, minus))
        return up / (up + down)

    ups = [Entry(r, share(r) * r.weight, r.weight) for r in plus.records]
    downs = [Entry(r, (1.0 - share(r)) * r.weight, r.weight) for r in minus.records]
    return tuple(e for e in ups if e.weight > 0), tuple(e for e in downs if e.weight > 0)


def _why_unequal(plus: JudgedSide, minus: JudgedSide) -> str | None:
    drawn = {record.window for side in (plus, minus) for record in side.windows.records}
    asked = sum(window in plus.predicted and window in minus.predicted for window in drawn)
    if asked == len(drawn):
        return None
    return (
        f"both explanations were asked about {asked} of the {len(drawn)} windows that were drawn "
        "for either side; ask each about all of them"
    )


def _difference(
    record: ActivationRecord, plus: JudgedSide, minus: JudgedSide
) -> tuple[float, ...] | None:
    up, down = plus.predicted.get(record.window), minus.predicted.get(record.window)
    if up is None or down is None:
        return None
    return tuple(a - b for a, b in zip(up, down, strict=True))


def _likely(record: ActivationRecord, windows: ScoringSet) -> float:
    """About how probable the window was in a side's draw, by nothing but its peak."""
    n_windows = sum(stratum.n_windows for stratum in windows.strata)
    total = math.fsum(s.n_windows * _size((s.low + s.high) / 2, windows) for s in windows.strata)
    by_peak = _size(record.peak(windows.side), windows) / total if total > 0 else 0.0
    return min(1.0, len(windows.records) * ((1 - _ALIKE) * by_peak + _ALIKE / n_windows))


def _size(peak: float, windows: ScoringSet) -> float:
    return float((peak / windows.peak) ** _BY_PEAK)


def _check(plus: ScoringSet, minus: ScoringSet) -> None:
    sizes = [sum(stratum.n_windows for stratum in side.strata) for side in (plus, minus)]
    same = plus.unit == minus.unit and sizes[0] == sizes[1]
    if not same or (plus.side, minus.side) != (Side.POSITIVE, Side.NEGATIVE):
        raise InputError(
            f"a score of both sides needs the two sides of one unit on the same text, found the "
            f"{plus.side} side of {plus.unit} on {sizes[0]} windows and the {minus.side} side of "
            f"{minus.unit} on {sizes[1]}"
        )
