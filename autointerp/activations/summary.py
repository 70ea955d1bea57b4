"""What collection leaves behind: a mergeable summary of every chosen unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce
from html import escape
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from autointerp.activations.kernels import decoding
from autointerp.activations.kernels.encoding import signed_edges
from autointerp.activations.kernels.hook_state import HookState, merge_states
from autointerp.activations.summary_manifest import SummaryIdentity
from autointerp.activations.token_table import TokenTable
from autointerp.core.errors import InputError
from autointerp.core.notebook_html import table_html
from autointerp.core.text import Split

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

_MOST_ROWS = 20


@dataclass(frozen=True, slots=True, eq=False)
class HookSummary:
    """Statistics of the units of one hook point; arrays have one row a unit, in index order.

    Everything is over real text tokens: BOS and padding are excluded.
    """

    state: HookState
    n_tokens: int
    n_windows: int
    shared_windows: Ints
    """Ids of the windows sampled for all units, shape (r,)."""

    def __repr__(self) -> str:
        n_units = len(self.state.minimum)
        return (
            f"HookSummary({n_units:,} units, {self.n_tokens:,} tokens, {self.n_windows:,} windows)"
        )

    @property
    def mean(self) -> Floats:
        """Mean activation, float64, shape (n_units,)."""
        return decoding.mean_of(_numpy(self.state.total), self.n_tokens)

    @property
    def variance(self) -> Floats:
        """Population variance, float64, shape (n_units,)."""
        total, squares = _numpy(self.state.total), _numpy(self.state.squares)
        return decoding.variance_of(total, squares, self.n_tokens)

    @property
    def minimum(self) -> Floats:
        """Smallest activation, shape (n_units,)."""
        return _numpy(self.state.minimum)

    @property
    def maximum(self) -> Floats:
        """Largest activation, shape (n_units,)."""
        return _numpy(self.state.maximum)

    @property
    def density(self) -> Floats:
        """Fraction of tokens above the threshold, shape (n_units,)."""
        return self.side_density(0)

    def side_density(self, side: int) -> Floats:
        """Fraction of tokens on which side 0 (positive) or 1 (negative) is active."""
        return decoding.share(_numpy(self.state.active_tokens[side]), self.n_tokens)

    def window_density(self, side: int) -> Floats:
        """Fraction of windows on which a side is active."""
        return decoding.share(_numpy(self.state.active_windows[side]), self.n_windows)

    def active_windows(self, side: int) -> Ints:
        """Windows on which a side is active, shape (n_units,)."""
        return _numpy(self.state.active_windows[side])

    @property
    def histogram(self) -> Ints:
        """Tokens by activation, shape (n_units, n_bins); edges are `histogram_edges`."""
        return _numpy(self.state.histogram)

    @property
    def histogram_edges(self) -> Floats:
        """Edges of the histogram, shape (n_bins + 1,); infinite at both ends."""
        return signed_edges()

    def peak_histogram(self, side: int) -> Ints:
        """Active windows by peak, shape (n_units, N_BINS)."""
        return _numpy(self.state.peak_histogram[side])

    @property
    def top_values(self) -> Floats:
        """Peaks of the top windows, descending, shape (n_units, top_k); NaN where too few."""
        return decoding.unpack_ranked(_numpy(self.state.top[0]))[0]

    @property
    def top_windows(self) -> Ints:
        """Ids of the top windows, shape (n_units, top_k); -1 where there are too few."""
        return decoding.unpack_ranked(_numpy(self.state.top[0]))[1]

    @property
    def bottom_values(self) -> Floats:
        """Minima of the bottom windows, ascending, shape (n_units, top_k); NaN where too few."""
        return -decoding.unpack_ranked(_numpy(self.state.top[1]))[0]

    @property
    def bottom_windows(self) -> Ints:
        """Ids of the bottom windows, shape (n_units, top_k); -1 where there are too few."""
        return decoding.unpack_ranked(_numpy(self.state.top[1]))[1]

    def ranked(self, side: int, unit: int) -> tuple[Ints, Floats]:
        """(windows, peaks of the side) of the top windows of one unit, best first."""
        return decoding.ranked(_numpy(self.state.top[side, unit]))

    def sampled(self, side: int, unit: int) -> tuple[Ints, Floats]:
        """(windows, peaks) of the uniform sample of active windows of one unit, random order."""
        keys = _numpy(self.state.sample[side, unit])
        return decoding.sampled(keys, _numpy(self.state.sample_peaks[side, unit]))

    def shared(self, side: int, unit: int) -> tuple[Ints, Floats]:
        """(windows, peaks of ``sign * a``) of one unit on the windows shared by all units."""
        return decoding.seen(self.shared_windows, _numpy(self.state.shared_peaks[side, unit]))

    def on_cpu(self) -> HookSummary:
        """The same on the CPU."""
        return replace(self, state=self.state.to(torch.device("cpu")))

    def merged(self, other: HookSummary) -> HookSummary:
        """Both together; the same bits in either order."""
        return replace(
            self,
            state=merge_states(self.state, other.state),
            n_tokens=self.n_tokens + other.n_tokens,
            n_windows=self.n_windows + other.n_windows,
        )


@dataclass(frozen=True, slots=True)
class Summary(Mapping[str, HookSummary]):
    """Summaries of every hook point, by split; as a mapping, over all splits together."""

    identity: SummaryIdentity
    hooks: Mapping[tuple[str, Split], HookSummary]
    tables: Mapping[str, TokenTable]
    """Token lookup tables by hook point, over explain tokens; empty where none was kept."""
    batches: frozenset[tuple[Split, int]]
    """Canonical batches that were added."""
    n_batches: Mapping[Split, int] = field(default_factory=dict)
    """Canonical batches of the whole corpus, by split; empty where nobody said."""
    shards: frozenset[tuple[int, int]] = frozenset()
    """(i, n), 1-based, of the shards in it: {(1, 1)} where they are all there."""

    def __repr__(self) -> str:
        units = self.identity.units
        n_units = sum(len(indices) for _, indices in units)
        return (
            f"Summary({self.identity.subject}, {n_units:,} units of {len(units)} hook points, "
            f"{len(self.batches):,} batches)"
        )

    def _repr_html_(self) -> str:
        rows = [
            (hook, f"{len(indices):,}", f"{self[hook].n_tokens:,}")
            for hook, indices in self.identity.units[:_MOST_ROWS]
        ]
        more = len(self.identity.units) - len(rows)
        table = table_html(("hook point", "units", "tokens"), rows, more=more)
        return f"<div><b>Summary of {escape(self.identity.subject)}</b>{table}</div>"

    @property
    def whole(self) -> bool:
        """Whether every batch of the corpus is in it."""
        return bool(self.n_batches) and len(self.batches) == sum(self.n_batches.values())

    def __getitem__(self, hook: str) -> HookSummary:
        parts = [s for (name, _), s in sorted(self.hooks.items()) if name == hook]
        if not parts:
            raise KeyError(hook)
        return _over_splits(parts)

    def __iter__(self) -> Iterator[str]:
        return (hook for hook, _ in self.identity.units)

    def __len__(self) -> int:
        return len(self.identity.units)

    def on_cpu(self) -> Summary:
        """The same on the CPU, where summaries of any origin can be merged."""
        return replace(
            self,
            hooks={key: hook.on_cpu() for key, hook in self.hooks.items()},
            tables={n: table.to(torch.device("cpu")) for n, table in self.tables.items()},
        )

    def split(self, hook: str, split: Split) -> HookSummary:
        """One hook point on one split."""
        return self.hooks[hook, split]

    def indices(self, hook: str) -> tuple[int, ...]:
        """Unit indices of the rows of a hook point's arrays."""
        return dict(self.identity.units)[hook]


