"""What windows say of one side of a unit beside what activates it: position, context, repetition.

Held-out windows with their weights stand for all held-out text. What each number is read against
is the most that it comes to where each window's activations are moved along it, each by another
part of its length, which leaves everything but their place as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.core.ids import Side
from autointerp.core.records import ActivationRecord, TokenMeans, UnitSets
from autointerp.core.unit_evidence import Absent, Measure, Quantity

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_FEWEST_WINDOWS = 8
_FEWEST_PLACES = 20
_STARTS = (0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)
"""First positions of the groups in which positions are told apart."""
_N_CHANCE = 4
"""So often activations are moved to see what chance gives."""
_EVERY = 16
"""Of all tokens of the exemplars so many are one that is compared with their peaks."""
_NOTHING = 1e-24
"""Variance, in squares of the peak, that is rounding."""
_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True)
class _Windows:
    """Windows of one length."""

    ids: Ints
    """Shape (window, pos)."""
    activations: Floats
    """Of the side in parts of the largest, the same shape."""
    peak: float
    """The largest, model units."""
    weights: Floats
    """Shape (window,)."""
    inside: NDArray[np.bool_]
    """Which of them begin inside a document."""

    @classmethod
    def of(cls, records: Sequence[ActivationRecord], side: Side) -> _Windows | None:
        """Those of the commonest length; None where there are too few."""
        length = max((len(record.token_ids) for record in records), default=0)
        whole = [record for record in records if len(record.token_ids) == length]
        if len(whole) < _FEWEST_WINDOWS or length < 2:
            return None
        activations = side.sign * np.array([record.activations for record in whole])
        # In parts of the peak: nothing here depends on the unit, and rounding is told by its size.
        peak = max(float(activations.max()), 1e-300)
        return cls(
            np.array([record.token_ids for record in whole]),
            np.maximum(activations / peak, 0.0),
            peak,
            np.array([record.weight for record in whole]),
            np.array([record.offset > 0 for record in whole]),
        )


def _moved(windows: _Windows) -> list[Floats]:
    """The activations, each window's moved along it by a part of its own of the length."""
    n, length = windows.ids.shape
    result = []
    for turn in range(1, _N_CHANCE + 1):
        # Multiples of the golden ratio are spread evenly, whatever the number of windows.
        parts = np.arange(1, n + 1) * _GOLDEN * turn % 1.0
        places = np.arange(length) + (parts * length).astype(int)[:, None]
        result.append(np.take_along_axis(windows.activations, places % length, axis=1))
    return result


def window_evidence(sets: UnitSets, table: TokenMeans) -> Iterator[Measure]:
    """In the order of `Quantity`; the table is of the side's mean activation at each token."""
    side = sets.held_out.side
    windows = _Windows.of(sets.held_out.records, side)
    if windows is None or not windows.activations.any():
        reason = Absent.FEW_WINDOWS if windows is None else Absent.CONSTANT
        for quantity in (
            *(Quantity.POSITION_SHARE, Quantity.POSITION_PEAK, Quantity.WINDOW_SHARE),
            *(Quantity.REPETITION, Quantity.PAIR_SHARE),
        ):
            yield Measure(quantity, None, absent=reason)
    else:
        moved = _moved(windows)
        yield from _positions(windows, moved)
        yield _between(windows)
        expected = _predicted(table, windows.ids) / windows.peak
        yield _repetition(windows, expected, moved)
        yield _pairs(windows)
    yield _continued(sets.explain.activating, side)


def _positions(windows: _Windows, moved: Sequence[Floats]) -> Iterator[Measure]:
    kept = windows.inside
    if kept.sum() < _FEWEST_WINDOWS:
        yield Measure(Quantity.POSITION_SHARE, None, absent=Absent.FEW_INSIDE)
        yield Measure(Quantity.POSITION_PEAK, None, absent=Absent.FEW_INSIDE)
        return
    length = windows.ids.shape[1]
    starts = np.array([start for start in _STARTS if start < length])
    sizes = np.diff(np.append(starts, length))
    weights = windows.weights[kept] / windows.weights[kept].sum()
    # Both stay where activations are moved along their windows.
    average = float(weights @ windows.activations[kept].mean(axis=1))
    total = float(weights @ (windows.activations[kept] ** 2).mean(axis=1)) - average**2

    def means(activations: Floats) -> Floats:
        line = weights @ activations[kept]
        return np.asarray(np.add.reduceat(line, starts) / sizes)

    def share(activations: Floats) -> float:
        spread = float(sizes @ (means(activations) - average) ** 2) / length
        return spread / total if total > _NOTHING else 0.0

    control = max(map(share, moved))
    own = means(windows.activations)
    best = int(own.argmax())
    yield Measure.of(Quantity.POSITION_SHARE, share(windows.activations), control=control)
    if average > 0:
        yield Measure.of(
            Quantity.POSITION_PEAK, float(starts[best]), control=float(own[best]) / average
        )
    else:
        yield Measure(Quantity.POSITION_PEAK, None, absent=Absent.CONSTANT)


