"""Whether units promote what really follows their exemplars."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from autointerp.core.errors import InputError
from autointerp.core.ids import Side, UnitId
from autointerp.core.records import ActivationRecord
from autointerp.core.unit_evidence import Absent, Measure, Quantity
from autointerp.evidence.output_weights import Readout, final_directions, readout, token_effects
from autointerp.subjects import HookUnits, SubjectModel, select_units

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
        parts = {key: (_following(r, key[1]), _others(r)) for key, r in exemplars.items()}
        joined = [token for both in parts.values() for part in both for token in part]
        every, places = np.unique(np.array(joined, dtype=np.int64), return_inverse=True)
        result, end = {}, 0
        with torch.inference_mode():
            groups = {
                group.hook: (group.indices, self._effects(self._readout, group, every))
                for group in select_units(unit for unit, _ in exemplars)
            }
            for (unit, side), (following, others) in parts.items():
                first, end = end, end + len(following) + len(others)
                indices, effects = groups[unit.hook]
                if effects is None:
                    result[unit, side] = lacking
                    continue
                line = side.sign * effects[indices.index(unit.index)]
                chosen = line[torch.from_numpy(places[first:end])]
                n = len(following)
                result[unit, side] = _measure(chosen[:n], chosen[n:])
        return result

    def _effects(
        self, read: Readout, group: HookUnits, tokens: NDArray[np.int64]
    ) -> Float[Tensor, "unit token"] | None:
        """In standard deviations over the vocabulary; None where nothing is written."""
        try:
            directions = final_directions(self._subject, group.hook, group.indices)
        except InputError:
            return None
        n = len(read.weights)
        sample = torch.arange(0, n, max(1, n // _SAMPLE), device=read.weights.device)
        chosen = torch.as_tensor(tokens, device=sample.device)
        rows = torch.cat([sample, chosen])
        part = Readout(read.weights[rows], read.gain, read.centred)
        effects = torch.nan_to_num(token_effects(part, directions), posinf=0.0, neginf=0.0)
        spread = effects[:, : len(sample)].std(dim=1, keepdim=True)
        centred = effects - effects[:, : len(sample)].mean(dim=1, keepdim=True)
        return (centred[:, len(sample) :] / spread.clamp_min(1e-30)).cpu()


def _following(records: Sequence[ActivationRecord], side: Side) -> list[int]:
    tokens: list[int] = []
    for record in records:
        line = record.activations
        largest = max(line) if side is Side.POSITIVE else min(line)
        peak = line.index(largest) if side.sign * largest > 0 else 0
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
