"""A model's modules once more around the same weights, so that the given model stays as it is."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import torch
from torch import Tensor

from autointerp.subjects.encoders import tensors_digest

_WRAPPED = "_original_component"
"""Name under which TransformerLens keeps the module that it replaced."""


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
    return copy.deepcopy(model, memo).eval()


def _same_weights(tensor: Tensor, device: torch.device) -> Tensor:
    # Quantized weights are of classes of their own, with more in them than their values.
    if type(tensor) not in (Tensor, torch.nn.Parameter):
        return tensor.to(device)
    same = tensor.detach().to(device)
    if isinstance(tensor, torch.nn.Parameter):
        return torch.nn.Parameter(same, requires_grad=tensor.requires_grad)
    return same


def weights_digest(model: torch.nn.Module) -> str:
    """16 hex digits that depend on every parameter and buffer of a model, wrapped or not."""
    return tensors_digest(hashlib.sha256(), _unwrapped(model))


def _unwrapped(model: torch.nn.Module) -> dict[str, Tensor]:
    """The state under the names that it has where nothing is wrapped."""
    inner = getattr(model, "original_model", model)
    modules = dict(inner.named_modules(remove_duplicate=False))
    if not any(map(_wraps, modules.values())):
        return dict(inner.state_dict())
    result = {}
    for name, tensor in torch.nn.Module.state_dict(inner).items():
        *path, leaf = name.split(".")
        owners = [modules[".".join(path[:n])] for n in range(len(path))]
        # What is below a wrapper is there twice: in what it wraps, and under names of its own.
        twice = any(_wraps(o) and p != _WRAPPED for o, p in zip(owners, path, strict=True))
        buffers = modules[".".join(path)]._buffers  # noqa: SLF001
        # An unembedding without a bias is given one of zeros.
        added = leaf == "bias" and leaf in buffers and not tensor.any()
        if not twice and not added:
            result[".".join(part for part in (*path, leaf) if part != _WRAPPED)] = tensor
    return result


def _wraps(module: Any) -> bool:
    return _WRAPPED in module._modules  # noqa: SLF001
