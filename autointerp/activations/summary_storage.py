"""Summaries between memory and disk; `summary_file` says what is in a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from autointerp.activations.kernels.encoding import bin_edges, signed_edges
from autointerp.activations.kernels.hook_state import HookState, empty_state
from autointerp.activations.summary import HookSummary, Summary
from autointerp.activations.summary_file import UNIT_AXIS, LazySummary, open_summary
from autointerp.activations.summary_manifest import (
    METADATA,
    SCHEMA_VERSION,
    SummaryIdentity,
    SummaryManifest,
    identity_json,
    reading,
)
from autointerp.activations.tensor_file import write_tensors
from autointerp.activations.token_table import TABLE, TokenTable
from autointerp.core.config import CollectConfig
from autointerp.core.files import replacing
from autointerp.core.text import Split

_K = TypeVar("_K")
_V = TypeVar("_V")
Rows = NDArray[np.int64] | None
"""Rows of a hook point's arrays; None for all of them."""


def save_summary(summary: Summary, path: Path) -> None:
    """Writes a summary so that the file is always a whole one, old or new.

    Raises:
        StorageError: the folder cannot be written; what was there stays.
    """
    arrays = _arrays(summary)
    with replacing(path) as temporary:
        write_tensors(temporary, arrays, {METADATA: _manifest(summary).model_dump_json()})


def _arrays(summary: Summary) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        "edges/activation": signed_edges(),
        "edges/peak": bin_edges(),
    }
    for hook, indices in summary.identity.units:
        arrays[f"{hook}/units"] = np.array(indices, dtype=np.int64)
    for (hook, split), part in summary.hooks.items():
        arrays[f"{split}/shared_windows"] = part.shared_windows
        for name, tensor in part.state.tensors().items():
            arrays[f"{hook}/{split}/{name}"] = tensor.cpu().contiguous().numpy()
    for split in Split:
        numbers = sorted(number for s, number in summary.batches if s == split)
        arrays[f"{split}/batches"] = np.array(numbers, dtype=np.int64)
    for hook, table in summary.tables.items():
        for name, array in table.arrays().items():
            arrays[f"{hook}/table/{name}"] = np.ascontiguousarray(array)
    return arrays


def _manifest(summary: Summary) -> SummaryManifest:
    return SummaryManifest(
        schema_version=SCHEMA_VERSION,
        identity=identity_json(summary.identity),
        hooks=list(summary),
        counts={split: (p.n_tokens, p.n_windows) for (_, split), p in summary.hooks.items()},
        n_batches=dict(summary.n_batches),
        shards=sorted(summary.shards),
    )


def load_summary(path: Path, *, units: Mapping[str, Sequence[int]] | None = None) -> Summary:
    """The summary in a file, on the CPU; of some units alone where they are named.

    The units are ascending indices by hook point, in order of layers. What is read of them is what
    collecting them alone would have given.

    Raises:
        InputError: no such file, not a summary, damaged, of another version, or without one of the
            units.
        StorageError: it could not be read.
    """
    file = open_summary(path)
    rows = None if units is None else {hook: file.rows(hook, units[hook]) for hook in units}
    with reading(path):
        _check_bins(file)
        identity, tables = _identity_of(file.identity, units), {}
        named: Mapping[str, Rows] = dict.fromkeys(file.hooks) if rows is None else rows
        hooks: dict[tuple[str, Split], HookSummary] = {}
        for hook, own in named.items():
            for split in Split:
                hooks[hook, split] = _hook(file, hook, split, identity.config, own)
            file.release()
        if identity.token_means:
            for hook, own in named.items():
                tables[hook] = _table(file, hook, own)
                file.release()
        message = file.manifest
        return Summary(
            identity, hooks, tables, file.batches, message.n_batches, frozenset(message.shards)
        )


def summary_by_hook(path: Path) -> Summary:
    """The summary in a file, of which one hook point at a time is in memory.

    Raises:
        InputError: as `load_summary`, also later, where what is read then is damaged.
        StorageError: it could not be read.
    """
    file = open_summary(path)
    with reading(path):
        _check_bins(file)
        identity, manifest = file.identity, file.manifest
    part = partial(_hook_part, file, identity.config)
    return Summary(
        identity,
        _Latest([(hook, split) for hook in file.hooks for split in Split], part, len(Split)),
        _Latest(file.hooks if identity.token_means else (), partial(_table_of, file), 1),
        file.batches,
        manifest.n_batches,
        frozenset(manifest.shards),
    )


class _Latest(Mapping[_K, _V]):
    """Values that are loaded when they are asked for; those asked for last are kept."""

    def __init__(self, keys: Sequence[_K], load: Callable[[_K], _V], n_kept: int) -> None:
        self._keys, self._load = dict.fromkeys(keys), lru_cache(n_kept)(load)

    def __getitem__(self, key: _K) -> _V:
        if key not in self._keys:
            raise KeyError(key)
        return self._load(key)

    @override
    def __contains__(self, key: object) -> bool:
        return key in self._keys

    def __iter__(self) -> Iterator[_K]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)


def _hook_part(file: LazySummary, config: CollectConfig, key: tuple[str, Split]) -> HookSummary:
    with reading(file.path):
        part = _hook(file, *key, config, None)
    file.release()
    return part


def _table_of(file: LazySummary, hook: str) -> TokenTable:
    with reading(file.path):
        table = _table(file, hook, None)
    file.release()
    return table


def _identity_of(
    whole: SummaryIdentity, units: Mapping[str, Sequence[int]] | None
) -> SummaryIdentity:
    if units is None:
        return whole
    return replace(
        whole,
        units=tuple((hook, tuple(indices)) for hook, indices in units.items()),
        encoders=tuple(encoder for encoder in whole.encoders if encoder[0] in units),
    )


def _table(file: LazySummary, hook: str, rows: Rows) -> TokenTable:
    names = [name for name in TABLE if f"{hook}/table/{name}" in file]
    arrays = {name: file.array(f"{hook}/table/{name}") for name in names}
    if rows is not None:
        # Before it is widened: a table of all units may be gigabytes.
        arrays |= {name: arrays[name][..., rows] for name in ("sums", "single") if name in arrays}
    return TokenTable.from_arrays(arrays)


def _check_bins(file: LazySummary) -> None:
    pairs = ((file.histogram_edges, signed_edges()), (file.peak_edges, bin_edges()))
    if not all(np.array_equal(there, here) for there, here in pairs):
        raise ValueError("its histograms have other bins")


def _hook(
    file: LazySummary, hook: str, split: Split, config: CollectConfig, rows: Rows
) -> HookSummary:
    windows = file.ints(f"{split}/shared_windows")
    # Shapes and types alone: tensors on this device hold nothing.
    nothing = torch.device("meta")
    n_units = file.n_units(hook) if rows is None else len(rows)
    empty = empty_state(n_units, config, nothing, n_shared=len(windows))
    tensors = {}
    for name, like in empty.tensors().items():
        full = f"{hook}/{split}/{name}"
        stored = file.array(full)
        if rows is not None:
            stored = stored.take(rows, UNIT_AXIS[name])
        # A copy, as wide as it is in memory.
        tensors[name] = torch.from_numpy(np.array(stored)).to(like.dtype)
        if tensors[name].shape != like.shape:
            msg = f"{full} has the shape {tuple(tensors[name].shape)}, not {tuple(like.shape)}"
            raise ValueError(msg)
    return HookSummary(
        HookState(**tensors),
        n_tokens=file.n_tokens(split),
        n_windows=file.n_windows(split),
        shared_windows=windows,
    )
