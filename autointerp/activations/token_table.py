"""Sums of activations by vocabulary token: the lookup table of every collected unit.

Kept for units that are about to be labelled, over explain tokens only. Its size is units times
the *distinct* tokens of the explain text, so it is bounded by the vocabulary.
"""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32, Int64
from numpy.typing import NDArray
from torch import Tensor

from autointerp.activations.kernels.own_pages import zeros_in_own_pages
from autointerp.core.one_line import brief_repr
from autointerp.core.records import TokenColumn, TokenMeans, TokenRows
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus

# Fixed point with 32 fraction bits: integer addition does not depend on the order of batches.
_SCALE = float(2**32)
_AT_ONCE = 256
"""Tokens that are added in one go on the CPU."""
TABLE = ("types", "counts", "once", "sums", "single")
"""Names of a table's arrays."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenCounts:
    """How often tokens occur in a text."""

    ids: NDArray[np.int64]
    """Distinct vocabulary ids, ascending."""
    counts: NDArray[np.int64]
    """Of each."""

    @property
    def n_once(self) -> int:
        """How many occur once."""
        return int((self.counts <= 1).sum())


@dataclass(slots=True)
class TokenTable:
    """Sums of ``max(0, sign * a)`` by token for the units of one hook point.

    Of a token that occurs once in the text, as most do, the activation itself is kept, which takes
    a quarter of the bytes of two sums.
    """

    types: Int64[Tensor, " type"]
    """Vocabulary ids that occur, ascending."""
    counts: Int64[Tensor, " type"]
    """How often each was added."""
    once: Bool[Tensor, " type"]
    """Which of them occur at most once in the whole text."""
    sums: Int64[Tensor, "side repeated unit"]
    """Of the others. Fixed point, 32 fraction bits."""
    single: Float32[Tensor, "once unit"]
    """Activations of those that occur once, 0 before they came."""
    _seen: _Seen | None = field(default=None, init=False, repr=False, compare=False)
    """The tokens that were seen, made when a unit is first read."""

    __repr__ = brief_repr

    def add(
        self,
        tokens: Int64[Tensor, " token"],
        activations: Float[Tensor, "token unit"],
        *,
        real: Bool[Tensor, " token"],
    ) -> None:
        """Adds the real ones of some tokens, which are all among `types`."""
        all_rows = self._rows
        if tokens.device.type != "cpu":
            self._add_part(all_rows, tokens, activations, real)
            return
        # Sums are made in float64 and on both sides: of all tokens at once that is many times a
        # batch, which the allocator keeps. A device's memory may run out, and then nothing is
        # to be added.
        for first in range(0, len(tokens), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            self._add_part(all_rows, tokens[part], activations[part], real[part])

    def _add_part(
        self, all_rows: Tensor, tokens: Tensor, activations: Tensor, real: Tensor
    ) -> None:
        types = torch.searchsorted(self.types, tokens)
        rows = all_rows[types]
        places, values = _chosen(rows, activations, real & (rows < 0))
        single = ((-1 - places).clamp_(min=0), values.to(torch.float32))
        places, values = _chosen(rows, activations, real & (rows >= 0))
        scaled = values.to(torch.float64).mul_(_SCALE)
        # Both sides first: where memory runs out, nothing has been added.
        halves = [(scaled * sign).clamp_(min=0).round_().to(torch.int64) for sign in (1.0, -1.0)]
        self._seen = None
        self.counts.index_add_(0, types, real.to(torch.int64))
        if len(self.single):
            self.single.index_add_(0, *single)
        if self.sums.shape[1]:
            for side, half in enumerate(halves):
                self.sums[side].index_add_(0, places.clamp_(min=0), half)

    @property
    def _rows(self) -> Int64[Tensor, " type"]:
        """Row of each type in `sums`; of those that occur once ``-1 - row`` in `single`."""
        n_once = self.once.cumsum(0)
        all_rows = torch.arange(len(n_once), device=n_once.device)
        return torch.where(self.once, -n_once, all_rows - n_once)

    def merged(self, other: TokenTable) -> TokenTable:
        """One table over the same types; any order of merging."""
        if not torch.equal(self.once, other.once):
            return self._summed().merged(other._summed())
        return TokenTable(
            self.types,
            self.counts + other.counts,
            self.once,
            self.sums + other.sums,
            self.single + other.single,
        )

    def _summed(self) -> TokenTable:
        """The same with sums of every type, as an earlier version kept it."""
        n_units = self.single.shape[1]
        sums = self.sums.new_zeros((2, len(self.types), n_units))
        sums[:, ~self.once] = self.sums
        for side, sign in enumerate((1.0, -1.0)):
            exact = self.single.to(torch.float64) * (sign * _SCALE)
            sums[side, self.once] = exact.clamp_(min=0).round_().to(torch.int64)
        never = torch.zeros_like(self.once)
        return TokenTable(self.types, self.counts, never, sums, self.single[:0])

    def to(self, device: torch.device) -> TokenTable:
        """The same on a device; without a copy where it is there already."""
        return TokenTable(**{name: tensor.to(device) for name, tensor in self._tensors().items()})

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Every field as an array, for saving."""
        arrays = {name: tensor.cpu().numpy() for name, tensor in self._tensors().items()}
        return arrays | {"once": arrays["once"].astype(np.int64)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[Any]]) -> TokenTable:
        """The table whose `arrays` these are; an earlier version kept sums alone."""
        types, counts, sums = (
            torch.from_numpy(arrays[name].astype(np.int64)) for name in ("types", "counts", "sums")
        )
        if "once" not in arrays:
            never = torch.zeros(len(types), dtype=torch.bool)
            return cls(types, counts, never, sums, torch.zeros(0, sums.shape[2]))
        once = torch.from_numpy(arrays["once"].astype(bool))
        return cls(types, counts, once, sums, torch.from_numpy(np.array(arrays["single"])))

    def means(self, side: int, column: int) -> TokenMeans:
        """The lookup table of one unit; side 0 is positive, 1 negative."""
        seen = self._seen = self._seen or _Seen.of(self)
        sums = np.empty(len(self.types))
        sums[seen.repeated] = self.sums[side, :, column].cpu().numpy()
        single = self.single[:, column].cpu().numpy() * (_SCALE if side == 0 else -_SCALE)
        sums[seen.once] = np.rint(np.maximum(single, 0.0))
        sums /= _SCALE
        means = array("d", (sums[seen.places] / seen.divisors).tobytes())
        return TokenMeans(
            means=TokenColumn(seen.rows, means),
            counts=TokenColumn(seen.rows, seen.counts),
            overall=float(sums.sum() / max(1, int(seen.divisors.sum()))),
        )

    def _tensors(self) -> dict[str, Tensor]:
        return {name: getattr(self, name) for name in TABLE}


