"""Summaries on disk: one safetensors file, with a JSON manifest in its header."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from autointerp.activations.state import HookState
from autointerp.activations.summary import HookSummary, Summary, SummaryIdentity
from autointerp.activations.token_table import TokenTable
from autointerp.core.errors import InputError, StorageError
from autointerp.core.text import Split

__all__ = ["SCHEMA_VERSION", "load_summary", "save_summary"]

SCHEMA_VERSION = 1
_IDENTITY = TypeAdapter(SummaryIdentity)


class _Manifest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    schema_version: int
    identity: dict[str, object]
    counts: dict[Split, tuple[int, int]]
    shared_windows: dict[Split, list[int]]
    batches: list[tuple[Split, int]]


def save_summary(summary: Summary, path: Path) -> None:
    """Writes a summary so that the file is always a whole one, old or new.

    Raises:
        StorageError: the folder cannot be written; what was there stays.
    """
    tensors: dict[str, Tensor] = {}
    for (hook, split), part in summary.hooks.items():
        for name, tensor in part.state.tensors().items():
            tensors[f"{hook}/{split}/{name}"] = tensor.cpu().contiguous()
    for hook, table in summary.tables.items():
        for name, array in table.arrays().items():
            tensors[f"{hook}/table/{name}"] = torch.from_numpy(np.ascontiguousarray(array))
    try:
        _replace_file(path, tensors, {"autointerp": _manifest(summary).model_dump_json()})
    except (OSError, SafetensorError) as error:
        msg = f"cannot write {path}: {error}; free some space or choose another folder"
        raise StorageError(msg) from error


def _replace_file(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", suffix=".tmp", dir=path.parent)
    os.close(handle)
    try:
        save_file(tensors, name, metadata=metadata)
        with open(name, "rb") as file:  # noqa: PTH123 - the name of a temporary file
            os.fsync(file.fileno())
        os.replace(name, path)
    finally:
        Path(name).unlink(missing_ok=True)


def _manifest(summary: Summary) -> _Manifest:
    counts, shared = {}, {}
    for (_, split), part in summary.hooks.items():
        counts[split] = (part.n_tokens, part.n_windows)
        shared[split] = part.shared_windows.tolist()
    return _Manifest(
        schema_version=SCHEMA_VERSION,
        identity=_IDENTITY.dump_python(summary.identity, mode="json"),
        counts=counts,
        shared_windows=shared,
        batches=sorted(summary.batches),
    )


def load_summary(path: Path) -> Summary:
    """The summary in a file, on the CPU.

    Raises:
        InputError: no such file, not a summary, damaged, or of a newer version.
    """
    if not path.is_file():
        msg = f"there is no summary at {path}"
        raise InputError(msg)
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        manifest = _read_manifest(metadata, path)
        return _assemble(manifest, tensors)
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        msg = f"{path} is not a whole summary ({error}); remove it and collect again"
        raise InputError(msg) from error


def _read_manifest(metadata: dict[str, str], path: Path) -> _Manifest:
    text = metadata["autointerp"]
    version = json.loads(text).get("schema_version")
    if version != SCHEMA_VERSION:
        msg = (
            f"{path} has summary version {version}, this program reads {SCHEMA_VERSION}; "
            "use the version that wrote it, or collect again"
        )
        raise InputError(msg)
    return _Manifest.model_validate_json(text)


def _assemble(manifest: _Manifest, tensors: dict[str, Tensor]) -> Summary:
    identity = _IDENTITY.validate_python(manifest.identity)
    hooks = {}
    for hook, _ in identity.units:
        for split in Split:
            fields = {name: tensors[f"{hook}/{split}/{name}"] for name in _FIELDS}
            n_tokens, n_windows = manifest.counts[split]
            hooks[hook, split] = HookSummary(
                HookState(**fields),
                n_tokens=n_tokens,
                n_windows=n_windows,
                shared_windows=np.array(manifest.shared_windows[split], dtype=np.int64),
            )
    tables = {}
    if identity.token_means:
        for hook, _ in identity.units:
            names = ("types", "counts", "sums")
            tables[hook] = TokenTable(*(tensors[f"{hook}/table/{name}"] for name in names))
    return Summary(identity, hooks, tables, frozenset(manifest.batches))


_FIELDS = tuple(HookState.__dataclass_fields__)
