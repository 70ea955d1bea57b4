"""What is kept of the units of one hook point while text streams by: a mergeable state.

Every field is updated by an operation that is commutative and associative to the bit (integer
addition, minimum, maximum, top-k of distinct keys), so that any order of canonical batches and
any split of them over processes give the same state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Float32, Int64
from torch import Tensor

from autointerp.activations.kernels.decoding import EMPTY_RANK
from autointerp.activations.kernels.encoding import (
    EMPTY_PRIORITY,
    add_fixed,
    bin_of,
    priority_keys,
    signed_bin_of,
    to_fixed,
    value_keys,
)
from autointerp.activations.kernels.own_pages import zeros_in_own_pages
from autointerp.activations.kernels.state_shapes import FLOATS, state_shapes
from autointerp.core.config import CollectConfig
from autointerp.core.one_line import brief_repr

_SIDES = (1.0, -1.0)
_BEGINS: Mapping[str, float] = {
    "minimum": torch.inf,
    "maximum": -torch.inf,
    "top": EMPTY_RANK,
    "sample": EMPTY_PRIORITY,
    "sample_peaks": torch.nan,
    "shared_peaks": torch.nan,
}
"""Fields that hold something else than zeros before any text."""


@dataclass(frozen=True, slots=True)
class WindowBatch:
    """The windows whose activations are being added; all of one split."""

    windows: Int64[Tensor, " batch"]
    """Window ids, consecutive."""
    lengths: Int64[Tensor, " batch"]
    """Real tokens of each window; the rest is padding."""
    shared_columns: Int64[Tensor, " batch"]
    """Column of each window among the split's shared windows, -1 for the others."""
    salt: str
    """Names hook point, split and seed: decides the random order of windows."""

    def valid(self, n_pos: int) -> Tensor:
        """Which positions hold real tokens, bool of shape (batch, pos)."""
        return torch.arange(n_pos, device=self.lengths.device) < self.lengths[:, None]