def _chosen(
    rows: Int64[Tensor, " token"],
    activations: Float[Tensor, "token unit"],
    wanted: Bool[Tensor, " token"],
) -> tuple[Tensor, Tensor]:
    """What is wanted of rows and activations, or all of them with zeros in place of the rest."""
    if rows.device.type == "cpu":
        return rows[wanted], activations[wanted]
    # How many are wanted, only the device knows: it would have to be waited for.
    return rows.masked_fill(~wanted, 0), activations.masked_fill(~wanted[:, None], 0.0)


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the lookup tables of all units of a hook point have in common."""

    repeated: NDArray[np.int64]
    """Places among all types of those that have sums."""
    once: NDArray[np.int64]
    """Places of the others."""
    places: NDArray[np.int64]
    """Of the tokens that were seen."""
    divisors: NDArray[np.int64]
    """How often each of them was."""
    rows: TokenRows
    counts: array[int]
    """The divisors again."""

    @classmethod
    def of(cls, table: TokenTable) -> _Seen:
        numbers, once = table.counts.cpu().numpy(), table.once.cpu().numpy()
        places = np.flatnonzero(numbers)
        divisors = numbers[places]
        rows = TokenRows(table.types.cpu().numpy()[places].tolist())
        counts = array("q", divisors.tolist())
        return cls(np.flatnonzero(~once), np.flatnonzero(once), places, divisors, rows, counts)


def explain_types(corpus: TokenCorpus) -> TokenCounts:
    """How often tokens occur in the explain text: the rows of token lookup tables."""
    ids = corpus.window_ids(Split.EXPLAIN)
    counts = np.zeros(1, dtype=np.int64)
    for first in range(ids.start, ids.stop, 1024):
        tokens, lengths = corpus.batch(range(first, min(first + 1024, ids.stop)))
        real = tokens[np.arange(tokens.shape[1]) < lengths[:, None]]
        added = np.bincount(real.astype(np.int64), minlength=len(counts))
        added[: len(counts)] += counts
        counts = added
    # What fills up short windows is looked for in the table, too.
    counts[0] = max(1, counts[0])
    occurring = np.flatnonzero(counts)
    return TokenCounts(occurring, counts[occurring])


def empty_table(types: TokenCounts, n_units: int, device: torch.device) -> TokenTable:
    """A table before any token; memory depends on how often tokens occur, too."""
    once, n_once = torch.from_numpy(types.counts <= 1), types.n_once
    sums = (2, len(once) - n_once, n_units)
    return TokenTable(
        types=torch.from_numpy(types.ids).to(device),
        counts=torch.zeros(len(once), dtype=torch.int64, device=device),
        once=once.to(device),
        sums=zeros_in_own_pages(sums, torch.int64, device),
        single=zeros_in_own_pages((n_once, n_units), torch.float32, device),
    )
