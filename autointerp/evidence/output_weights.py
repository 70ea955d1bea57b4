"""What units write into the residual stream, and which tokens that makes more probable.

By weights alone: nothing is run but the final norm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from autointerp.core.errors import InputError
from autointerp.core.ids import HookPoint, Side, UnitId
from autointerp.evidence.norms import (
    component,
    final_norm,
    gain_of,
    has_norms_behind_blocks,
    through_norms_behind,
)
from autointerp.subjects import Directions, Encoder, HookUnits, SparseEncoder, SubjectModel
from autointerp.subjects.experts import expert_hook, experts_of
from autointerp.subjects.mlp_layers import gated, output_projection
from autointerp.subjects.plain_model import PlainModel

_RESIDUAL = (
    "hook_resid_pre",
    "hook_resid_mid",
    "hook_resid_post",
    "hook_in",
    "hook_out",
    "hook_attn_out",
    "hook_mlp_out",
)
# Norms that outputs go through, by TransformerLens' names; those of experts beside an MLP (Gemma 4)
# have numbers.
OF_MLP = ("post_feedforward_layernorm_1", "ln2_post")
OF_EXPERTS = ("post_feedforward_layernorm_2", "ln2_post")
_AT_ONCE = 2**24
"""Logits that are computed together."""

TokenValues = tuple[tuple[str, float], ...]


class SideEffects(NamedTuple):
    """What one side of a unit does to the logits while it is active, strongest first."""

    promoted: tuple[str, ...]
    suppressed: tuple[str, ...]
    promoted_values: tuple[float, ...]
    suppressed_values: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class LogitEffect:
    """What one unit of activation does to the logits, along the direct path only.

    Values are logits times the final norm's divisor, which depends on the position: they compare
    within a unit. Each token's stands against the mean over the vocabulary.
    """

    unit: UnitId
    promoted: TokenValues
    """(token, value) of the tokens made more probable, greatest value first."""
    suppressed: TokenValues
    """(token, value) of the tokens made less probable, smallest value first."""

    def of(self, side: Side) -> SideEffects:
        """The same of one side, in four digits; a unit of the negative one is below zero."""
        up, down, sign = self.promoted, self.suppressed, 1
        if side is Side.NEGATIVE:
            up, down, sign = down, up, -1
        values = [tuple(sign * float(f"{v:.4g}") for _, v in pairs) for pairs in (up, down)]
        return SideEffects(
            promoted=tuple(token for token, _ in up),
            suppressed=tuple(token for token, _ in down),
            promoted_values=values[0],
            suppressed_values=values[1],
        )


@dataclass(frozen=True, slots=True)
class Readout:
    """The way from the residual stream to the logits, but for the final norm's divisor."""

    weights: Float[Tensor, "vocab d_model"]
    """Unembedding, float32 on the model's device."""
    gain: Float[Tensor, " d_model"] | None
    """Of the final norm; None where there is none."""
    centred: bool
    """Whether the final norm takes the mean over coordinates away (LayerNorm does)."""


def decoder_rows(
    subject: SubjectModel, encoder: Encoder, indices: Sequence[int]
) -> tuple[str, Float[Tensor, "unit d_model"]]:
    """The hook point that an encoder's units write to, and what one unit of each adds there.

    An SAE latent adds its decoder row to what it reads, a transcoder's to the MLP's output or
    where its configuration says. A direction adds the vector that raises its own projection by 1.

    Raises:
        InputError: the encoder holds no decoder, or one that does not fit the model.
    """
    if isinstance(encoder, Directions):
        chosen = torch.as_tensor(indices, device=encoder.vectors.device)
        vectors = encoder.vectors.index_select(0, chosen).to(subject.device)
        return encoder.hook, vectors / vectors.square().sum(dim=1, keepdim=True).clamp_min(1e-30)
    if not isinstance(encoder, SparseEncoder):
        raise InputError(f"what the units of {encoder.name} write is not known")
    rows = encoder.decoder_rows(indices).to(subject.device)
    width = subject.width(encoder.writes_to)
    if rows.shape[1] != width:
        raise InputError(
            f"latents of {encoder.name} write {rows.shape[1]} values, but {encoder.writes_to} of "
            f"{subject.name} is {width} wide; leave out what steers them or reads their logit "
            "effects"
        )
    return encoder.writes_to, rows