@dataclass(slots=True)
class HookState:
    """State of the chosen units of one hook point on one split; updated in place.

    The axis ``side`` is positive, then negative. Counts are exact.
    """

    total: Int64[Tensor, "2 unit"]
    """Sum of activations, fixed point."""
    squares: Int64[Tensor, "2 unit"]
    """Sum of squared activations, fixed point."""
    minimum: Float32[Tensor, " unit"]
    maximum: Float32[Tensor, " unit"]
    active_tokens: Int64[Tensor, "side unit"]
    """Tokens on which the side is above the threshold."""
    active_windows: Int64[Tensor, "side unit"]
    """Windows whose peak on the side is above the threshold."""
    histogram: Int64[Tensor, "unit signed_bin"]
    """Tokens by activation."""
    peak_histogram: Int64[Tensor, "side unit bin"]
    """Activating windows by their peak on the side."""
    top: Int64[Tensor, "side unit k"]
    """Value keys of the windows with the greatest peaks of ``sign * a``, best first."""
    sample: Int64[Tensor, "side unit s"]
    """Priority keys of a uniform sample of activating windows, smallest first."""
    sample_peaks: Float32[Tensor, "side unit s"]
    shared_peaks: Float32[Tensor, "side unit r"]
    """Peak of ``sign * a`` on each shared window; NaN until the window has come."""

    __repr__ = brief_repr

    def tensors(self) -> dict[str, Tensor]:
        """Every field by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def emptied(self) -> HookState:
        """A state of the same shape before any text."""
        n_units, n_shared = self.minimum.shape[0], self.shared_peaks.shape[2]
        config = CollectConfig(top_k=self.top.shape[2], sample_size=self.sample.shape[2])
        return empty_state(n_units, config, self.minimum.device, n_shared=n_shared)

    def to(self, device: torch.device) -> HookState:
        """The same on a device; without a copy where it is there already."""
        return HookState(**{name: tensor.to(device) for name, tensor in self.tensors().items()})


def empty_state(
    n_units: int, config: CollectConfig, device: torch.device, *, n_shared: int
) -> HookState:
    """The state before any text: the neutral element of merging.

    `n_shared` windows of the split are shared by all units.
    """
    made = {}
    for name, shape in state_shapes(n_units, config, n_shared=n_shared).items():
        dtype = torch.float32 if name in FLOATS else torch.int64
        tensor = zeros_in_own_pages(shape, dtype, device)
        made[name] = tensor.fill_(_BEGINS[name]) if name in _BEGINS else tensor
    return HookState(**made)


def update_state(
    state: HookState,
    activations: Float[Tensor, "batch pos unit"],
    batch: WindowBatch,
    *,
    units: Int64[Tensor, " unit"],
    threshold: float,
) -> None:
    """Adds one batch's activations to a state of the same units, in place.

    Activations are finite and of any float type; moments are summed in float64. Each unit's index
    at its hook point decides the random order of windows; a side is active above the threshold.
    """
    acts = activations.to(torch.float32)
    # Masks and not selections: shapes stay fixed, and the host never waits for the device.
    padding = ~batch.valid(acts.shape[1])[..., None]
    _add_moments(state, acts, padding, threshold)
    for side, sign in enumerate(_SIDES):
        padded = (acts * sign).masked_fill_(padding, -torch.inf)
        # Adding zero turns -0.0 into 0.0: which of the two a maximum gives is left open.
        _add_peaks(state, (padded.amax(1) + 0.0).T.contiguous(), batch, side, units, threshold)


def _add_moments(
    state: HookState,
    acts: Float32[Tensor, "batch pos unit"],
    padding: Bool[Tensor, "batch pos 1"],
    threshold: float,
) -> None:
    rows = acts.masked_fill(padding, 0.0).flatten(0, 1)
    exact = rows.to(torch.float64)
    state.total = add_fixed(state.total, to_fixed(exact.sum(0)))
    state.squares = add_fixed(state.squares, to_fixed(exact.square().sum(0)))
    low, high = (acts.masked_fill(padding, end) for end in (torch.inf, -torch.inf))
    state.minimum = torch.minimum(state.minimum, low.amin((0, 1)) + 0.0)
    state.maximum = torch.maximum(state.maximum, high.amax((0, 1)) + 0.0)
    # The threshold is not negative, so the zeros of padding are on neither side.
    state.active_tokens[0] += (rows > threshold).sum(0)
    state.active_tokens[1] += (rows < -threshold).sum(0)
    real = (~padding).expand_as(acts).flatten(0, 1).to(torch.int64)
    state.histogram.scatter_add_(1, signed_bin_of(rows).T, real.T)


def _add_peaks(  # noqa: PLR0917 - one side of one batch, called from one place
    state: HookState,
    peaks: Float32[Tensor, "unit batch"],
    batch: WindowBatch,
    side: int,
    units: Int64[Tensor, " unit"],
    threshold: float,
) -> None:
    active = peaks > threshold
    state.active_windows[side] += active.sum(1)
    state.peak_histogram[side].scatter_add_(1, bin_of(peaks), active.to(torch.int64))
    state.top[side] = _best(
        torch.cat((state.top[side], value_keys(peaks, batch.windows)), 1), state
    )
    keys = priority_keys(units, batch.windows, salt=f"{batch.salt}/{side}")
    keys = keys.masked_fill(~active, EMPTY_PRIORITY)
    _keep_sample(state, side, keys, peaks)
    n_shared = state.shared_peaks.shape[2]
    # Windows that are not shared go to a column of their own, which is dropped.
    columns = torch.where(batch.shared_columns < 0, n_shared, batch.shared_columns)
    widened = torch.nn.functional.pad(state.shared_peaks[side], (0, 1))
    state.shared_peaks[side] = widened.index_copy_(1, columns, peaks)[:, :n_shared]


def _best(keys: Int64[Tensor, "unit n"], state: HookState) -> Int64[Tensor, "unit k"]:
    return keys.topk(state.top.shape[2], dim=1).values


def _keep_sample(
    state: HookState, side: int, keys: Int64[Tensor, "unit n"], peaks: Float32[Tensor, "unit n"]
) -> None:
    keys = torch.cat((state.sample[side], keys), 1)
    peaks = torch.cat((state.sample_peaks[side], peaks), 1)
    state.sample[side], places = keys.topk(state.sample.shape[2], dim=1, largest=False)
    chosen = peaks.gather(1, places)
    empty = state.sample[side] == EMPTY_PRIORITY
    state.sample_peaks[side] = chosen.masked_fill(empty, torch.nan)


def merge_states(a: HookState, b: HookState) -> HookState:
    """One state for the windows of both, which must be different windows; any order."""
    merged = HookState(**{name: tensor.clone() for name, tensor in a.tensors().items()})
    merged.total = add_fixed(a.total, b.total)
    merged.squares = add_fixed(a.squares, b.squares)
    merged.minimum = torch.minimum(a.minimum, b.minimum)
    merged.maximum = torch.maximum(a.maximum, b.maximum)
    add: Callable[[Tensor, Tensor], Tensor] = torch.add
    for name in ("active_tokens", "active_windows", "histogram", "peak_histogram"):
        setattr(merged, name, add(getattr(a, name), getattr(b, name)))
    merged.shared_peaks = torch.where(torch.isnan(a.shared_peaks), b.shared_peaks, a.shared_peaks)
    for side in range(2):
        merged.top[side] = _best(torch.cat((a.top[side], b.top[side]), 1), a)
        _keep_sample(merged, side, b.sample[side], b.sample_peaks[side])
    return merged