def _over_splits(parts: Sequence[HookSummary]) -> HookSummary:
    # Columns of shared windows belong to their split; side by side they can be merged.
    windows = np.concatenate([part.shared_windows for part in parts])
    widened = []
    for place, part in enumerate(parts):
        columns = [
            part.state.shared_peaks if other == place else _unseen(parts[other], part)
            for other in range(len(parts))
        ]
        state = replace(part.state, shared_peaks=torch.cat(columns, dim=2))
        widened.append(replace(part, state=state, shared_windows=windows))
    return reduce(HookSummary.merged, widened)


def _unseen(other: HookSummary, part: HookSummary) -> Tensor:
    sides, units, _ = part.state.shared_peaks.shape
    shape = (sides, units, other.state.shared_peaks.shape[2])
    return torch.full(shape, torch.nan, device=part.state.shared_peaks.device)


def merge_summaries(summaries: Sequence[Summary]) -> Summary:
    """One summary of all the text; the same bits for any order and any split into shards.

    Raises:
        InputError: none given; or they differ in what was collected, or share a batch.
    """
    if not summaries:
        raise InputError("there is nothing to merge: no summary was given")
    return reduce(_merge_two, summaries)


def _merge_two(a: Summary, b: Summary) -> Summary:
    differences = a.identity.differences(b.identity)
    if differences:
        raise InputError(f"these summaries cannot be merged, they differ in {differences}")
    twice = a.batches & b.batches
    if twice:
        split, number = min(twice)
        msg = f"batch {number} of the {split} split is in both summaries; merge each shard once"
        raise InputError(msg)
    merged = Summary(
        identity=a.identity,
        hooks={key: a.hooks[key].merged(b.hooks[key]) for key in a.hooks},
        tables={hook: a.tables[hook].merged(b.tables[hook]) for hook in a.tables},
        batches=a.batches | b.batches,
        n_batches=a.n_batches or b.n_batches,
        shards=a.shards | b.shards,
    )
    # All shards together are what one pass gives, however many there were.
    return replace(merged, shards=frozenset({(1, 1)})) if merged.whole else merged


def _numpy(tensor: Tensor) -> NDArray[Any]:
    return np.asarray(tensor.cpu().numpy())
