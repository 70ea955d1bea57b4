"""Whether units promote what really follows their exemplars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from autointerp.core.errors import InputError
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import ActivationRecord
from autointerp.core.unit_evidence import Absent, Measure, Quantity
from autointerp.evidence.output_weights import Readout, final_directions, readout, token_effects
from autointerp.subjects import SubjectModel, select_units

_EVERY = 8
"""Of the other tokens of the exemplars so many are one that is compared."""
_SAMPLE = 2048
"""Rows of the vocabulary from which mean and spread of a unit's effects are estimated."""
_Sides = Mapping[tuple[UnitId, Side], Sequence[ActivationRecord]]


class NextTokens:
    """Reads it for the units of one subject model."""

    def __init__(self, subject: SubjectModel) -> None:
        self._subject = subject
        self._readout: Readout | None = None

    def of(self, exemplars: _Sides) -> dict[tuple[UnitId, Side], Measure]:
        """Of each side, from the records that it activates on.

        The control is the same of every eighth token of the same records: what it promotes of
        the text's tokens wherever they stand.
        """
        lacking = Measure(Quantity.NEXT_TOKEN, None, absent=Absent.NO_LOGITS)
        try:
            self._readout = self._readout or readout(self._subject)
        except InputError:
            return dict.fromkeys(exemplars, lacking)
        tokens = {key: (_following(r, key[1]), _others(r)) for key, r in exemplars.items()}
        every = sorted({token for both in tokens.values() for part in both for token in part})
        place = {token: number for number, token in enumerate(every)}
        result = {}
        with torch.inference_mode():
            for group in select_units(unit for unit, _ in exemplars):
                effects = self._effects(self._readout, group.hook, group.indices, every)
                for key, (following, others) in tokens.items():
                    if key[0].hook != group.hook:
                        continue
                    if effects is None:
                        result[key] = lacking
                        continue
                    line = key[1].sign * effects[group.indices.index(key[0].index)]
                    own, chance = (
                        line[[place[token] for token in part]] for part in (following, others)
                    )
                    result[key] = _measure(own, chance)
        return result

    def _effects(
        self, read: Readout, hook: str, indices: Sequence[int], tokens: Sequence[int]
    ) -> Float[Tensor, "unit token"] | None:
        """In standard deviations over the vocabulary; None where nothing is written."""
        try:
            directions = final_directions(self._subject, hook, indices)
        except InputError:
            return None
        n = len(read.weights)
        sample = torch.arange(0, n, max(1, n // _SAMPLE), device=read.weights.device)
        chosen = torch.as_tensor(list(tokens), dtype=torch.long, device=sample.device)
        rows = torch.cat([sample, chosen])
        part = Readout(read.weights[rows], read.gain, read.centred)
        effects = torch.nan_to_num(token_effects(part, directions), posinf=0.0, neginf=0.0)
        spread = effects[:, : len(sample)].std(dim=1, keepdim=True)
        centred = effects - effects[:, : len(sample)].mean(dim=1, keepdim=True)
        return (centred[:, len(sample) :] / spread.clamp_min(1e-30)).cpu()


def _following(records: Sequence[ActivationRecord], side: Side) -> list[int]:
    tokens: list[int] = []
    for record in records:
        line = record.side(side)
        peak = max(range(len(line)), key=line.__getitem__)
        tokens += record.token_ids[peak + 1 : peak + 2]
    return tokens


def _others(records: Sequence[ActivationRecord]) -> list[int]:
    return [token for record in records for token in record.token_ids[::_EVERY]]


def _measure(own: Tensor, chance: Tensor) -> Measure:
    if len(own) < 2 or not len(chance):
        return Measure(Quantity.NEXT_TOKEN, None, absent=Absent.FEW_WINDOWS)
    mean = float(own.mean())
    half = 1.96 * float(own.std()) / len(own) ** 0.5
    interval = (mean - half, mean + half)
    return Measure.of(Quantity.NEXT_TOKEN, mean, control=float(chance.mean()), interval=interval)
