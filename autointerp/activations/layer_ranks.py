"""How many units of a hook point are larger where a unit peaks in a window."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from numba import njit
from numpy.typing import NDArray
from torch import Tensor

from autointerp.statistics.compiled.compilation import CACHED

_MOST = 65_535
_AT_ONCE = 2**22
"""Numbers that are compared at a time."""


def n_larger_at_peaks(
    activations: Float[Tensor, "pos unit"], units: NDArray[np.int64]
) -> NDArray[np.uint16]:
    """Units with a larger activation, in size, where each of some is largest and where least.

    Shape (len(units), 2), the positive side first; 65,535 stands for as many or more. Activations
    of one sign or the other count alike: gated neurons have either.
    """
    if activations.device.type != "cpu":
        return counted_by_torch(activations, units)
    return np.asarray(_counted(activations.to(torch.float32).numpy(), units))


def counted_by_torch(
    activations: Float[Tensor, "pos unit"], units: NDArray[np.int64]
) -> NDArray[np.uint16]:
    """As `n_larger_at_peaks`, on any device."""
    values = activations.to(torch.float32)
    sizes, parts = values.abs(), [torch.zeros((0, 2), dtype=torch.int64, device=values.device)]
    n = max(1, _AT_ONCE // sizes.shape[1])
    # A window that tens of thousands of latents ask for would take gigabytes at once.
    for first in range(0, len(units), n):
        columns = torch.from_numpy(units[first : first + n]).to(values.device)
        chosen, counts = values.index_select(1, columns), []
        for at in (chosen.argmax(dim=0), chosen.argmin(dim=0)):
            own = sizes[at, columns]
            counts.append((sizes[at] > own[:, None]).sum(dim=1).clamp(max=_MOST))
        parts.append(torch.stack(counts, dim=1))
    return torch.cat(parts).cpu().numpy().astype(np.uint16)


@njit(nogil=True, cache=CACHED)
def _counted(values: NDArray[np.float32], units: NDArray[np.int64]) -> NDArray[np.uint16]:
    n_tokens, n_units = values.shape
    result = np.zeros((len(units), 2), np.uint16)
    for place in range(len(units)):
        unit = units[place]
        highest = lowest = 0
        for token in range(1, n_tokens):
            if values[token, unit] > values[highest, unit]:
                highest = token
            if values[token, unit] < values[lowest, unit]:
                lowest = token
        for side in range(2):
            at = highest if side == 0 else lowest
            own = abs(values[at, unit])
            n = np.int32(0)
            for other in range(n_units):
                n += np.int32(abs(values[at, other]) > own)
            result[place, side] = min(int(n), _MOST)
    return result
