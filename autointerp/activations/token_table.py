"""Sums of activations by vocabulary token: the lookup table of every collected unit.

Kept for units that are about to be labelled, over explain tokens only. Its size is units times
the *distinct* tokens of the explain text, so it is bounded by the vocabulary.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from numpy.typing import NDArray
from torch import Tensor

from autointerp.core.records import TokenColumn, TokenMeans, TokenRows

# Fixed point with 32 fraction bits: integer addition does not depend on the order of batches.
_SCALE = float(2**32)


@dataclass(slots=True)
class TokenTable:
    """Sums of ``max(0, sign * a)`` by token for the units of one hook point."""

    types: Int64[Tensor, " type"]
    """Vocabulary ids that occur, ascending."""
    counts: Int64[Tensor, " type"]
    sums: Int64[Tensor, "side type unit"]
    """Fixed point, 32 fraction bits."""
    _seen: _Seen | None = field(default=None, init=False, repr=False, compare=False)
    """The tokens that were seen, made when a unit is first read."""

    def add(
        self,
        tokens: Int64[Tensor, " token"],
        activations: Float[Tensor, "token unit"],
        *,
        real: Bool[Tensor, " token"],
    ) -> None:
        """Adds the real ones of some tokens, which are all among `types`."""
        rows = torch.searchsorted(self.types, tokens)
        # Masked and not selected: how many are real, only the device knows.
        ones = real.to(torch.int64)
        scaled = activations.to(torch.float64).masked_fill(~real[:, None], 0.0).mul_(_SCALE)
        # Both sides first: where memory runs out, nothing has been added.
        halves = [(scaled * sign).clamp_(min=0).round_().to(torch.int64) for sign in (1.0, -1.0)]
        self._seen = None
        self.counts.index_add_(0, rows, ones)
        for side, half in enumerate(halves):
            self.sums[side].index_add_(0, rows, half)

    def merged(self, other: TokenTable) -> TokenTable:
        """One table over the same types; any order of merging."""
        return TokenTable(self.types, self.counts + other.counts, self.sums + other.sums)

    def to(self, device: torch.device) -> TokenTable:
        """The same on a device; without a copy where it is there already."""
        return TokenTable(self.types.to(device), self.counts.to(device), self.sums.to(device))

    def arrays(self) -> dict[str, NDArray[np.int64]]:
        """Every field as an array, for saving."""
        return {
            "types": self.types.cpu().numpy(),
            "counts": self.counts.cpu().numpy(),
            "sums": self.sums.cpu().numpy(),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.int64]]) -> TokenTable:
        """The table whose `arrays` these are."""
        return cls(*(torch.from_numpy(arrays[name].copy()) for name in ("types", "counts", "sums")))

    def means(self, side: int, column: int) -> TokenMeans:
        """The lookup table of one unit; side 0 is positive, 1 negative."""
        seen = self._seen = self._seen or _Seen.of(self.types, self.counts)
        sums = self.sums[side, :, column].cpu().numpy() / _SCALE
        means = array("d", (sums[seen.places] / seen.divisors).tobytes())
        return TokenMeans(
            means=TokenColumn(seen.rows, means),
            counts=TokenColumn(seen.rows, seen.counts),
            overall=float(sums.sum() / max(1, int(seen.divisors.sum()))),
        )


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the lookup tables of all units of a hook point have in common."""

    places: NDArray[np.int64]
    """Of the tokens that were seen among all types."""
    divisors: NDArray[np.int64]
    """How often each of them was."""
    rows: TokenRows
    counts: array[int]
    """The divisors again."""

    @classmethod
    def of(cls, types: Tensor, counts: Tensor) -> _Seen:
        numbers = counts.cpu().numpy()
        places = np.flatnonzero(numbers)
        divisors = numbers[places]
        rows = TokenRows(types.cpu().numpy()[places].tolist())
        return cls(places, divisors, rows, array("q", divisors.tolist()))


def empty_table(types: NDArray[np.int64], n_units: int, device: torch.device) -> TokenTable:
    """A table before any token."""
    ids = torch.from_numpy(np.unique(types)).to(device)
    return TokenTable(
        types=ids,
        counts=torch.zeros(len(ids), dtype=torch.int64, device=device),
        sums=torch.zeros((2, len(ids), n_units), dtype=torch.int64, device=device),
    )
