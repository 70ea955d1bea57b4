"""Adding batches to states on any device, without ever waiting for it."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from autointerp.activations.checks import LARGEST, ImpossibleActivationError
from autointerp.activations.state import HookState, WindowBatch, merge_states, update_state


class DeviceUpdater:
    """Adds batches to the states of one hook point; what cannot be shows in `settle`."""

    def __init__(self, units: Int64[Tensor, " unit"]) -> None:
        self._units = units
        self._impossible = torch.zeros((), dtype=torch.bool, device=units.device)

    def add(
        self,
        state: HookState,
        activations: Float[Tensor, "batch pos unit"],
        batch: WindowBatch,
        *,
        threshold: float,
    ) -> HookState:
        """Another state with the batch in it; the one given is whole if memory runs out."""
        alone = state.emptied()
        update_state(alone, activations, batch, units=self._units, threshold=threshold)
        valid = batch.valid(activations.shape[1])[..., None]
        merged = merge_states(state, alone)
        self._impossible |= (~(activations.abs() <= LARGEST) & valid).any()
        return merged

    def settle(self) -> None:
        """Waits for the device, once.

        Raises:
            ImpossibleActivationError: a batch since the last time held what cannot be.
        """
        if bool(self._impossible):
            raise ImpossibleActivationError
