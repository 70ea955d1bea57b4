"""Whether a model reads left to right, found out on a short text."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from autointerp.core.errors import InputError
from autointerp.subjects.model_facts import EXPECTED
from autointerp.subjects.tokenizer import HfTokenizer

Run = Callable[[Int[Tensor, "batch pos"]], Float[Tensor, "batch pos vocab"]]

_TEXT = "The river runs dry in May."
_N_TOKENS = 8
_PADDING = 4
_EXACT = {torch.float64: 1e-9, torch.float32: 3e-5}
_ROUNDED = {torch.float64: 1e-6, torch.float32: 1e-3}
_HALF, _HALF_ON_GPU, _HALF_ROUNDED = 2e-3, 0.02, 0.05
"""Parts of the greatest logit by which logits may differ: in runs of one shape, or of several."""


def short_text(tokenizer: HfTokenizer, n_rows: int) -> list[int]:
    """Ids of a few words, all of which the embedding has, behind BOS where that is put first."""
    try:
        words = tokenizer.encode(_TEXT)
    except InputError:
        words = []
    ids = (words + [(7 * place + 3) % n_rows for place in range(_N_TOKENS)])[:_N_TOKENS]
    return ids if tokenizer.bos_id is None else [tokenizer.bos_id, *ids]


def refuse_unless_causal(run: Run, ids: list[int], *, n_rows: int, n_ctx: int, kind: str) -> None:
    """Nothing, when logits are finite and no later token, padding or other text changes them.

    The text is run beside ones that differ from it in one token each, and once more with padding
    behind it and a text of the same length beside it.

    Raises:
        InputError: something does; ``kind`` is the class that is named.
    """
    ids = ids[:n_ctx]
    if len(ids) < 2 or n_rows < 2:
        return
    places = range(1, len(ids))
    others = ([*ids[:p], (ids[p] + 1) % n_rows, *ids[p + 1 :]] for p in places)
    both = run(torch.tensor([ids, *others]))
    # Single rows of an unembedding may be anything: they fill up a vocabulary.
    if not bool(torch.isfinite(both).any(dim=-1).all()):
        raise InputError(
            f"{kind} computes NaN or infinity on a short text, though its weights are finite; "
            "load it in bfloat16 or float32"
        )
    exact = _EXACT.get(both.dtype, _HALF if both.device.type == "cpu" else _HALF_ON_GPU)
    if any(_moved(both[0, :p], both[p, :p]).max() > exact for p in places):
        raise InputError(
            f"{kind} is not causal: a later token changes what came before; {EXPECTED}"
        )
    padding = [0] * min(_PADDING, n_ctx - len(ids))
    if padding:
        beside = [(3 * place + 1) % n_rows for place in range(len(ids) + len(padding))]
        padded = run(torch.tensor([ids + padding, beside]))[0, : len(ids)]
        if _differ(both[0], padded):
            raise InputError(f"{kind} is not causal: padding changes what came before; {EXPECTED}")


def same_outputs(one: Tensor, other: Tensor) -> bool:
    """Whether two runs on the same text agree to rounding."""
    return one.shape == other.shape and not _differ(one.flatten(0, 1), other.flatten(0, 1))


def _differ(one: Tensor, other: Tensor) -> bool:
    """Whether most positions are further apart than the rounding of other kernels brings them.

    At single positions a router's choice may tip.
    """
    return bool(_moved(one, other).median() > _ROUNDED.get(one.dtype, _HALF_ROUNDED))


def _moved(one: Tensor, other: Tensor) -> Tensor:
    """How far apart two outputs are at each position, as parts of the greatest value."""
    one, other = (torch.nan_to_num(t.detach().double().cpu()) for t in (one, other))
    return (one - other).abs().amax(dim=-1) / one.abs().max().clamp_min(1e-12)
