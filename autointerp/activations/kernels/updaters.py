"""Adding batches to the states of a hook point: by compiled code on the CPU, or on any device."""

from __future__ import annotations

from typing import Protocol

import numba
import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor
from typing_extensions import override

from autointerp.activations.kernels.cpu_arrays import Arrays, BatchArrays
from autointerp.activations.kernels.cpu_kernel import MAX_PENDING, add_units, flush_units
from autointerp.activations.kernels.encoding import N_BINS, N_SIGNED_BINS, unit_seeds
from autointerp.activations.kernels.hook_state import (
    HookState,
    WindowBatch,
    merge_states,
    update_state,
)

LARGEST = 2.0**20
"""Sums of squares are kept in 62 bits; no working model's activations come near this."""

# What is not zero takes several times as long one by one as among others.
_SPARSE = 0.9


class ImpossibleActivationError(Exception):
    """An activation is NaN, infinite or beyond `LARGEST`; never leaves this package."""


class Updater(Protocol):
    """Adds batches to the states of one hook point."""

    def add(
        self,
        state: HookState,
        activations: Float[Tensor, "batch pos unit"],
        batch: WindowBatch,
        *,
        threshold: float,
    ) -> HookState:
        """The state with a batch in it; the one given may be changed.

        Raises:
            ImpossibleActivationError: an activation is NaN, infinite or too large; the state is
                spoilt. It may also come from `settle`.
        """

    def settle(self) -> None:
        """Brings what is still on its way into the state that was added to last."""


class CpuUpdater(Updater):
    """Adds batches to the state of one hook point, as `state.update_state` does.

    Counts of the histograms reach the state with `settle`, or when another state's turn comes.
    """

    def __init__(self, units: Int64[Tensor, " unit"]) -> None:
        self._units = units
        n = len(units)
        self._tokens = np.zeros((n, N_SIGNED_BINS), np.uint16)
        self._peaks = np.zeros((2, n, N_BINS + 1), np.uint16)
        self._state: HookState | None = None
        self._arrays: Arrays | None = None
        self._n_pending = 0

    @override
    def add(
        self,
        state: HookState,
        activations: Float[Tensor, "batch pos unit"],
        batch: WindowBatch,
        *,
        threshold: float,
    ) -> HookState:
        arrays = self._arrays_of(state, batch.salt)
        acts = activations
        if acts.dtype not in {torch.float32, torch.bfloat16}:
            acts = acts.to(torch.float32)
        if acts.stride(2) != 1:
            acts = acts.contiguous()
        rows = max(1, MAX_PENDING // acts.shape[1])
        for first in range(0, len(acts), rows):
            part = slice(first, first + rows)
            n_tokens = int(batch.lengths[part].sum())
            if self._n_pending + n_tokens > MAX_PENDING:
                self._flush(state)
            self._n_pending += n_tokens
            self._add_rows(arrays, acts[part], batch, part, threshold)
        return state

    @override
    def settle(self) -> None:
        if self._state is not None:
            self._flush(self._state)

    def _arrays_of(self, state: HookState, salt: str) -> Arrays:
        if self._arrays is None or state is not self._state:
            self.settle()
            self._state = state
            fields = state.tensors()
            stored = {
                name: fields[name].numpy()
                for name in Arrays._fields
                if name not in {"tokens", "peaks", "seeds"}
            }
            seeds = torch.stack([unit_seeds(self._units, salt=f"{salt}/{side}") for side in (0, 1)])
            self._arrays = Arrays(
                **stored, tokens=self._tokens, peaks=self._peaks, seeds=seeds.numpy()
            )
        return self._arrays

    def _add_rows(
        self, arrays: Arrays, acts: Tensor, batch: WindowBatch, part: slice, threshold: float
    ) -> None:
        window_stride, pos_stride, _ = acts.stride()
        n = (acts.shape[0] - 1) * window_stride + (acts.shape[1] - 1) * pos_stride + acts.shape[2]
        # One flat view without gaps in memory, though BOS positions are skipped in it.
        flat = acts.as_strided((n,), (1,), acts.storage_offset())
        narrow = flat.dtype is torch.bfloat16
        given = BatchArrays(
            flat.view(torch.int16 if narrow else torch.int32).numpy(),
            window_stride,
            pos_stride,
            batch.lengths[part].numpy(),
            int(batch.windows[part.start]),
            batch.shared_columns[part].numpy(),
            np.float32(threshold),
            _mostly_zero(acts),
        )
        if not add_units(arrays, given, as_many_threads_as_torch()) <= LARGEST:
            raise ImpossibleActivationError

    def _flush(self, state: HookState) -> None:
        as_many_threads_as_torch()
        flush_units(self._tokens, state.histogram.numpy())
        for side in range(2):
            flush_units(self._peaks[side], state.peak_histogram[side].numpy())
        self._n_pending = 0


class DeviceUpdater(Updater):
    """Adds batches on any device, without waiting for it before `settle`.

    The state that is given to `add` stays as it was, also where memory runs out.
    """

    def __init__(self, units: Int64[Tensor, " unit"]) -> None:
        self._units = units
        self._impossible = torch.zeros((), dtype=torch.bool, device=units.device)

    @override
    def add(
        self,
        state: HookState,
        activations: Float[Tensor, "batch pos unit"],
        batch: WindowBatch,
        *,
        threshold: float,
    ) -> HookState:
        alone = state.emptied()
        update_state(alone, activations, batch, units=self._units, threshold=threshold)
        valid = batch.valid(activations.shape[1])[..., None]
        merged = merge_states(state, alone)
        self._impossible |= (~(activations.abs() <= LARGEST) & valid).any()
        return merged

    @override
    def settle(self) -> None:
        if bool(self._impossible):
            raise ImpossibleActivationError


def as_many_threads_as_torch() -> int:
    """How many threads compiled code takes from now on.

    Both take them from one pool, which is made anew, for milliseconds, at each change of its size.
    """
    wanted = torch.get_num_threads()
    n_threads = min(wanted, int(numba.config.NUMBA_NUM_THREADS))  # type: ignore[attr-defined]
    numba.set_num_threads(n_threads)
    # Numba starts its threads here, and makes torch take as many as there are processors.
    if torch.get_num_threads() != wanted:
        torch.set_num_threads(wanted)
    return n_threads


def _mostly_zero(activations: Float[Tensor, "batch pos unit"]) -> bool:
    """Whether most are zero, by the middle token of the first window."""
    one = activations[0, activations.shape[1] // 2]
    return int((one == 0).sum()) > _SPARSE * len(one)
