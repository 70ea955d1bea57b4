"""Windows with predictions, one by one and many together."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import overload

import numpy as np
from numpy.typing import NDArray

from autointerp.core.errors import InputError
from autointerp.core.identity_cache import cached_by_identity

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ScoredWindow:
    """One judged window: what is true of its tokens, and what was predicted."""

    real: tuple[float, ...]
    """Real activations, model units, shape (n_tokens,). A numpy array is taken too."""
    predicted: tuple[float, ...]
    """Predicted ones, any unit, the same shape."""
    stratum: str
    """Name of the stratum that the window was drawn from."""
    weight: float
    """Windows that it stands for; within a stratum only the proportions count."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "real", _finite(self.real, "real"))
        object.__setattr__(self, "predicted", _finite(self.predicted, "predicted"))
        if len(self.real) != len(self.predicted):
            raise InputError(
                f"a window has {len(self.real)} real and {len(self.predicted)} predicted values; "
                "give one prediction a token"
            )
        if not (math.isfinite(self.weight) and self.weight > 0):
            msg = f"a window's weight must be positive and finite, found {self.weight!r}"
            raise InputError(msg)


@dataclass(frozen=True, slots=True, eq=False)
class ScoredWindows(Sequence[ScoredWindow]):
    """Several judged windows, their tokens one after another: sums need no loop over them."""

    real: Floats
    """Real activations, model units, shape (n_tokens,)."""
    predicted: Floats
    """Predicted ones, any unit, the same shape."""
    lengths: NDArray[np.int64]
    """Tokens of each window."""
    strata: tuple[str, ...]
    """Name of each window's stratum."""
    weights: tuple[float, ...]
    """Windows that each stands for; within a stratum only the proportions count."""
    order: tuple[int, ...] | None = None
    """Where each stood before they were sorted by their keys; None where they are not."""

    @classmethod
    def of(cls, windows: Sequence[ScoredWindow]) -> ScoredWindows:
        """The windows together, in the order given."""
        if isinstance(windows, ScoredWindows):
            return windows
        return cls(
            joined([window.real for window in windows]),
            joined([window.predicted for window in windows]),
            np.array([len(window.real) for window in windows], dtype=np.int64),
            tuple(window.stratum for window in windows),
            tuple(window.weight for window in windows),
        )

    @classmethod
    def checked(
        cls,
        real: Sequence[Sequence[float]],
        predicted: Sequence[Sequence[float]],
        strata: Iterable[str],
        weights: Iterable[float],
    ) -> ScoredWindows:
        """What a `ScoredWindow` of each would give.

        Raises:
            InputError: as a window's.
        """
        values = joined(real)
        result = cls(
            values,
            values if predicted is real else joined(predicted),
            np.array([len(values) for values in real], dtype=np.int64),
            tuple(strata),
            tuple(weights),
        )
        fine = (
            all(len(a) == len(b) for a, b in zip(real, predicted, strict=True))
            and all(math.isfinite(weight) and weight > 0 for weight in result.weights)
            and bool(np.isfinite(result.real).all() and np.isfinite(result.predicted).all())
        )
        if not fine:
            for row in zip(real, predicted, result.strata, result.weights, strict=True):
                ScoredWindow(tuple(row[0]), tuple(row[1]), *row[2:])
        return result

    @overload
    def __getitem__(self, index: int) -> ScoredWindow: ...
    @overload
    def __getitem__(self, index: slice) -> ScoredWindows: ...
    def __getitem__(self, index: int | slice) -> ScoredWindow | ScoredWindows:
        """One window, or some of them together."""
        if isinstance(index, slice):
            return self.taken(range(len(self))[index])
        real, predicted = self._parts()[index]
        return ScoredWindow(
            tuple(real.tolist()), tuple(predicted.tolist()), self.strata[index], self.weights[index]
        )

    def __len__(self) -> int:
        return len(self.lengths)

    def keys(self) -> list[tuple[str, float, bytes, bytes]]:
        """Everything in each window, to sort by.

        Windows in that order give the same bits whatever their order was; and as predictions
        come last, two that were made on the same windows are resampled alike.
        """
        parts = zip(self.strata, self.weights, self._parts(), strict=True)
        return [(name, w, real.tobytes(), message.tobytes()) for name, w, (real, message) in parts]

    def same_windows(self, other: ScoredWindows) -> bool:
        """Whether the other's differ in nothing but what was predicted, in the same order."""
        return (self.strata, self.weights) == (other.strata, other.weights) and (
            self.lengths.tobytes() == other.lengths.tobytes()
            and self.real.tobytes() == other.real.tobytes()
        )

    def in_order(self) -> ScoredWindows:
        """The windows sorted by their keys."""
        if self.order is not None:
            return self
        keys = self.keys()
        order = sorted(range(len(keys)), key=keys.__getitem__)
        return replace(self.taken(order), order=tuple(order))

    def predicting(self, predicted: Floats) -> ScoredWindows:
        """The windows with these predictions, in order."""
        known = _sorted(self)
        if known is None:
            return replace(self, predicted=predicted).in_order()
        return replace(known[0], predicted=predicted[known[1]])

    def taken(self, places: Sequence[int]) -> ScoredWindows:
        """The windows at those places, in that order."""
        own = np.array(places, dtype=np.int64)
        tokens = self.tokens(own)
        return ScoredWindows(
            self.real[tokens],
            self.predicted[tokens],
            self.lengths[own],
            tuple(self.strata[i] for i in places),
            tuple(self.weights[i] for i in places),
        )

    def tokens(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Places of the tokens of the windows at those places."""
        lengths = self.lengths[places]
        shift = (np.cumsum(self.lengths) - self.lengths)[places] - (np.cumsum(lengths) - lengths)
        return np.asarray(np.repeat(shift, lengths) + np.arange(lengths.sum()))

    def rectified(self, sign: int) -> ScoredWindows:
        """With ``max(0, sign * a)`` for the real activations; never a negative zero."""
        return replace(self, real=np.maximum(0.0, sign * self.real) + 0.0)

    def _parts(self) -> list[tuple[Floats, Floats]]:
        ends = np.cumsum(self.lengths).tolist()
        starts = [0, *ends[:-1]]
        return [(self.real[a:b], self.predicted[a:b]) for a, b in zip(starts, ends, strict=False)]


@cached_by_identity(16)
def _sorted(windows: ScoredWindows) -> tuple[ScoredWindows, NDArray[np.int64]] | None:
    """The windows in order and where their tokens were; None where predictions decide on it."""
    every = windows.keys()
    keys = [key[:3] for key in every]
    if len(set(keys)) < len(keys):
        return None
    order = sorted(range(len(keys)), key=keys.__getitem__)
    tokens = windows.tokens(np.array(order, dtype=np.int64))
    return replace(windows.taken(order), order=tuple(order)), tokens


def joined(rows: Sequence[Sequence[float]]) -> Floats:
    """All values, one row after the other."""
    return np.fromiter(itertools.chain.from_iterable(rows), np.float64, sum(map(len, rows)))


def _finite(values: Sequence[float], what: str) -> tuple[float, ...]:
    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        msg = f"the {what} values of a window must be numbers, found {values!r:.80}"
        raise InputError(msg) from error
    if array.ndim != 1:
        msg = f"the {what} values of a window must be a flat list, found shape {array.shape}"
        raise InputError(msg)
    wrong = np.flatnonzero(~np.isfinite(array))
    if len(wrong):
        msg = f"{what} value {wrong[0]} (0-based) of a window is {array[wrong[0]]}, not finite"
        raise InputError(msg)
    return tuple(array.tolist())
