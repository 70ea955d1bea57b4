"""Subject models around models that are in memory."""

from __future__ import annotations

from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn

from autointerp.core.errors import InputError
from autointerp.subjects.causality import refuse_unless_causal, short_text
from autointerp.subjects.model import SubjectModel
from autointerp.subjects.model_facts import (
    EXPECTED,
    NOT_RUN,
    class_of,
    context_length,
    embedding_rows,
    first_words,
    floating_dtypes,
    not_finite,
    sizes_of,
)
from autointerp.subjects.own_modules import own_modules, weights_digest
from autointerp.subjects.plain_model import plain_model
from autointerp.subjects.text_part import text_part
from autointerp.subjects.tl_bridge import (
    adapted_classes,
    boot_bridge,
    looks_into_mlps,
    name_architectures,
    short_run,
)
from autointerp.subjects.tokenizer import HfTokenizer

_FEWEST = 5
"""Positions that a model has at least: some hook points are told apart in passes of so many."""


def wrap_subject(
    hf_model: Any,
    tokenizer: Any,
    *,
    name: str | None = None,
    device: str = "auto",
    revision: str | None = None,
    prepend_bos: bool = True,
) -> SubjectModel:
    """A subject model around a causal language model that is already in memory.

    Args:
        hf_model: a Hugging Face causal language model, which stays as it is: the subject has
            modules of its own around the same weights (on another device, around copies of
            them). A TransformerBridge is taken itself, put into evaluation mode and moved.
        tokenizer: its Hugging Face tokenizer.
        name: for unit ids; the configuration's where it is None. Slashes become dashes.
        device: ``auto``, ``cpu``, ``cuda`` ...
        revision: of the weights; a digest of them where it is None.
        prepend_bos: put the tokenizer's BOS before every window; its position is never counted.

    Raises:
        InputError: the model is not causal, cannot be run or has weights that are not finite,
            TransformerLens has no adapter for its class, or there is no such device.
    """
    where = _device(device)
    hf_model = getattr(hf_model, "_orig_mod", hf_model)  # of torch.compile
    _refuse_what_is_no_model(hf_model, tokenizer)
    config = getattr(hf_model, "config", None)
    names = (name, getattr(config, "_name_or_path", None), type(hf_model).__name__)
    called = next(filter(None, ((n or "").rstrip("/").replace("/", "-") for n in names)))
    _refuse_encoder_decoder(hf_model)
    hf_model = text_part(hf_model, called)
    broken = not_finite(hf_model, set(tokenizer.get_vocab().values()))
    if broken is not None:
        again = "download the model again, or convert it anew"
        raise InputError(f"the weights of {called} hold {broken}; {again}")
    taken = HfTokenizer(tokenizer, prepend_bos=prepend_bos, n_rows=embedding_rows(hf_model))
    revision = revision or weights_digest(hf_model)
    if hasattr(hf_model, "hook_dict"):
        hf_model.eval()
        # A model that is there is left alone: TransformerLens announces every move on stdout.
        if next(iter(hf_model.parameters())).device != where:
            hf_model.to(where)
        bridge = hf_model
        _check_bridge(bridge, taken)
    else:
        bridge = _boot(hf_model, tokenizer, taken, where)
    if int(bridge.cfg.n_ctx) < _FEWEST:
        n = int(bridge.cfg.n_ctx)
        raise InputError(
            f"{called} takes {n} tokens at once; models that take {_FEWEST} or more are read"
        )
    return SubjectModel(bridge, taken, name=called, revision=revision)


def _refuse_what_is_no_model(model: Any, tokenizer: Any) -> None:
    if not isinstance(model, torch.nn.Module) or not (
        hasattr(model, "config") or hasattr(model, "cfg")
    ):
        inside = getattr(model, "module", None)
        hint = f"; give its .module, a {type(inside).__name__}" if inside is not None else ""
        raise InputError(f"{type(model).__name__} is not a Hugging Face model; {EXPECTED}{hint}")
    kind = type(model).__name__
    if any(tensor.is_meta for tensor in (*model.parameters(), *model.buffers())):
        raise InputError(f"this {kind} has no weights (device meta); load them first")
    packed = [
        key for key, part in nn.Module.state_dict(model).items() if not isinstance(part, Tensor)
    ]
    if packed:
        raise InputError(
            f"this {kind} holds packed weights ({packed[0]}), which cannot be read; give the model "
            "as it was before it was quantized"
        )
    if not hasattr(tokenizer, "get_vocab") or not hasattr(tokenizer, "convert_ids_to_tokens"):
        kind = type(tokenizer).__name__
        how = "; wrap it in transformers' PreTrainedTokenizerFast(tokenizer_object=...)"
        hint = how if isinstance(tokenizer, Tokenizer) else "; give the model's own tokenizer"
        raise InputError(f"{kind} is not a Hugging Face tokenizer{hint}")


