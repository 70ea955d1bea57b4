"""Bridges of TransformerLens around models in memory."""

from __future__ import annotations

import copy
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from autointerp.core.errors import InputError
from autointerp.subjects.causality import same_outputs
from autointerp.subjects.mlp_layers import mlp_hook, no_neurons
from autointerp.subjects.model_facts import NOT_RUN, first_words


def short_run(model: Any, tokens: Int[Tensor, "batch pos"]) -> Float[Tensor, "batch pos vocab"]:
    """The logits of a model.

    Raises:
        ValueError: there is not one row of them for each token.
    """
    with torch.inference_mode():
        result = model(tokens.to(next(iter(model.parameters())).device))
    logits = result.logits
    if not isinstance(logits, Tensor) or logits.shape[:2] != tokens.shape:
        raise ValueError("it gives no logits for every token")
    return logits


def boot_bridge(
    model: Any, tokenizer: Any, device: torch.device, ids: list[int], before: Tensor | None
) -> Any:
    """A bridge around the model, whose modules are replaced.

    Raises:
        InputError: there is no adapter for the class, or what comes of it is not the same model.
    """
    from transformer_lens.model_bridge import TransformerBridge  # noqa: PLC0415 - takes seconds

    kind = type(model).__name__
    if not adapted_classes(model):
        raise InputError(f"TransformerLens cannot wrap a {kind}: it has no adapter for this class")
    _register_adapters(model.config)
    try:
        bridge = TransformerBridge.boot_transformers(
            kind,
            hf_model=model,
            tokenizer=_taken_as_it_is(tokenizer),
            device=device,
            dtype=next(iter(model.parameters())).dtype,
        )
        same = before is None or same_outputs(before, short_run(model, torch.tensor([ids])))
    except NOT_RUN as error:
        why = first_words(error)
        raise InputError(f"TransformerLens cannot wrap a {kind}: {why}") from error
    if not same:
        why = "what it makes of it computes other logits on a short text"
        raise InputError(f"TransformerLens cannot wrap a {kind}: {why}")
    return bridge


def looks_into_mlps(bridge: Any) -> bool:
    """Whether some layer has the neurons of a dense MLP."""
    for layer in range(int(bridge.cfg.n_layers)):
        hook = mlp_hook(bridge, f"blocks.{layer}.mlp.hook_post")
        if hook in bridge.hook_dict and no_neurons(bridge, hook) is None:
            return True
    return False


def _register_adapters(config: Any) -> None:
    if getattr(config, "new_decoder_architecture", False):
        from autointerp.subjects.falcon_decoder import register_decoders  # noqa: PLC0415 - slow

        register_decoders()
    if config.model_type == "granitemoehybrid":
        from autointerp.subjects.granite_hybrid import register_granite  # noqa: PLC0415 - slow

        register_granite(rotary=config.position_embedding_type == "rope")


def name_architectures(model: Any) -> None:
    """Lets the class decide which adapter is taken, where there is one for it.

    Models made from a configuration have no architecture in it, and others were saved from
    another class.
    """
    known = adapted_classes(model)
    if known:
        model.config.architectures = known[:1]
        if hasattr(model.config, "original_architecture"):
            model.config.original_architecture = known[0]


def adapted_classes(model: Any) -> list[str]:
    """The class of a model and those that it extends, as far as there are adapters for them."""
    from transformer_lens.factories.architecture_adapter_factory import (  # noqa: PLC0415 - slow
        SUPPORTED_ARCHITECTURES,
    )

    # Some checkpoints write their class with other capitals than transformers does.
    spelled = {name.lower(): name for name in SUPPORTED_ARCHITECTURES}
    classes = [c.__name__ for c in type(model).__mro__]
    return [spelled[name.lower()] for name in classes if name.lower() in spelled]


def _taken_as_it_is(tokenizer: Any) -> Any:
    # TransformerLens loads a tokenizer once more by its name, which one made in memory does not
    # have, unless it claims to add BOS; it also sets its padding. So it gets a copy.
    copied = copy.deepcopy(tokenizer)
    claims = {"name_or_path": "", "add_bos_token": True}
    copied.init_kwargs = {**getattr(tokenizer, "init_kwargs", {}), **claims}
    return copied
