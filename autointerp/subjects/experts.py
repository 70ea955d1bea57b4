"""Neurons of the experts in a mixture: zero wherever the router chose other experts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from autointerp.subjects.causality import same_outputs
from autointerp.subjects.expert_layouts import Experts, experts_in
from autointerp.subjects.mlp_layers import block_of, inner, mlp_of

_HOOK = re.compile(r"blocks\.([0-9]+)\.mlp\.experts\.(0|[1-9][0-9]*)\.hook_post")


def expert_hook(hook: str) -> tuple[int, int] | None:
    """(layer, expert) of ``blocks.1.mlp.experts.3.hook_post``; None for other hook points."""
    match = _HOOK.fullmatch(hook)
    return None if match is None else (int(match[1]), int(match[2]))


def experts_of(bridge: Any, layer: int) -> Experts | None:
    """The experts of a layer, where they have a form that is known."""
    # Some stand beside the MLP.
    parts = inner(mlp_of(bridge, layer)), inner(block_of(bridge, layer))
    modules = (module for part in parts if isinstance(part, nn.Module) for module in part.modules())
    return next((experts for module in modules if (experts := experts_in(module))), None)


def why_not_read(
    experts: Experts | None, layer: int, expert: int, run: Callable[[], object]
) -> str | None:
    """Why an expert's neurons cannot be read; None where they make up what the experts give.

    ``run`` runs the model on some tokens.
    """
    if experts is None:
        return f"layer {layer} has no experts of a form that is known"
    if expert >= experts.n_experts:
        return f"layer {layer} has the experts 0 to {experts.n_experts - 1}"
    same: list[bool] = []

    def compare(entered: tuple[Tensor, ...], left: Tensor) -> None:
        made = experts.output(entered)
        left = left.reshape(made.shape)
        # Where the router's weight is 0 nothing comes of it, which would show nothing.
        used = ((left != 0) | (made != 0)).any(dim=-1)
        same.append(same_outputs(left[None, used], made[None, used]))

    with torch.inference_mode(), listening(experts, compare):
        run()
    if same and all(same):
        return None
    kind = type(experts.module).__name__
    return f"what the experts of layer {layer} compute is not known ({kind})"


@contextmanager
def listening(
    experts: Experts, listen: Callable[[tuple[Tensor, ...], Tensor], Tensor | None]
) -> Iterator[None]:
    """While it lasts, what enters and leaves the experts is handed on.

    What ``listen`` gives back, if anything, leaves them in its place.
    """

    def hook(_module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], left: Any) -> Any:
        entered = tuple(part for part in (*args, *kwargs.values()) if isinstance(part, Tensor))
        return listen(entered, left)

    with ExitStack() as stack:
        stack.callback(experts.module.register_forward_hook(hook, with_kwargs=True).remove)
        yield
