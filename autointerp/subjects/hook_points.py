"""The hook points of a model in TransformerLens: which there are, and one pass that reads some."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from autointerp.core.errors import InputError
from autointerp.core.ids import HookPoint
from autointerp.subjects.experts import (
    expert_hook,
    experts_of,
    listening,
    why_not_read,
)
from autointerp.subjects.mlp_layers import block_of, inner, mlp_hook, mlp_of, no_neurons
from autointerp.subjects.model_facts import first_words, floating_dtypes
from autointerp.subjects.plain_model import PlainModel
from autointerp.subjects.tokenizer import HfTokenizer, beyond_embedding

_NAMED_MLP = re.compile("mlp|ffn|expert|moe", re.IGNORECASE)
Receiver = Callable[[str, Float[Tensor, "batch pos unit"]], None]


class _LastHookReadError(Exception):
    """Ends a forward pass from inside it; never leaves this module."""


def tl_name(bridge: Any, hook: str) -> str:
    """The hook point as this version of TransformerLens names it."""
    # TransformerLens 4 has no hook_mid: SoLU's LayerNorm is a component of its own, and
    # what enters it is what older versions called hook_mid.
    if hook.endswith("mlp.hook_mid") and hook not in bridge.hook_dict:
        return hook.removesuffix("hook_mid") + "ln.hook_in"
    return mlp_hook(bridge, hook)


def check_hook(bridge: Any, hook: str, *, name: str, run: Callable[[], None]) -> None:
    """Nothing, when the model of that name has this hook point and it may be read.

    ``run`` runs the model on some tokens, where an expert has to be watched.

    Raises:
        InputError: otherwise.
    """
    layer, n_layers = HookPoint(hook).layer, int(bridge.cfg.n_layers)
    if layer >= n_layers:
        msg = f"{name} has layers 0 to {n_layers - 1}; there is no layer {layer} for {hook}"
        raise InputError(msg)
    if (place := expert_hook(hook)) is not None:
        why = why_not_read(experts_of(bridge, layer), *place, run)
        if why is not None:
            raise InputError(f"{name} has no hook point {hook}: {why}")
        return
    readable = experts_of(bridge, layer) is not None
    one_expert = f", or one of its experts: blocks.{layer}.mlp.experts.0.hook_post"
    if tl_name(bridge, hook) not in bridge.hook_dict:
        inside = [n for n in bridge.hook_dict if n.startswith(f"blocks.{layer}.")]
        inside = [n for n in inside if no_neurons(bridge, n) is None]
        near = difflib.get_close_matches(hook, inside, n=3, cutoff=0.3)
        kind = type(getattr(bridge, "original_model", bridge)).__name__
        bare = ".mlp." in hook and _lacks_mlp(bridge, layer)
        lack = f", as {_without_mlp(bridge, layer, kind)}" if bare else ""
        hint = f"; near ones are {', '.join(near)}" if near else ""
        hint += one_expert if bare and readable else ""
        raise InputError(f"{name} has no hook point {hook}{lack}{hint}")
    why = no_neurons(bridge, tl_name(bridge, hook))
    if why is not None:
        raise InputError(
            f"{hook} of {name} has no neurons, as {why}; read a layer with a dense MLP"
            + (one_expert if readable else "")
        )


def check_tokens(
    tokens: Int[Tensor, "batch pos"],
    tokenizer: HfTokenizer,
    n_rows: int,
    longest: int,
    *,
    name: str,
) -> None:
    """Nothing, when the model of that name can be run on these tokens.

    Raises:
        InputError: there are none or too many in a row, or the model has no embedding for one.
    """
    ends = (int(tokens.min()), int(tokens.max())) if tokens.numel() else (0, 0)
    if not tokens.numel() or tokens.shape[1] > longest or ends[0] < 0:
        ids = f", the ids {ends[0]} to {ends[1]}" if tokens.numel() else ""
        raise InputError(
            f"{name} reads 1 to {longest} tokens in a row, whose ids are 0 to {n_rows - 1}; found "
            f"{tokens.shape[0]} rows of {tokens.shape[1]}{ids}"
        )
    if ends[1] >= n_rows:
        raise InputError(beyond_embedding(tokenizer.pieces, ends[1], n_rows))


def _lacks_mlp(bridge: Any, layer: int) -> bool:
    lack = getattr(block_of(bridge, layer), "lack", None)
    return isinstance(lack, str) or mlp_of(bridge, layer) is None


def _without_mlp(bridge: Any, layer: int, kind: str) -> str:
    """Why a layer has no hook points of an MLP: there is none, or TransformerLens passes it by."""
    lack = getattr(block_of(bridge, layer), "lack", None)
    if isinstance(lack, str):
        return lack
    block = inner(block_of(bridge, layer))
    parts = [] if block is None else [inner(part) for part in block.modules()]
    if parts and not any(_NAMED_MLP.search(type(part).__name__) for part in parts):
        return f"layer {layer} of a {kind} has no MLP and so no neurons"
    if isinstance(bridge, PlainModel):
        return f"no MLP of a known form was found in layer {layer} of a {kind}"
    return f"TransformerLens does not look into the MLPs of a {kind}"


def read_hooks(  # noqa: PLR0913
    bridge: Any,
    tokens: Int[Tensor, "batch pos"],
    hooks: Sequence[str],
    receive: Receiver,
    *,
    skip: int,
    name: str,
    whole: bool = False,
) -> None:
    """Hands each hook point's activations to ``receive``, without the first ``skip`` positions.

    The pass ends behind the last of the hook points, or goes on as far as it can be ``whole``.

    Raises:
        InputError: parts of the model, which is named, have dtypes that do not go together.
    """
    waiting = set(hooks)

    def listener(hook_name: str) -> Callable[..., None]:
        def listen(activations: Tensor, *, hook: object) -> None:  # noqa: ARG001
            if activations.ndim == 2 and len(activations) == tokens.numel():
                # Beside experts all tokens stand in one row.
                activations = activations.reshape(*tokens.shape, -1)
            receive(hook_name, activations[:, skip:].flatten(min(2, activations.ndim - 1)))
            waiting.discard(hook_name)
            if not waiting and not whole:
                raise _LastHookReadError

        return listen

    wanted = dict.fromkeys(hooks)
    listeners = [(tl_name(bridge, h), listener(h)) for h in wanted if expert_hook(h) is None]
    with ExitStack() as stack:
        stack.enter_context(torch.inference_mode())
        stack.enter_context(bridge.hooks(fwd_hooks=listeners))
        for hook in wanted:
            if (place := expert_hook(hook)) is not None:
                stack.enter_context(_listening(bridge, place, listener(hook), tokens.shape))
        try:
            bridge(tokens, return_type=None)
        except _LastHookReadError:
            return
        except RuntimeError as error:
            if waiting:  # What comes behind the hook points may have another dtype.
                _refuse_mixed(bridge, name, error)
                # As it came: as its own cause it would live on, with all that its frames hold.
                raise


def _listening(
    bridge: Any, place: tuple[int, int], listen: Callable[..., None], shape: torch.Size
) -> AbstractContextManager[None]:
    experts = experts_of(bridge, place[0])
    assert experts is not None  # check_hook has looked

    def neurons(entered: tuple[Tensor, ...], left: Tensor) -> None:  # noqa: ARG001
        listen(experts.neurons(place[1], entered).reshape(*shape, -1), hook=None)

    return listening(experts, neurons)


def _refuse_mixed(bridge: Any, name: str, error: RuntimeError) -> None:
    """Nothing, unless the error is that of parts with dtypes that do not go together."""
    dtypes = floating_dtypes(bridge.original_model)
    if len(dtypes) < 2 or "dtype" not in str(error):
        return
    parts = " and ".join(f"{dtype} ({part})" for dtype, part in sorted(dtypes.items()))
    raise InputError(
        f"{name} mixes parameters of {parts}, which do not go together "
        f"({first_words(error)}); convert it, for example with model.to(torch.float32)"
    ) from error
