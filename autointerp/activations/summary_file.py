"""A summary's file: what is in it, and one unit of it read without the rest; numpy only.

A safetensors file whose header carries a JSON manifest. Tensors are named
``{hook}/units`` (indices), ``{hook}/{split}/{field of HookState}``, ``{hook}/table/{field}``,
``{split}/shared_windows``, ``{split}/batches``, ``edges/activation`` and ``edges/peak``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from autointerp.activations.kernels import decoding
from autointerp.activations.summary_manifest import (
    METADATA,
    SummaryIdentity,
    SummaryManifest,
    identity_of,
    read_manifest,
    reading,
)
from autointerp.activations.tensor_file import TensorFile
from autointerp.core.errors import InputError
from autointerp.core.one_line import brief_repr
from autointerp.core.text import Split

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]

_NAMED = 3
_SIDED = (
    "active_tokens",
    "active_windows",
    "peak_histogram",
    "top",
    "sample",
    "sample_peaks",
    "shared_peaks",
)
UNIT_AXIS: Mapping[str, int] = {
    **dict.fromkeys(("minimum", "maximum", "histogram"), 0),
    **dict.fromkeys(("total", "squares", *_SIDED), 1),
}
"""Which axis of each field of a `HookState` is the unit."""


@dataclass(frozen=True, slots=True)
class SideSummary:
    """One side of one unit on one split. Peaks are of ``sign * a``."""

    density: float
    """Fraction of tokens on which it is active."""
    window_density: float
    n_active_windows: int
    peak_histogram: Ints
    """Active windows by peak; edges are `LazySummary.peak_edges`."""
    top_windows: Ints
    """Window ids, best first."""
    top_values: Floats
    sampled_windows: Ints
    """A uniform sample of the active windows, random order."""
    sampled_values: Floats
    shared_windows: Ints
    """Windows that all units share."""
    shared_values: Floats

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class UnitSummary:
    """One unit on one split."""

    hook: str
    index: int
    split: Split
    n_tokens: int
    n_windows: int
    mean: float
    variance: float
    minimum: float
    maximum: float
    histogram: Ints
    """Tokens by activation; edges are `LazySummary.histogram_edges`."""
    sides: tuple[SideSummary, SideSummary]
    """Positive, negative."""


class LazySummary:
    """A summary's file, opened: nothing but its manifest is read until it is asked for."""

    def __init__(self, path: Path, file: TensorFile, manifest: SummaryManifest) -> None:
        self.path, self._file, self.manifest = path, file, manifest

    def __repr__(self) -> str:
        subject = self.manifest.identity.get("subject")
        return f"LazySummary({subject}, {len(self.hooks)} hook points, {self.path})"

    @property
    def hooks(self) -> tuple[str, ...]:
        """Hook points in order of layers."""
        return tuple(self.manifest.hooks)

    @cached_property
    def identity(self) -> SummaryIdentity:
        """What it is of; lists every unit, a second's work where there are millions."""
        units = [(hook, self.indices(hook).tolist()) for hook in self.hooks]
        with reading(self.path):
            return identity_of(self.manifest, units)

    @property
    def batches(self) -> frozenset[tuple[Split, int]]:
        """Canonical batches that are in it."""
        return frozenset(
            (split, number) for split in Split for number in self.ints(f"{split}/batches").tolist()
        )

    @property
    def histogram_edges(self) -> Floats:
        """Edges of the bins of activations, infinite at both ends."""
        return self.array("edges/activation")

    @property
    def peak_edges(self) -> Floats:
        """Edges of the bins of peaks, 0 first and infinity last."""
        return self.array("edges/peak")

    def n_tokens(self, split: Split) -> int:
        """Tokens of a split that were read."""
        return self.manifest.counts[split][0]

    def n_windows(self, split: Split) -> int:
        """Windows of a split that were read."""
        return self.manifest.counts[split][1]

    def n_units(self, hook: str) -> int:
        """Units of a hook point."""
        with reading(self.path):
            return len(self._file[f"{hook}/units"])

    def indices(self, hook: str) -> Ints:
        """Unit indices of a hook point, ascending."""
        return self.ints(f"{hook}/units")

    def rows(self, hook: str, indices: Sequence[int]) -> Ints:
        """Rows of these units in the arrays of a hook point.

        Raises:
            InputError: one of them is not in this summary.
        """
        self._check_hook(hook)
        known = self.indices(hook)
        rows = np.searchsorted(known, indices)
        for row, index in zip(rows.tolist(), indices, strict=True):
            if row == len(known) or known[row] != index:
                raise self._no_unit(hook, index, known)
        return rows.astype(np.int64)

    def array(self, name: str) -> NDArray[Any]:
        """A whole tensor of the file, as it is stored and not writable.

        Raises:
            InputError: the name is unknown.
        """
        with reading(self.path):
            return self._file[name]

    def __contains__(self, name: str) -> bool:
        return name in self._file

    def release(self) -> None:
        """Gives back the memory of what was read; arrays stay good."""
        self._file.release()

    def ints(self, name: str) -> Ints:
        """A whole tensor of integers, which are stored narrower than they are meant."""
        return self.array(name).astype(np.int64)

    def unit(self, hook: str, index: int, split: Split) -> UnitSummary:
        """One unit on one split; only its own values are read.

        Raises:
            InputError: it is not in this summary.
        """
        self._check_hook(hook)
        with reading(self.path):
            shared = self._file[f"{split}/shared_windows"]
            indices = self._file[f"{hook}/units"]
            self._file.fetch([shared, indices[:1], indices[-1:]])
            row = self._row(hook, index, indices)
            views = {
                name: _unit_row(self._file[f"{hook}/{split}/{name}"], row, axis)
                for name, axis in UNIT_AXIS.items()
            }
            self._file.fetch(views.values())
            values = {n: _as_meant(view).squeeze(UNIT_AXIS[n]) for n, view in views.items()}
            return self._unit(hook, index, split, values, _as_meant(shared))

    def _unit(
        self, hook: str, index: int, split: Split, values: Mapping[str, Any], shared: Ints
    ) -> UnitSummary:
        n_tokens, n_windows = self.manifest.counts[split]
        positive, negative = (
            _side(values, side, shared, self.manifest.counts[split]) for side in range(2)
        )
        return UnitSummary(
            hook=hook,
            index=index,
            split=split,
            n_tokens=n_tokens,
            n_windows=n_windows,
            mean=float(decoding.mean_of(values["total"], n_tokens)),
            variance=float(decoding.variance_of(values["total"], values["squares"], n_tokens)),
            minimum=float(values["minimum"]),
            maximum=float(values["maximum"]),
            histogram=values["histogram"],
            sides=(positive, negative),
        )

    def _row(self, hook: str, index: int, indices: NDArray[Any]) -> int:
        n, first, last = len(indices), int(indices[0]), int(indices[-1])
        if first <= index <= last:
            if last - first == n - 1:
                return index - first
            row = int(np.searchsorted(indices, index))
            if int(indices[row]) == index:
                return row
        raise self._no_unit(hook, index, indices)

    def _check_hook(self, hook: str) -> None:
        if hook not in self.manifest.hooks:
            more = " and so on" if len(self.hooks) > _NAMED else ""
            there = ", ".join(self.hooks[:_NAMED])
            raise InputError(f"{self.path} has no {hook}; it has {there}{more}")

    def _no_unit(self, hook: str, index: int, indices: NDArray[Any]) -> InputError:
        n, first, last = len(indices), int(indices[0]), int(indices[-1])
        return InputError(
            f"{self.path} has {n} units of {hook} from {first} to {last}, but not unit {index}"
        )