def output_directions(
    subject: SubjectModel, hook: str, indices: Sequence[int]
) -> Float[Tensor, "unit d_model"]:
    """What one unit of activation adds to the residual stream, float32 on the model's device.

    Neurons: the row of W_out, times the gain of a norm behind the MLP where there is one
    (Gemma 2), of an expert's neuron at the router's weight 1; ``hook_pre`` and ``hook_mid`` of an
    ungated MLP stand for their neuron. Where the MLP has a LayerNorm of its own (SoLU) these two
    go through it, its divisor held at 1 as that of the final norm is. Coordinates of ``hook_z``:
    the row of W_O. Residual stream: the coordinate itself. Latents and directions:
    `decoder_rows`, through the same weights where they do not lie in the residual stream.

    Raises:
        InputError: units that do not exist, or that write nothing that could be found.
    """
    subject.check_indices(hook, indices)
    encoder = subject.encoders.get(hook)
    if encoder is not None:
        base, rows = decoder_rows(subject, encoder, indices)
        matrix = _written_by(subject, base)
        return rows.to(torch.float32) if matrix is None else rows.to(torch.float32) @ matrix
    chosen = torch.as_tensor(indices, device=subject.device)
    matrix = _written_by(subject, hook)
    if matrix is None:
        return torch.nn.functional.one_hot(chosen, subject.width(hook)).to(torch.float32)
    return matrix.index_select(0, chosen)


def all_output_directions(subject: SubjectModel, hook: str) -> Float[Tensor, "unit d_model"]:
    """Those of all units of a hook point, not copied where the weights stand so in the model.

    Raises:
        InputError: as `output_directions`.
    """
    # Of neurons, the weights tell how many there are without a pass through the model.
    matrix = _written_by(subject, hook) if hook not in subject.encoders else None
    if matrix is not None:
        return matrix
    return output_directions(subject, hook, range(subject.width(hook)))


def final_directions(
    subject: SubjectModel, hook: str, indices: Sequence[int]
) -> Float[Tensor, "unit d_model"]:
    """What is left of `output_directions` before the final norm.

    The same, but where each block ends in a norm of the stream: behind those, their divisors
    held at 1.

    Raises:
        InputError: as there, or units between such norms.
    """
    encoder = subject.encoders.get(hook)
    if encoder is None:
        place = hook
    elif isinstance(encoder, SparseEncoder):
        place = encoder.writes_to
    else:
        place = encoder.hook
    return through_norms_behind(subject, place, output_directions(subject, hook, indices))


def readout(subject: SubjectModel) -> Readout:
    """Unembedding and final norm of the model as it is, folded into each other or not.

    The norm is asked rather than its weights read: some models add 1 to them, some folded them
    into the unembedding. Logits' soft caps are left out, as they keep the order.

    Raises:
        InputError: the model has no final norm or unembedding of a known form.
    """
    _refuse_unwrapped(subject)
    unembed, norm = component(subject.bridge, "unembed"), final_norm(subject.bridge)
    weights = getattr(unembed, "weight", None)
    nothing_behind = norm is None and has_norms_behind_blocks(subject.bridge)
    if (
        (norm is None and not nothing_behind)
        or not isinstance(weights, Tensor)
        or weights.ndim != 2
    ):
        raise InputError(f"{subject.name} has no final norm or unembedding that could be read")
    matrix = weights.detach().to(torch.float32)
    narrower = getattr(component(subject.bridge, "project_out"), "weight", None)
    if narrower is not None:
        matrix = matrix @ narrower.detach().to(torch.float32)
    if norm is None:
        return Readout(matrix, None, centred=False)
    gain, centred = gain_of(norm, int(matrix.shape[1]), subject.device)
    return Readout(matrix, gain, centred)


