"""Which layers have MLP neurons: told by how a layer is built, whatever its class is called."""

from __future__ import annotations

from typing import Any

from torch import nn

NEURON_HOOKS = ("hook_pre", "hook_pre_linear", "hook_mid", "hook_post")
"""Hook points whose coordinates are neurons, in a part of a layer that has some."""
_SHARED = "shared_mlp"
"""What TransformerLens calls the MLP of layers that may have experts beside it (Granite 4)."""


def inner(part: Any) -> Any:
    """A part of a bridge, out of TransformerLens' wrapping; None where there is none."""
    return getattr(part, "original_component", part)


def mlp_of(bridge: Any, layer: int) -> Any:
    """The MLP of a layer as TransformerLens wraps it; None where there is none."""
    mlp = part_of(bridge, layer, "mlp")
    return part_of(bridge, layer, _SHARED) if mlp is None else mlp


def block_of(bridge: Any, layer: int) -> Any:
    """A layer as TransformerLens wraps it; None where it names no layers."""
    blocks = getattr(bridge, "blocks", None)
    return None if blocks is None else blocks[layer]


def part_of(bridge: Any, layer: int, path: str) -> Any:
    """A part of a layer, by the names that lead to it; None where there is none."""
    part = block_of(bridge, layer)
    for name in path.split("."):
        part = getattr(part, name, None)
    return part


def mlp_hook(bridge: Any, hook: str) -> str:
    """The hook point of an MLP under the name that TransformerLens has for it in this layer."""
    other = hook.replace(".mlp.", f".{_SHARED}.", 1)
    return other if hook not in bridge.hook_dict and other in bridge.hook_dict else hook


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
    path, _, leaf = kind.rpartition(".")
    if leaf not in NEURON_HOOKS or not path:
        return None
    part = part_of(bridge, int(layer), path)
    name = type(inner(part)).__name__
    if has_experts(inner(part)):
        return f"layer {layer} is a mixture of experts ({name})"
    point = bridge.hook_dict.get(hook)
    outside = [getattr(part, side, None) for side in ("hook_in", "hook_out")]
    if point is not None and any(point is each for each in outside):
        return f"layer {layer} has an MLP ({name}) that TransformerLens does not look into"
    return None


def gated(bridge: Any, hook: str) -> bool:
    """Whether the MLP that a hook point lies in multiplies by a gate."""
    mlp = mlp_of(bridge, int(hook.split(".")[1]))
    if isinstance(known := getattr(bridge.hook_dict.get(hook), "gated", None), bool):
        return known
    beside_experts = isinstance(mlp, nn.Module) and "dense_gate" in dict(mlp.named_children())
    return beside_experts or bool(getattr(bridge.cfg, "gated_mlp", False))


def output_projection(bridge: Any, hook: str) -> Any:
    """The module that reads an MLP's neurons and writes the MLP's output; None if not found."""
    mlp = mlp_of(bridge, int(hook.split(".")[1]))
    if mlp is None:
        return None
    named = (getattr(mlp, name, None) for name in ("out", "dense_out"))
    return next((inner(part) for part in named if part is not None), None)
