"""Which tokens a unit makes more and less probable, by its weights alone (logit lens)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from autointerp.core.ids import Side, UnitId
from autointerp.interventions.output_weights import Readout, output_directions, readout
from autointerp.subjects import HookUnits, SubjectModel

_AT_ONCE = 2**24

TokenValues = tuple[tuple[str, float], ...]


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

    def of(self, side: Side) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(promoted, suppressed) tokens while that side of the unit is active."""
        up = tuple(token for token, _ in self.promoted)
        down = tuple(token for token, _ in self.suppressed)
        return (up, down) if side is Side.POSITIVE else (down, up)


def logit_effects(
    subject: SubjectModel, units: Sequence[HookUnits], *, k: int = 10
) -> tuple[LogitEffect, ...]:
    """The most promoted and suppressed tokens of every unit, in the order given.

    The unit's output direction goes through the final norm with its divisor held at 1 (its mean
    is taken away where the norm does that, and its gain applied, whether folded into the
    unembedding or not), then through the unembedding. Later layers are passed by.

    Args:
        subject: the model.
        units: as from `parse_units`.
        k: tokens a list, at most the vocabulary.

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
            effects = token_effects(read, output_directions(subject, group.hook, indices))
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
    raw = directions @ read.weights.T
    # Rows that fill up a vocabulary are NaN or infinite in some models.
    known = torch.where(torch.isfinite(raw), raw, torch.nan)
    return known - known.nanmean(dim=1, keepdim=True)


def _tokens(
    subject: SubjectModel, effects: Tensor, k: int, *, largest: bool
) -> tuple[TokenValues, ...]:
    worst = -torch.inf if largest else torch.inf
    best = torch.topk(torch.nan_to_num(effects, nan=worst), k, dim=1, largest=largest)
    rows = []
    for ids, values in zip(best.indices.tolist(), best.values.tolist(), strict=True):
        pairs = zip(subject.tokenizer.pieces(ids), values, strict=True)
        rows.append(tuple(pair for pair in pairs if abs(pair[1]) < float("inf")))
    return tuple(rows)