def logit_effects(
    subject: SubjectModel, units: Sequence[HookUnits], *, k: int = 10
) -> tuple[LogitEffect, ...]:
    """The most promoted and suppressed tokens of every unit, in the order given.

    The unit's output direction goes through the final norm with its divisor held at 1 (its mean
    is taken away where the norm does that, and its gain applied, whether folded into the
    unembedding or not), then through the unembedding. Later layers are passed by, but for norms
    of the stream at the end of each. Each list has
    `k` tokens, or the whole vocabulary where that is less.

    Raises:
        InputError: units that do not exist, or a model whose weights could not be found.
    """
    read = readout(subject)
    n_vocab = int(read.weights.shape[0])
    step = max(1, _AT_ONCE // n_vocab)
    result: list[LogitEffect] = []
    for group in units:
        for first in range(0, len(group.indices), step):
            indices = group.indices[first : first + step]
            effects = token_effects(read, final_directions(subject, group.hook, indices))
            ids = [UnitId(subject.name, group.hook, index) for index in indices]
            up = _tokens(subject, effects, min(k, n_vocab), largest=True)
            down = _tokens(subject, effects, min(k, n_vocab), largest=False)
            result += [LogitEffect(*row) for row in zip(ids, up, down, strict=True)]
    return tuple(result)


def token_effects(
    read: Readout, directions: Float[Tensor, "unit d_model"]
) -> Float[Tensor, "unit vocab"]:
    """What each direction adds to each token's logit, against the mean over the vocabulary."""
    if read.centred:
        directions = directions - directions.mean(dim=1, keepdim=True)
    if read.gain is not None:
        directions = directions * read.gain
    raw = directions @ read.weights.T
    means = raw.mean(dim=1, keepdim=True)
    if bool(torch.isfinite(means).all()):
        return raw.sub_(means)
    # Rows that fill up a vocabulary are NaN or infinite in some models.
    known = torch.where(torch.isfinite(raw), raw, torch.nan)
    return known - known.nanmean(dim=1, keepdim=True)


def _refuse_unwrapped(subject: SubjectModel) -> None:
    if isinstance(subject.bridge, PlainModel):
        kind = type(subject.bridge.original_model).__name__
        raise InputError(
            f"logit effects are not read in a {kind} like {subject.name}: what lies between its "
            "layers and its logits is not known, as TransformerLens does not wrap it"
        )


def _written_by(subject: SubjectModel, hook: str) -> Tensor | None:
    """Rows that the hook point's coordinates write, None where it is the residual stream."""
    block = subject.bridge.blocks[HookPoint(hook).layer]
    kind = hook.split(".", 2)[2]
    if kind in _RESIDUAL:
        return None
    _refuse_unwrapped(subject)
    if (place := expert_hook(hook)) is not None:
        experts = experts_of(subject.bridge, place[0])
        assert experts is not None  # check_indices has looked
        rows = experts.rows(place[1]).to(torch.float32)
        if rows.shape[1] != subject.bridge.cfg.d_model:
            msg = (
                f"what the units of {hook} of {subject.name} write goes through a matrix of its own"
            )
            raise InputError(f"{msg}, behind the experts; their logit effects are not read")
        return _behind_norms(subject, rows, block, OF_EXPERTS)
    before_gate = kind != "mlp.hook_post" and gated(subject.bridge, hook)
    if kind in ("mlp.hook_post", "mlp.hook_pre", "mlp.hook_mid") and not before_gate:
        projection = output_projection(subject.bridge, hook)
        rows = _rows(subject, hook, projection, block, OF_MLP)
        inner = component(getattr(block, "mlp", None), "ln")
        if inner is None or kind == "mlp.hook_post":
            return rows
        gain, centred = gain_of(inner, len(rows), subject.device)
        rows = rows * gain[:, None]
        return rows - rows.mean(dim=0) if centred else rows
    if kind == "attn.hook_z":
        projection = component(getattr(block, "attn", None), "o")
        return _rows(subject, hook, projection, block, ("ln1_post",))
    inside = kind.startswith("mlp.") and kind.count(".") == 1
    hint = "; mlp.hook_post of the same block does" if inside else ""
    msg = f"units of {hook} of {subject.name} do not write to the residual stream themselves{hint}"
    raise InputError(msg)


def _rows(
    subject: SubjectModel, hook: str, projection: Any, block: Any, norms: Sequence[str]
) -> Tensor:
    weights = getattr(projection, "weight", None)
    if not isinstance(weights, Tensor) or weights.ndim != 2:
        raise InputError(f"the output weights behind {hook} of {subject.name} could not be found")
    # A Linear holds (out, in), the Conv1D of GPT-2 (in, out).
    rows = weights.detach().T if isinstance(projection, torch.nn.Linear) else weights.detach()
    return _behind_norms(subject, rows.to(torch.float32), block, norms)


def _behind_norms(subject: SubjectModel, rows: Tensor, block: Any, names: Sequence[str]) -> Tensor:
    for name in names:
        norm = component(block, name)
        if norm is not None:
            rows = rows * gain_of(norm, int(rows.shape[1]), subject.device)[0]
    return rows


def _tokens(
    subject: SubjectModel, effects: Tensor, k: int, *, largest: bool
) -> tuple[TokenValues, ...]:
    worst = -torch.inf if largest else torch.inf
    best = torch.topk(effects, k, dim=1, largest=largest)
    if bool(best.values.isnan().any()):
        best = torch.topk(torch.nan_to_num(effects, nan=worst), k, dim=1, largest=largest)
    rows = []
    for ids, values in zip(best.indices.tolist(), best.values.tolist(), strict=True):
        pairs = zip(subject.tokenizer.pieces(ids), values, strict=True)
        rows.append(tuple(pair for pair in pairs if abs(pair[1]) < float("inf")))
    return tuple(rows)
