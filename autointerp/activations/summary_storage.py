"""Summaries between memory and disk; `summary_file` says what is in a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from autointerp.activations.kernels.encoding import bin_edges, signed_edges
from autointerp.activations.kernels.hook_state import HookState, empty_state
from autointerp.activations.summary import HookSummary, Summary
from autointerp.activations.summary_file import LazySummary, open_summary
from autointerp.activations.summary_manifest import (
    METADATA,
    SCHEMA_VERSION,
    SummaryManifest,
    identity_json,
    reading,
)
from autointerp.activations.tensor_file import write_tensors
from autointerp.activations.token_table import TokenTable
from autointerp.core.config import CollectConfig
from autointerp.core.files import replacing
from autointerp.core.text import Split

_TABLE = ("types", "counts", "sums")


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


def load_summary(path: Path) -> Summary:
    """The summary in a file, on the CPU.

    Raises:
        InputError: no such file, not a summary, damaged, or of another version.
    """
    file = open_summary(path)
    with reading(path):
        _check_bins(file)
        identity, tables = file.identity, {}
        hooks = {
            (hook, split): _hook(file, hook, split, identity.config)
            for hook in file.hooks
            for split in Split
        }
        if identity.token_means:
            for hook in file.hooks:
                arrays = {name: file.ints(f"{hook}/table/{name}") for name in _TABLE}
                tables[hook] = TokenTable.from_arrays(arrays)
        message = file.manifest
        return Summary(
            identity, hooks, tables, file.batches, message.n_batches, frozenset(message.shards)
        )


def _check_bins(file: LazySummary) -> None:
    pairs = ((file.histogram_edges, signed_edges()), (file.peak_edges, bin_edges()))
    if not all(np.array_equal(there, here) for there, here in pairs):
        raise ValueError("its histograms have other bins")


def _hook(file: LazySummary, hook: str, split: Split, config: CollectConfig) -> HookSummary:
    windows = file.ints(f"{split}/shared_windows")
    # Shapes and types alone: tensors on this device hold nothing.
    nothing = torch.device("meta")
    empty = empty_state(file.n_units(hook), config, nothing, n_shared=len(windows))
    tensors = {}
    for name, like in empty.tensors().items():
        full = f"{hook}/{split}/{name}"
        # A copy, as wide as it is in memory.
        tensors[name] = torch.from_numpy(np.array(file.array(full))).to(like.dtype)
        if tensors[name].shape != like.shape:
            msg = f"{full} has the shape {tuple(tensors[name].shape)}, not {tuple(like.shape)}"
            raise ValueError(msg)
    return HookSummary(
        HookState(**tensors),
        n_tokens=file.n_tokens(split),
        n_windows=file.n_windows(split),
        shared_windows=windows,
    )