def _between(windows: _Windows) -> Measure:
    """Share of the variance that lies between windows; alone by chance one over their length."""
    weights = windows.weights / windows.weights.sum()
    means = windows.activations.mean(axis=1)
    overall = float(weights @ means)
    total = float(weights @ (windows.activations**2).mean(axis=1)) - overall**2
    between = float(weights @ (means - overall) ** 2)
    length = windows.ids.shape[1]
    if total <= _NOTHING:
        return Measure(Quantity.WINDOW_SHARE, None, absent=Absent.CONSTANT)
    return Measure.of(Quantity.WINDOW_SHARE, between / total, control=1.0 / length)


def _repetition(windows: _Windows, expected: Floats, moved: Sequence[Floats]) -> Measure:
    """Correlation of having stood in the window before with what the token does not explain."""
    n, length = windows.ids.shape
    keys = windows.ids + np.arange(n)[:, None] * (int(windows.ids.max()) + 1)
    first = np.zeros(keys.size, dtype=bool)
    first[np.unique(keys, return_index=True)[1]] = True
    again = (~first).reshape(n, length).astype(float)
    weights = np.broadcast_to(
        (windows.weights / windows.weights.sum() / length)[:, None], (n, length)
    )
    # Where a token stands decides both whether it can have stood there and much else.
    again = again - (weights * again).sum(axis=0) / weights.sum(axis=0)

    def correlation(activations: Floats) -> float:
        rest = activations - expected
        rest = rest - (weights * rest).sum(axis=0) / weights.sum(axis=0)
        size = float((weights * rest**2).sum() * (weights * again**2).sum())
        return float((weights * rest * again).sum()) / size**0.5 if size > _NOTHING else 0.0

    if float((weights * (windows.activations - expected) ** 2).sum()) <= _NOTHING:
        return Measure(Quantity.REPETITION, None, absent=Absent.TOKEN_EXPLAINS)
    chance = [abs(correlation(each)) for each in moved]
    return Measure.of(Quantity.REPETITION, correlation(windows.activations), control=max(chance))


def _pairs(windows: _Windows) -> Measure:
    """What the token before explains where the unit's tokens stand, beside the tokens themselves.

    The mean at each pair of tokens, each place left out of its own, against that of each token.
    """
    ids, before = windows.ids[:, 1:].ravel(), windows.ids[:, :-1].ravel()
    activations = windows.activations[:, 1:].ravel()
    at = np.unique(windows.ids[np.arange(len(windows.ids)), windows.activations.argmax(axis=1)])
    chosen = np.isin(ids, at)
    ids, before, activations = ids[chosen], before[chosen], activations[chosen]
    if len(ids) < _FEWEST_PLACES:
        return Measure(Quantity.PAIR_SHARE, None, absent=Absent.FEW_WINDOWS)
    tokens = np.unique(ids, return_inverse=True)[1]
    alone = _left_out(tokens, activations)

    def share(previous: Ints) -> float:
        pairs = np.unique(tokens * (int(before.max()) + 1) + previous, return_inverse=True)[1]
        together = _left_out(pairs, activations, otherwise=alone)
        lost = float(((activations - alone) ** 2).sum())
        return 1.0 - float(((activations - together) ** 2).sum()) / lost

    if float(((activations - alone) ** 2).sum()) <= _NOTHING:
        return Measure(Quantity.PAIR_SHARE, None, absent=Absent.TOKEN_EXPLAINS)
    chance = share(np.roll(before, len(before) // 3))
    return Measure.of(Quantity.PAIR_SHARE, share(before), control=chance)


def _left_out(groups: Ints, values: Floats, otherwise: Floats | None = None) -> Floats:
    """The mean of each place's group without the place; of one alone that of `otherwise` or all."""
    counts, sums = np.bincount(groups), np.bincount(groups, values)
    n = counts[groups]
    rest = np.full(len(values), values.mean()) if otherwise is None else otherwise
    return np.where(n > 1, (sums[groups] - values) / np.maximum(n - 1, 1), rest)


def _continued(records: Sequence[ActivationRecord], side: Side) -> Measure:
    """Share of the exemplars' peaks that go on with a word, against that of all their tokens."""
    if not records:
        return Measure(Quantity.CONTINUED_WORD, None, absent=Absent.FEW_WINDOWS)
    extreme = max if side is Side.POSITIVE else min
    at = [_goes_on(r.tokens, r.activations.index(extreme(r.activations))) for r in records]
    every = [
        _goes_on(r.tokens, place) for r in records for place in range(1, len(r.tokens), _EVERY)
    ]
    return Measure.of(
        Quantity.CONTINUED_WORD, sum(at) / len(at), control=sum(every) / max(1, len(every))
    )


def _goes_on(tokens: Sequence[str], place: int) -> bool:
    return place > 0 and tokens[place - 1][-1:].isalpha() and tokens[place][:1].isalpha()


def _predicted(table: TokenMeans, ids: Ints) -> Floats:
    """What `TokenMeans.predict` gives, for whole arrays."""
    known, means, _ = (np.asarray(column) for column in table.columns())
    size = max(int(ids.max()), int(known.max(initial=0))) + 1
    every = np.full(size, table.overall)
    every[known] = means
    return every[ids]