def _check_bridge(bridge: Any, taken: HfTokenizer) -> None:
    n_rows = embedding_rows(bridge)

    def run(tokens: Tensor) -> Tensor:
        with torch.inference_mode():
            logits: Tensor = bridge(tokens.to(bridge.cfg.device), return_type="logits")
        return logits

    kind = class_of(bridge.original_model)
    try:
        refuse_unless_causal(
            run, short_text(taken, n_rows), n_rows=n_rows, n_ctx=int(bridge.cfg.n_ctx), kind=kind
        )
    except NOT_RUN as error:
        why = f"{kind} cannot be run on a short text: {first_words(error)}"
        raise InputError(f"{why}; correct its configuration or its weights") from error


def _boot(hf_model: Any, tokenizer: Any, taken: HfTokenizer, device: torch.device) -> Any:
    kind = class_of(hf_model)
    head = getattr(hf_model, "get_output_embeddings", None)
    if head is not None and head() is None:
        raise InputError(f"{kind} has no language-model head; {EXPECTED}")
    model = _own(hf_model, device)
    ids, before = _checked(model, taken, kind)
    bridge, why = None, None
    try:
        bridge = boot_bridge(model, tokenizer, device, ids, before)
    except InputError as error:
        if before is None:
            raise
        why = error
    if before is None or (bridge is not None and looks_into_mlps(bridge)):
        return bridge
    # Modules of the other have been replaced.
    plain = plain_model(_own(hf_model, device), ids)
    if plain is not None and (bridge is None or plain.looks_into_mlps):
        return plain
    if why is not None:
        raise InputError(f"{why}, and no MLP whose neurons could be read was found in it")
    return bridge


def _own(hf_model: Any, device: torch.device) -> Any:
    model = own_modules(hf_model, device)
    # Nothing is kept between passes, and some classes make what they would keep by the sizes of
    # another part of theirs.
    model.config.use_cache, model.config.return_dict = False, True
    name_architectures(model)
    if next(iter(model.parameters())).dtype == torch.float64:
        # Their usual kernels take no such numbers.
        model.set_experts_implementation("eager")
    return model


def _refuse_encoder_decoder(model: Any) -> None:
    if getattr(getattr(model, "config", None), "is_encoder_decoder", False):
        raise InputError(f"{class_of(model)} is an encoder-decoder; {EXPECTED}")


def _checked(model: Any, taken: HfTokenizer, kind: str) -> tuple[list[int], Tensor | None]:
    """Ids of a short text and its logits, None where dtypes are mixed and do not go together.

    Such a model may yet be read under autocast, so it is refused only when it is read.
    """
    n_rows, n_ctx = embedding_rows(model), context_length(model)
    ids = short_text(taken, n_rows)[:n_ctx]

    def run(tokens: Tensor) -> Tensor:
        return short_run(model, tokens)

    try:
        before = run(torch.tensor([ids]))
    except NOT_RUN as error:
        if len(floating_dtypes(model)) > 1 and "dtype" in str(error):
            return ids, None
        what = f"correct its configuration ({sizes_of(model)}) or its weights"
        if not adapted_classes(model):
            raise InputError(
                f"TransformerLens cannot wrap a {kind}, for which it has no adapter, and it cannot "
                f"be run on a short text: {first_words(error)}; {what}, or take another: {EXPECTED}"
            ) from error
        raise InputError(
            f"{kind} cannot be run on a short text: {first_words(error)}; {what}"
        ) from error
    refuse_unless_causal(run, ids, n_rows=n_rows, n_ctx=n_ctx, kind=kind)
    return ids, before


def _device(device: str) -> torch.device:
    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        result = torch.device(device)
    except RuntimeError as error:
        raise InputError(f"unknown device {device!r}; write auto, cpu, cuda or cuda:N") from error
    if result.type == "cuda" and (result.index or 0) >= torch.cuda.device_count():
        n = torch.cuda.device_count()
        msg = f"device {device} was asked for, but this machine has {n} CUDA devices; use cpu"
        raise InputError(msg)
    try:
        probe = torch.zeros(1, device=result)
        probe.item()
    except (AssertionError, NotImplementedError, RuntimeError) as error:
        msg = f"device {device} cannot be used here ({first_words(error)}); use cpu"
        raise InputError(msg) from error
    # With its number, as tensors there have it: cuda and cuda:0 are not equal.
    return probe.device
