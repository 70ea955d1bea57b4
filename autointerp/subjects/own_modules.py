"""A model's modules once more around the same weights, so that the given model stays as it is."""

from __future__ import annotations

import copy
import hashlib
from types import CellType, FunctionType, MethodType
from typing import Any

import torch
from torch import Tensor

from autointerp.subjects.encoders import tensors_digest
from autointerp.subjects.model_facts import NOT_RUN

_WRAPPED = "_original_component"
"""Name under which TransformerLens keeps the module that it replaced."""
_COMPILED = "_orig_mod"
"""Name under which PyTorch keeps the module that it compiled."""
_OF_MODULES = frozenset(vars(torch.nn.Module()))
_NOT_COPIED = (RuntimeError, TypeError)


def own_modules(model: Any, device: torch.device) -> Any:
    """The model once more in evaluation mode, around the same weights; on another device, copies.

    TransformerLens replaces modules, and patches methods, of what it wraps: it gets these, and
    names of parameters, methods and configuration of the given model stay what they are. Weights
    that are loaded into the given model later are seen here as well.
    """
    memo: dict[int, Any] = {}
    for module in model.modules():
        for owned in (module._parameters, module._buffers, vars(module)):  # noqa: SLF001
            for tensor in owned.values():
                if isinstance(tensor, Tensor) and id(tensor) not in memo:
                    memo[id(tensor)] = _same_weights(tensor, device)
    try:
        copied = copy.deepcopy(model, copies := dict(memo))
    except _NOT_COPIED:
        copied = copy.deepcopy(model, copies := memo | _left_as_they_are(model, memo))
    copies |= {id(module): module for module in copied.modules()}
    for module in copied.modules():
        for name, part in module.named_children():
            if hasattr(part, _COMPILED):
                setattr(module, name, getattr(part, _COMPILED))
        if "forward" in vars(module):
            module.forward = _rebound(module.forward, copies)
    return copied.eval()


def _left_as_they_are(model: Any, memo: dict[int, Any]) -> dict[int, Any]:
    """What people keep in modules and hooks that cannot be copied: open files, locks, results."""
    modules = {id(module): module for module in model.modules()}
    stored = {}
    for module in modules.values():
        hooks = [part for name, part in vars(module).items() if name.endswith("_hooks")]
        values = [hook for part in hooks if isinstance(part, dict) for hook in part.values()]
        values += [value for name, value in vars(module).items() if name not in _OF_MODULES]
        for value in values:
            # A method would be copied with what it belongs to.
            owner = getattr(value, "__self__", value)
            try:
                copy.deepcopy(owner, {**memo, **modules})
            except _NOT_COPIED:
                stored[id(owner)] = owner
    return stored


def _rebound(value: Any, copies: dict[int, Any]) -> Any:
    """A forward pass that was put into a module, around the copies of the modules that it runs.

    Functions are not copied with their modules, compiled ones and ones around others among them.
    """
    value = getattr(value, "_torchdynamo_orig_callable", value)
    if id(value) in copies or isinstance(value, MethodType):
        return copy.deepcopy(value, copies)
    if not isinstance(value, FunctionType):
        return value
    cells = tuple(CellType() for _ in value.__closure__ or ())
    result = FunctionType(value.__code__, value.__globals__, value.__name__, None, cells)
    copies[id(value)] = result
    for cell, before in zip(cells, value.__closure__ or (), strict=True):
        cell.cell_contents = _rebound(before.cell_contents, copies)
    result.__defaults__ = tuple(_rebound(part, copies) for part in value.__defaults__ or ())
    named = value.__kwdefaults__ or {}
    result.__kwdefaults__ = {name: _rebound(part, copies) for name, part in named.items()}
    return result


def _same_weights(tensor: Tensor, device: torch.device) -> Tensor:
    # Quantized weights are of classes of their own, with more in them than their values.
    if type(tensor) not in (Tensor, torch.nn.Parameter):
        return tensor.to(device)
    same = tensor.detach().to(device)
    if isinstance(tensor, torch.nn.Parameter):
        trained = tensor.requires_grad and not tensor.is_inference()
        return torch.nn.Parameter(same, requires_grad=trained)
    return same


def weights_digest(model: torch.nn.Module) -> str:
    """16 hex digits that depend on every parameter and buffer of a model, wrapped or not."""
    return tensors_digest(hashlib.sha256(), _unwrapped(model))


def _unwrapped(model: torch.nn.Module) -> dict[str, Tensor]:
    """The state under the names that it has where nothing is wrapped."""
    inner = getattr(model, "original_model", model)
    modules = dict(inner.named_modules(remove_duplicate=False))
    if not any(map(_wraps, modules.values())):
        state = inner.state_dict().items()
        return {name.replace(f"{_COMPILED}.", ""): tensor for name, tensor in state}
    result = {}
    for name, tensor in torch.nn.Module.state_dict(inner).items():
        *path, leaf = name.split(".")
        owners = [modules[".".join(path[:n])] for n in range(len(path))]
        # What is below a wrapper is there twice: in what it wraps, and under names of its own.
        twice = any(_wraps(o) and p != _WRAPPED for o, p in zip(owners, path, strict=True))
        # An unembedding without a bias is given one of zeros.
        ends = leaf == "bias" and not tensor.any() and any(map(_unembeds, owners))
        added = ends and not _has_such_bias(inner, modules[".".join(path)])
        if not twice and not added:
            result[".".join(part for part in (*path, leaf) if part != _WRAPPED)] = tensor
    return result


def _unembeds(module: Any) -> bool:
    return type(module).__name__ == "UnembeddingBridge"


def _has_such_bias(model: Any, unembedding: torch.nn.Module) -> bool:
    """Whether models of this class have an unembedding with a bias.

    TransformerLens 4 adds a buffer, its version 3 a parameter.
    """
    if "bias" in unembedding._buffers:  # noqa: SLF001
        return False
    try:
        with torch.device("meta"):
            head = type(model)(model.config).get_output_embeddings()
    except NOT_RUN:
        return False
    return getattr(head, "bias", None) is not None


def _wraps(module: Any) -> bool:
    return _WRAPPED in module._modules  # noqa: SLF001
