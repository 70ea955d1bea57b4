"""Neurons of the experts in a mixture: zero wherever the router chose other experts.

Experts' weights are stacked, and their inside is no module that could be listened to: it is
computed once more from what enters them, and checked against what leaves them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from autointerp.subjects.causality import same_outputs
from autointerp.subjects.mlp_layers import inner, mlp_of

_HOOK = re.compile(r"blocks\.([0-9]+)\.mlp\.experts\.([0-9]+)\.hook_post")


def expert_hook(hook: str) -> tuple[int, int] | None:
    """(layer, expert) of ``blocks.1.mlp.experts.3.hook_post``; None for other hook points."""
    match = _HOOK.fullmatch(hook)
    return None if match is None else (int(match[1]), int(match[2]))


def stacked_experts(bridge: Any, layer: int) -> Any:
    """The module that holds a layer's experts in transformers' stacked form; None if not found."""
    part = inner(mlp_of(bridge, layer))
    modules = part.modules() if isinstance(part, nn.Module) else ()
    return next((module for module in modules if _is_stacked(module)), None)


def _is_stacked(module: nn.Module) -> bool:
    known = all(hasattr(module, name) for name in ("has_gate", "has_bias", "is_transposed"))
    down = getattr(module, "down_proj", None)
    return known and isinstance(down, Tensor) and down.ndim == 3


def expert_neurons(
    experts: Any, expert: int, entered: Sequence[Tensor]
) -> Float[Tensor, "token unit"]:
    """What one expert's neurons do on every token, by what entered the experts."""
    hidden, chosen = entered[0].flatten(0, -2), entered[1].flatten(0, -2)
    tokens = (chosen == expert).any(dim=-1).nonzero()[:, 0]
    name = "gate_up_proj" if experts.has_gate else "up_proj"
    before = _linear(experts, name, expert, hidden[tokens])
    values = experts._apply_gate(before) if experts.has_gate else experts.act_fn(before)  # noqa: SLF001
    result: Tensor = values.new_zeros((len(hidden), values.shape[1]))
    result[tokens] = values
    return result


def output_rows(experts: Any, expert: int) -> Float[Tensor, "unit d_model"]:
    """What each neuron of an expert writes where the router gives it the weight 1."""
    weights: Tensor = experts.down_proj[expert].detach()
    return weights if experts.is_transposed else weights.T


def _linear(experts: Any, name: str, expert: int, inputs: Tensor) -> Tensor:
    weights = getattr(experts, name)[expert]
    bias = getattr(experts, f"{name}_bias")[expert] if experts.has_bias else None
    return nn.functional.linear(inputs, weights.T if experts.is_transposed else weights, bias)


def why_not_read(experts: Any, layer: int, expert: int, run: Callable[[], object]) -> str | None:
    """Why an expert's neurons cannot be read; None where they make up what the experts give.

    ``run`` runs the model on some tokens.
    """
    if experts is None:
        return f"layer {layer} has no experts of a form that is known"
    if expert >= len(experts.down_proj):
        return f"layer {layer} has the experts 0 to {len(experts.down_proj) - 1}"
    same: list[bool] = []

    def compare(entered: tuple[Tensor, ...], left: Tensor) -> None:
        same.append(_explains_output(experts, entered, left))

    with torch.inference_mode(), listening(experts, compare):
        run()
    if same and all(same):
        return None
    return f"what the experts of layer {layer} compute is not known ({type(experts).__name__})"


def _explains_output(experts: Any, entered: Sequence[Tensor], left: Tensor) -> bool:
    """Whether the neurons, weighted as the router says, make up what left the experts."""
    hidden, chosen, weights = (part.flatten(0, -2) for part in entered[:3])
    total = torch.zeros_like(hidden)
    for expert in sorted(set(chosen.flatten().tolist())):
        if expert >= len(experts.down_proj):
            continue
        out = _linear(experts, "down_proj", expert, expert_neurons(experts, expert, entered))
        if getattr(experts, "has_post_expert_norm", False):
            out = experts.post_expert_norm(out)
        share = torch.where(chosen == expert, weights, 0).sum(dim=-1, keepdim=True)
        total = total + share * out
    return same_outputs(left.reshape(1, *total.shape), total[None])


@contextmanager
def listening(experts: Any, listen: Callable[[tuple[Tensor, ...], Tensor], None]) -> Iterator[None]:
    """While it lasts, what enters and leaves the experts is handed on."""

    def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], left: Any) -> None:
        entered = tuple(part for part in (*args, *kwargs.values()) if isinstance(part, Tensor))
        listen(entered, left)

    with ExitStack() as stack:
        stack.callback(experts.register_forward_hook(hook, with_kwargs=True).remove)
        yield
