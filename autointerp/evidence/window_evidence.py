"""What windows say of one side of a unit beside what activates it: position, context, repetition.

Held-out windows with their weights stand for all held-out text. What each number is read against
is the most that it comes to where each window's activations are moved along it, each by another
part of its length, which leaves everything but their place as it was.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

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
    means: Floats
    """Of the activations, shape (window,)."""
    squares: Floats
    """Mean squares of the activations, shape (window,)."""
    weights: Floats
    """Shape (window,)."""
    inside: NDArray[np.bool_]
    """Which of them begin inside a document."""
    shifts: Ints
    """By how much each window's activations are moved along it, shape (turn, window); not at all
    in the first turn."""

    @classmethod
    def of(cls, records: Sequence[ActivationRecord], side: Side) -> _Windows | None:
        """Those of the commonest length; None where there are too few."""
        length = max((len(record.token_ids) for record in records), default=0)
        whole = [record for record in records if len(record.token_ids) == length]
        if len(whole) < _FEWEST_WINDOWS or length < 2:
            return None
        activations = side.sign * _rows([record.activations for record in whole], "d")
        # In parts of the peak: nothing here depends on the unit, and rounding is told by its size.
        peak = max(float(activations.max()), 1e-300)
        activations = np.maximum(activations / peak, 0.0)
        return cls(
            _rows([record.token_ids for record in whole], "q"),
            activations,
            peak,
            activations.mean(axis=1),
            (activations**2).mean(axis=1),
            np.array([record.weight for record in whole]),
            np.array([record.offset > 0 for record in whole]),
            _shifts(len(whole), length),
        )


def _rows(rows: Sequence[Sequence[float]], code: str) -> NDArray[Any]:
    """Rows of one length as an array of doubles (``d``) or whole numbers (``q``)."""
    # Packed a row at a time they are read in a third of the time that numpy takes.
    pack = struct.Struct(f"{len(rows[0])}{code}").pack
    return np.frombuffer(b"".join([pack(*row) for row in rows]), code).reshape(len(rows), -1)


@lru_cache(maxsize=64)
def _shifts(n: int, length: int) -> Ints:
    # Multiples of the golden ratio are spread evenly, whatever the number of windows.
    turns = np.arange(_N_CHANCE + 1)[:, None]
    return (np.arange(1, n + 1) * _GOLDEN * turns % 1.0 * length).astype(np.int64)


class TableRows:
    """Where tokens stand in the tables of units, made once for tables of the same tokens."""

    def __init__(self) -> None:
        self._tokens: object = None
        self._rows: Ints = np.zeros(1, dtype=np.int64)

    def predicted(self, table: TokenMeans, ids: Ints) -> Floats:
        """What `TokenMeans.predict` gives, for whole arrays."""
        tokens, means, _ = table.columns()
        if self._tokens is not tokens:
            known = np.asarray(tokens)
            # One more stands for all tokens beyond the largest that is known.
            self._rows = np.full(int(known.max(initial=0)) + 2, len(known))
            self._rows[known] = np.arange(len(known))
            self._tokens = tokens
        rows = self._rows[np.minimum(ids, len(self._rows) - 1)]
        return np.append(means, table.overall)[rows]


def window_evidence(
    sets: UnitSets, table: TokenMeans, rows: TableRows | None = None
) -> Iterator[Measure]:
    """In the order of `Quantity`; the table is of the side's mean activation at each token.

    Units of one subject model may share what finds their tokens in their tables.
    """
    side, rows = sets.held_out.side, rows or TableRows()
    windows = _Windows.of(sets.held_out.records, side)
    if windows is None or not windows.activations.any():
        reason = Absent.FEW_WINDOWS if windows is None else Absent.CONSTANT
        for quantity in (
            *(Quantity.POSITION_SHARE, Quantity.POSITION_PEAK, Quantity.WINDOW_SHARE),
            *(Quantity.REPETITION, Quantity.PAIR_SHARE),
        ):
            yield Measure(quantity, None, absent=reason)
    else:
        yield from _positions(windows)
        yield _between(windows)
        yield _repetition(windows, rows.predicted(table, windows.ids) / windows.peak)
        yield _pairs(windows)
    yield _continued(sets.explain.activating, side)


def _positions(windows: _Windows) -> Iterator[Measure]:
    from autointerp.evidence.compiled_windows import mean_lines  # noqa: PLC0415

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
    average = float(weights @ windows.means[kept])
    total = float(weights @ windows.squares[kept]) - average**2
    lines = mean_lines(windows.activations[kept], weights, windows.shifts[:, kept])
    means = np.add.reduceat(lines, starts, axis=1) / sizes
    spreads = (means - average) ** 2 @ sizes / length
    own, *moved = (spreads / total if total > _NOTHING else np.zeros_like(spreads)).tolist()
    yield Measure.of(Quantity.POSITION_SHARE, own, control=max(moved))
    best = int(means[0].argmax())
    if average > 0:
        yield Measure.of(
            Quantity.POSITION_PEAK, float(starts[best]), control=float(means[0, best]) / average
        )
    else:
        yield Measure(Quantity.POSITION_PEAK, None, absent=Absent.CONSTANT)


def _between(windows: _Windows) -> Measure:
    """Share of the variance that lies between windows; alone by chance one over their length."""
    weights = windows.weights / windows.weights.sum()
    overall = float(weights @ windows.means)
    total = float(weights @ windows.squares) - overall**2
    between = float(weights @ (windows.means - overall) ** 2)
    length = windows.ids.shape[1]
    if total <= _NOTHING:
        return Measure(Quantity.WINDOW_SHARE, None, absent=Absent.CONSTANT)
    return Measure.of(Quantity.WINDOW_SHARE, between / total, control=1.0 / length)


def _repetition(windows: _Windows, expected: Floats) -> Measure:
    """Correlation of having stood in the window before with what the token does not explain.

    Where a token stands decides both whether it can have stood there and much else.
    """
    from autointerp.evidence.compiled_windows import correlations_left  # noqa: PLC0415

    shares = windows.weights / windows.weights.sum() / windows.ids.shape[1]
    left = windows.activations - expected
    if float(shares @ (left * left).sum(axis=1)) <= _NOTHING:
        return Measure(Quantity.REPETITION, None, absent=Absent.TOKEN_EXPLAINS)
    both, sizes = correlations_left(
        windows.ids, windows.activations, expected, shares, windows.shifts
    )
    pairs = zip(both.tolist(), sizes.tolist(), strict=True)
    own, *moved = [one / size**0.5 if size > _NOTHING else 0.0 for one, size in pairs]
    return Measure.of(Quantity.REPETITION, own, control=max(map(abs, moved)))


def _pairs(windows: _Windows) -> Measure:
    """What the token before explains where the unit's tokens stand, beside the tokens themselves.

    The mean at each pair of tokens, each place left out of its own, against that of each token.
    """
    from autointerp.evidence.compiled_windows import pair_errors  # noqa: PLC0415

    n_places, alone, together, chance = pair_errors(windows.ids, windows.activations)
    if n_places < _FEWEST_PLACES:
        return Measure(Quantity.PAIR_SHARE, None, absent=Absent.FEW_WINDOWS)
    if alone <= _NOTHING:
        return Measure(Quantity.PAIR_SHARE, None, absent=Absent.TOKEN_EXPLAINS)
    return Measure.of(Quantity.PAIR_SHARE, 1 - together / alone, control=1 - chance / alone)


def _continued(records: Sequence[ActivationRecord], side: Side) -> Measure:
    """Share of the exemplars' peaks that go on with a word, against that of all their tokens."""
    if not records:
        return Measure(Quantity.CONTINUED_WORD, None, absent=Absent.FEW_WINDOWS)
    extreme = max if side is Side.POSITIVE else min
    at = every = n_every = 0
    for record in records:
        tokens, place = record.tokens, record.activations.index(extreme(record.activations))
        at += _go_on(tokens[max(0, place - 1) : place], tokens[place : place + 1])
        every += _go_on(tokens[::_EVERY], tokens[1::_EVERY])
        n_every += len(tokens[1::_EVERY])
    return Measure.of(Quantity.CONTINUED_WORD, at / len(records), control=every / max(1, n_every))


def _go_on(before: Sequence[str], tokens: Sequence[str]) -> int:
    """How many of the tokens go on with the word of the one before them."""
    pairs = zip(before, tokens, strict=False)
    return sum(one[-1:].isalpha() and two[:1].isalpha() for one, two in pairs)