def _side(
    values: Mapping[str, Any], side: int, shared: Ints, counts: tuple[int, int]
) -> SideSummary:
    of = {name: values[name][side] for name in _SIDED}
    top, sample = decoding.ranked(of["top"]), decoding.sampled(of["sample"], of["sample_peaks"])
    seen = decoding.seen(shared, of["shared_peaks"])
    return SideSummary(
        density=float(decoding.share(of["active_tokens"], counts[0])),
        window_density=float(decoding.share(of["active_windows"], counts[1])),
        n_active_windows=int(of["active_windows"]),
        peak_histogram=of["peak_histogram"],
        top_windows=top[0],
        top_values=top[1],
        sampled_windows=sample[0],
        sampled_values=sample[1],
        shared_windows=seen[0],
        shared_values=seen[1],
    )


def _unit_row(tensor: NDArray[Any], row: int, axis: int) -> NDArray[Any]:
    return tensor[row : row + 1] if axis == 0 else tensor[:, row : row + 1]


def _as_meant(view: NDArray[Any]) -> NDArray[Any]:
    return view.astype(np.int64) if view.dtype.kind == "u" else np.array(view)


def open_summary(path: Path) -> LazySummary:
    """The summary in a file, of which only the manifest is read.

    Raises:
        InputError: no such file, not a summary, damaged, or of another version.
        StorageError: it could not be read.
    """
    with reading(path):
        if not path.is_file():
            raise InputError(f"there is no summary at {path}")
        file = TensorFile(path)
        return LazySummary(path, file, read_manifest(file.metadata[METADATA], path))
