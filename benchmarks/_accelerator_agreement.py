"""Whether what a device computed is what the CPU computes.

A device's matrix products differ from the CPU's in last bits, and so would counts. So summaries
are compared on the device's own activations, which the CPU's code sums up as well: counts,
extremes, samples and top windows must be equal, moments nearly. Activations are compared with
those of the same weights on the CPU.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor
from typing_extensions import override

from autointerp.activations import Summary
from autointerp.activations.kernels.decoding import unpack_ranked
from autointerp.activations.summary import HookSummary
from autointerp.subjects import SubjectModel

MOMENTS = 1e-9
"""By how much of the mean square, or of its root, moments may differ: sums in another order."""
ACTIVATIONS = 0.05
"""By how much of their norm activations in bfloat16 may differ: roundings of all layers."""
_COUNTS = ("active_tokens", "active_windows", "histogram", "peak_histogram")
_EXACT = (*_COUNTS, "minimum", "maximum", "sample", "shared_peaks")


class Cpu(SubjectModel):
    """A subject on a device whose activations are copied to the CPU, to be summed up there."""

    def __init__(self, subject: SubjectModel) -> None:
        vars(self).update(vars(subject))
        self._there = subject
        self.device = torch.device("cpu")

    @override
    def read(self, tokens: Int[Tensor, "batch pos"], hooks: Sequence[str], receive: Any) -> None:
        self._there.read(tokens, hooks, lambda hook, acts: receive(hook, acts.cpu()))


def summaries_agree(there: Summary, here: Summary) -> dict[str, Any]:
    """Whether two summaries of the same activations are the same, and what differs."""
    differ: set[str] = set()
    worst = 0.0
    for key, part in there.hooks.items():
        other = here.hooks[key]
        if (part.n_tokens, part.n_windows) != (other.n_tokens, other.n_windows):
            differ.add("numbers of tokens and windows")
        ours, theirs = part.state.tensors(), other.state.tensors()
        differ |= {name for name in _EXACT if not _same(ours[name], theirs[name])}
        if not _same_tops(part, other):
            differ.add("top windows")
        worst = max(worst, _moments_apart(part, other))
    return {
        "agrees": not differ and worst <= MOMENTS,
        "differ": sorted(differ),
        "moments_apart": worst,
        "tolerance": MOMENTS,
    }


def _same(ours: Tensor, theirs: Tensor) -> bool:
    return np.array_equal(ours.numpy(), theirs.numpy(), equal_nan=ours.is_floating_point())


def _same_tops(part: HookSummary, other: HookSummary) -> bool:
    """Equal values, and equal windows wherever a value stands alone among those of its unit."""
    (values, windows), (others, other_windows) = (
        unpack_ranked(p.state.top.numpy()) for p in (part, other)
    )
    if not np.array_equal(values, others, equal_nan=True):
        return False
    tied = np.zeros(values.shape, dtype=bool)
    equal = values[..., 1:] == values[..., :-1]
    tied[..., 1:] |= equal
    tied[..., :-1] |= equal
    # The last may be tied with what did not get in.
    tied[..., -1] = True
    return bool((tied | (windows == other_windows)).all())


def _moments_apart(part: HookSummary, other: HookSummary) -> float:
    square = other.variance + other.mean**2
    scale = np.where(square > 0, square, 1.0)
    apart = np.maximum(
        np.abs(part.mean - other.mean) / np.sqrt(scale),
        np.abs(part.variance - other.variance) / scale,
    )
    return float(np.nan_to_num(apart, nan=0.0).max(initial=0.0)) if part.n_tokens else 0.0


def activations_agree(there: np.ndarray[Any, Any], here: np.ndarray[Any, Any]) -> dict[str, Any]:
    """Whether activations are nearly the same, relative to the norm of those of the CPU."""
    norm = float(np.linalg.norm(here.astype(np.float64)))
    apart = float(np.linalg.norm(there.astype(np.float64) - here)) / (norm or 1.0)
    finite = bool(np.isfinite(there).all())
    return {
        "agrees": finite and apart <= ACTIVATIONS,
        "apart": apart if finite else None,
        "tolerance": ACTIVATIONS,
    }
