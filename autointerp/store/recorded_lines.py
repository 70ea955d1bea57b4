"""Activations as records keep them: two bytes a token, the greatest ones of a window exact."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from autointerp.core.errors import AutointerpError

FloatArray = npt.NDArray[np.floating[Any]]


class PackedLines(NamedTuple):
    """The activations of windows, on any number of leading axes."""

    peaks: npt.NDArray[np.float32]
    """The greatest activation of each window and, as a positive number, its least; 0 where it
    has none of that sign. Shape (..., 2)."""
    shares: npt.NDArray[np.float16]
    """Each activation over the peak of its sign, -1..1, shape (..., n_tokens)."""


def pack_lines(activations: FloatArray) -> PackedLines:
    """Activations as they are stored, a window along the last axis; finite numbers only.

    Both sides' peaks come back exactly. Any other activation is off by at most 2^-11 of itself
    or 2^-25 of the peak of its sign, whichever is more; order and signs stay as they are, but for
    activations that become equal or 0. Windows of fewer tokens may be filled with zeros.
    """
    lines = np.asarray(activations, dtype=np.float32)
    above, below = np.maximum(lines.max(-1, initial=0), 0), np.maximum(-lines.min(-1, initial=0), 0)
    shares = lines / _scales(above, below, lines)
    return PackedLines(np.stack((above, below), -1), shares.astype(np.float16))


def unpack_lines(packed: PackedLines) -> npt.NDArray[np.float32]:
    """The activations, shape (..., n_tokens); packing them again changes nothing."""
    shares = packed.shares.astype(np.float32)
    return shares * _scales(packed.peaks[..., 0], packed.peaks[..., 1], shares)


def as_recorded(activations: FloatArray) -> npt.NDArray[np.float32]:
    """The activations as they come back from a store.

    Whatever reads activations for records gives these, so that a label is the same whether its
    records come from the model or from a store.
    """
    return unpack_lines(pack_lines(activations))


def pack_activations(lines: Sequence[Sequence[float]]) -> tuple[bytes, bytes]:
    """Peaks and shares of windows, of any lengths, as bytes.

    Raises:
        AutointerpError: one is not finite.
    """
    lengths = np.array([len(line) for line in lines], dtype=np.int64)[:, None]
    used = np.arange(lengths.max(initial=0))[None, :] < lengths
    activations = np.zeros(used.shape, dtype=np.float32)
    with np.errstate(over="ignore"):
        activations[used] = np.fromiter(chain.from_iterable(lines), float)
    if not np.isfinite(activations).all():
        raise AutointerpError("an activation that is to be stored is not finite")
    packed = pack_lines(activations)
    shares = packed.shares[used].astype("<f2").view(np.uint8).reshape(-1, 2)
    # Signs and exponents are alike, so they lie side by side.
    return packed.peaks.astype("<f4").tobytes(), shares.T.tobytes()


def _scales(
    above: npt.NDArray[np.float32], below: npt.NDArray[np.float32], lines: FloatArray
) -> npt.NDArray[np.float32]:
    """The peak that each activation is stored as a share of; 1 where there is nothing to share."""
    scales = np.where(lines > 0, above[..., None], below[..., None])
    return np.where(scales > 0, scales, np.float32(1))
