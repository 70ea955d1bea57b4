"""Which layers have MLP neurons: told by how a layer is built, whatever its class is called."""

from __future__ import annotations

from typing import Any

from torch import nn

NEURON_HOOKS = ("mlp.hook_pre", "mlp.hook_pre_linear", "mlp.hook_mid", "mlp.hook_post")
"""Hook points whose coordinates are neurons, in a layer that has some."""


def inner(part: Any) -> Any:
    """A part of a bridge, out of TransformerLens' wrapping; None where there is none."""
    return getattr(part, "original_component", part)


def mlp_of(bridge: Any, layer: int) -> Any:
    """The MLP of a layer as TransformerLens wraps it; None where there is none."""
    blocks = getattr(bridge, "blocks", None)
    return None if blocks is None else getattr(blocks[layer], "mlp", None)


def has_experts(part: Any) -> bool:
    """Whether a module is a mixture of experts: it holds several alike, stacked or in a list."""
    if not isinstance(part, nn.Module):
        return False
    return any(_stacked(module) or _listed(module) for module in part.modules())


def _stacked(module: nn.Module) -> bool:
    """Weights of several experts in one tensor; a convolution's have three axes too."""
    own = module.parameters(recurse=False)
    convolution = isinstance(module, nn.modules.conv._ConvNd)  # noqa: SLF001
    return not convolution and any(weights.ndim == 3 and weights.shape[0] > 1 for weights in own)


def _listed(module: nn.Module) -> bool:
    if not isinstance(module, nn.ModuleList | nn.ModuleDict):
        return False
    shapes = [tuple((n, p.shape) for n, p in each.named_parameters()) for each in module.children()]
    return len(shapes) > 1 and len(set(shapes)) == 1 and any(len(s) == 2 for _, s in shapes[0])


def no_neurons(bridge: Any, hook: str) -> str | None:
    """Why a hook point of an MLP's neurons has none in this layer; None where it has some.

    TransformerLens gives a mixture of experts the same names, for what enters and leaves it.
    """
    _, layer, kind = hook.split(".", 2)
    if kind not in NEURON_HOOKS:
        return None
    mlp = mlp_of(bridge, int(layer))
    name = type(inner(mlp)).__name__
    if has_experts(inner(mlp)):
        return f"layer {layer} is a mixture of experts ({name})"
    point = bridge.hook_dict.get(hook)
    outside = [getattr(mlp, side, None) for side in ("hook_in", "hook_out")]
    if point is not None and any(point is each for each in outside):
        return f"layer {layer} has an MLP ({name}) that TransformerLens does not look into"
    return None


def gated(bridge: Any, hook: str) -> bool:
    """Whether the MLP that a hook point lies in multiplies by a gate."""
    mlp = mlp_of(bridge, int(hook.split(".")[1]))
    beside_experts = isinstance(mlp, nn.Module) and "dense_gate" in dict(mlp.named_children())
    return beside_experts or bool(getattr(bridge.cfg, "gated_mlp", False))


def output_projection(bridge: Any, hook: str) -> Any:
    """The module that reads an MLP's neurons and writes the MLP's output; None if not found."""
    mlp = mlp_of(bridge, int(hook.split(".")[1]))
    if mlp is None:
        return None
    named = (getattr(mlp, name, None) for name in ("out", "dense_out"))
    return next((inner(part) for part in named if part is not None), None)
