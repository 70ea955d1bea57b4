"""Norms that lie between what a unit writes and the logits, their divisors held at 1."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from autointerp.core.errors import InputError
from autointerp.core.ids import HookPoint
from autointerp.subjects import SubjectModel

_LARGE = 1024.0
_BEFORE_FIRST = ("hook_resid_pre", "hook_in", "hook_attn_out", "attn.hook_z")
_BEFORE_SECOND = ("mlp.hook_pre", "mlp.hook_mid", "mlp.hook_post", "hook_mlp_out")
_BEHIND_BOTH = ("hook_resid_post", "hook_out")


def component(parent: Any, name: str) -> Any:
    """A part of a bridge, out of TransformerLens' wrapping; None where there is none."""
    result = getattr(parent, name, None)
    return getattr(result, "original_component", result)


def gain_of(norm: Any, width: int, device: torch.device) -> tuple[Tensor, bool]:
    """A norm's gain, and whether it centres: found by what it does to known vectors."""
    # A large input drowns the epsilon under the root; the bias drops out of the difference.
    single = copy.deepcopy(norm).to(torch.float32)
    pattern = _LARGE * (1.0 - 2.0 * (torch.arange(width, device=device) % 2))
    with torch.inference_mode():
        there, back = single(pattern[None, None])[0, 0], single(-pattern[None, None])[0, 0]
        moved = single(pattern[None, None] + _LARGE)[0, 0]
    gain = (there - back) / 2 * pattern.sign()
    return gain, bool(torch.allclose(moved, there, rtol=1e-3, atol=1e-4))


def offset_of(norm: Any, width: int, device: torch.device) -> Float[Tensor, " d_model"]:
    """What a norm gives for nothing: its bias."""
    with torch.inference_mode():
        result: Tensor = copy.deepcopy(norm).to(torch.float32)(
            torch.zeros(1, 1, width, device=device)
        )
    return result[0, 0]


def final_norm(bridge: Any) -> Any:
    """The norm before the unembedding; None where there is none.

    TransformerLens passes OPT's by where the embedding has another width.
    """
    decoder = getattr(getattr(bridge.original_model, "model", None), "decoder", None)
    norm = component(bridge, "ln_final")
    return norm if norm is not None else component(decoder, "final_layer_norm")


def has_norms_behind_blocks(bridge: Any) -> bool:
    """Whether every block ends in a norm of the stream itself, as in OPT-350m and the first GPT."""
    config = getattr(bridge.original_model, "config", None)
    behind = getattr(config, "do_layer_norm_before", True) is False
    return behind or getattr(config, "model_type", None) == "openai-gpt"


def through_norms_behind(
    subject: SubjectModel, hook: str, rows: Float[Tensor, "unit d_model"]
) -> Float[Tensor, "unit d_model"]:
    """What is left at the end of the stream of rows that the units of a hook point write to it.

    Raises:
        InputError: it is not known which of the norms the hook point lies before.
    """
    if not has_norms_behind_blocks(subject.bridge):
        return rows
    for norm in norms_behind(subject, hook):
        gain, centred = gain_of(norm, int(rows.shape[1]), subject.device)
        rows = (rows - rows.mean(dim=1, keepdim=True) if centred else rows) * gain
    return rows


def norms_behind(subject: SubjectModel, hook: str) -> Iterator[Any]:
    """The norms of the stream behind what a hook point's units write, where blocks end in some.

    Raises:
        InputError: it is not known which of them the hook point lies before.
    """
    layer, kind = HookPoint(hook).layer, hook.split(".", 2)[2]
    both = ("ln1", "ln2")
    own = [both, both[1:], ()]
    groups = (_BEFORE_FIRST, _BEFORE_SECOND, _BEHIND_BOTH)
    first = next((names for names, kinds in zip(own, groups, strict=True) if kind in kinds), None)
    if first is None:
        raise InputError(
            f"{subject.name} has norms behind each block, and where among them {hook} lies is not "
            "known; read mlp.hook_post or hook_resid_post of the same block"
        )
    for number in range(layer, subject.n_layers):
        for name in first if number == layer else both:
            yield component(subject.bridge.blocks[number], name)
