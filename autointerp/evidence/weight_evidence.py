"""What the weights alone say of units: how they read and write, and which units lie near.

Costs one product of the units asked for with the weights of their layer and of eight others.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from autointerp.core.ids import HookPoint, Side, UnitId
from autointerp.core.unit_evidence import (
    Absent,
    Measure,
    NearUnit,
    NearUnits,
    Quantity,
    Relation,
    UnitEvidence,
    three_digits,
)
from autointerp.evidence.layer_weights import HookWeights, LayerWeights, reads_stream
from autointerp.subjects import Directions, SubjectModel, select_units

N_NEAR = 3
"""Units that are named of each relation."""
_MOST_COMPARED = 2**26
"""Numbers of a hook point's weights that every unit is compared with; more take too long."""
_COSINES = {
    "input": Quantity.INPUT_OUTPUT_COSINE,
    "gate": Quantity.GATE_OUTPUT_COSINE,
    "up": Quantity.UP_OUTPUT_COSINE,
}
_NORMS = {
    "input": Quantity.INPUT_NORM,
    "gate": Quantity.INPUT_NORM,
    "up": Quantity.UP_NORM,
    "output": Quantity.OUTPUT_NORM,
}
_Near = dict[Relation, NearUnits]


class WeightEvidence:
    """Reads it for units of one subject model."""

    def __init__(self, subject: SubjectModel) -> None:
        self._subject = subject
        self._weights = LayerWeights(subject)

    def of(self, sides: Iterable[tuple[UnitId, Side]]) -> dict[tuple[UnitId, Side], UnitEvidence]:
        """The evidence of each side; of coordinates of the stream, which have no weights, none."""
        asked = list(sides)
        result: dict[tuple[UnitId, Side], UnitEvidence] = {}
        with torch.inference_mode():
            for group in select_units(unit for unit, _ in asked):
                if group.hook not in self._subject.encoders and reads_stream(group.hook):
                    continue
                indices = list(group.indices)
                near = self._near(group.hook, indices)
                known = self._weights.of(group.hook)
                turned = self._turned(group.hook)
                for unit, side in (one for one in asked if one[0].hook == group.hook):
                    one = near[indices.index(unit.index)]
                    result[unit, side] = UnitEvidence(
                        tuple(self._measures(known, unit, side)),
                        tuple(
                            _negated(one[relation])
                            if side is Side.NEGATIVE and relation in turned
                            else one[relation]
                            for relation in Relation
                        ),
                    )
        return result

    def _turned(self, hook: str) -> frozenset[Relation]:
        """Relations whose cosines have the other sign on the negative side.

        It writes the opposite; that of a direction reads the opposite too.
        """
        is_direction = isinstance(self._subject.encoders.get(hook), Directions)
        both = (Relation.UPSTREAM, Relation.DOWNSTREAM)
        return frozenset(both if is_direction else both[1:])

    def _measures(self, known: HookWeights, unit: UnitId, side: Side) -> Iterator[Measure]:
        """In the order of `Quantity`."""
        index = unit.index
        opposed = Relation.UPSTREAM in self._turned(unit.hook)
        for name in known.reads or ("input",):
            absent = _no_cosine(known, name, index)
            if absent is not None:
                yield Measure(_COSINES[name], None, absent=absent)
                continue
            values = known.cosines[name]
            # Where the opposite is read as well as written, the cosine stays.
            sign = 1 if name == "up" or opposed else side.sign
            control = values.share_as_large(index)
            yield Measure.of(_COSINES[name], values[index] * sign, control=control)
        for name, norms in known.norms.items():
            yield Measure.of(_NORMS[name], norms[index], control=norms.median)
        if known.write_lengths is None:
            yield Measure(Quantity.OUTPUT_NORM, None, absent=Absent.OUTPUT_UNKNOWN)
        if (products := known.bias_products) is None:
            absent = Absent.NO_BIAS if known.reads else Absent.INPUT_UNKNOWN
            yield Measure(Quantity.NORM_TIMES_BIAS, None, absent=absent)
        else:
            yield Measure.of(Quantity.NORM_TIMES_BIAS, products[index], control=products.median)

    def _near(self, hook: str, indices: Sequence[int]) -> list[_Near]:
        """The nearest units of each, of its positive side."""
        known, weights = self._weights.of(hook), self._weights
        result: list[_Near] = [{} for _ in indices]

        def put(relation: Relation, found: list[NearUnits] | Absent) -> None:
            for place, one in enumerate(result):
                one[relation] = (
                    NearUnits(relation, (), None, found)
                    if isinstance(found, Absent)
                    else found[place]
                )

        name = next(iter(known.reads), None)
        chosen = torch.as_tensor(indices, device=self._subject.device)
        reading = None if name is None else known.reads[name].of(chosen)
        before, behind = weights.near(hook)
        put(Relation.LIKE_INPUT, self._like_input(hook, indices, name, reading))
        put(Relation.LIKE_OUTPUT, self._like_output(hook, indices))
        elsewhere = reading is not None and not known.in_stream
        put(
            Relation.UPSTREAM,
            Absent.INPUT_ELSEWHERE if elsewhere else self._upstream(before, reading),
        )
        put(Relation.DOWNSTREAM, self._downstream(behind, weights.to_stream(hook, list(indices))))
        return result

    def _like_input(
        self, hook: str, indices: Sequence[int], name: str | None, reading: Tensor | None
    ) -> list[NearUnits] | Absent:
        if reading is None or name is None:
            return Absent.INPUT_UNKNOWN
        known = self._weights.of(hook)
        if (absent := _not_compared(known, reading.shape[1])) is not None:
            return absent
        # What reads is behind its gain already: only the rows of the others go through it.
        products = known.reads[name].with_reading(reading)
        return _nearest(
            Relation.LIKE_INPUT, reading, [(hook, products, known.read_lengths[name])], own=indices
        )

    def _like_output(self, hook: str, indices: Sequence[int]) -> list[NearUnits] | Absent:
        known = self._weights.of(hook)
        every, lengths = self._weights.all_writes(hook), known.write_lengths
        if every is None or lengths is None:
            return Absent.OUTPUT_UNKNOWN
        if (absent := _not_compared(known, every.shape[1])) is not None:
            return absent
        rows = self._weights.less_mean(hook, every[list(indices)])
        products = rows @ every.T
        return _nearest(Relation.LIKE_OUTPUT, rows, [(hook, products, lengths)], own=indices)

    def _upstream(self, hooks: Sequence[str], reading: Tensor | None) -> list[NearUnits] | Absent:
        if reading is None:
            return Absent.INPUT_UNKNOWN
        parts = []
        for hook in hooks:
            every, lengths = self._weights.all_writes(hook), self._weights.of(hook).write_lengths
            if every is not None and lengths is not None:
                # Of what reads, the mean is gone: that of what is written plays no part.
                parts.append((hook, reading @ every.T, lengths))
        if not parts:
            return Absent.OTHERS_UNKNOWN if hooks else Absent.FIRST_LAYER
        return _nearest(Relation.UPSTREAM, reading, parts)

    def _downstream(self, hooks: Sequence[str], written: Tensor | None) -> list[NearUnits] | Absent:
        if written is None:
            return Absent.OUTPUT_UNKNOWN
        parts = []
        for hook in hooks:
            known = self._weights.of(hook)
            name = next(iter(known.reads), None)
            if name is not None:
                products = known.reads[name].along(written)
                parts.append((hook, products, known.read_lengths[name]))
        if not parts:
            return Absent.OTHERS_UNKNOWN if hooks else Absent.LAST_LAYER
        return _nearest(Relation.DOWNSTREAM, written, parts)


def _no_cosine(known: HookWeights, name: str, index: int) -> Absent | None:
    if not known.reads:
        return Absent.INPUT_UNKNOWN
    if known.write_lengths is None:
        return Absent.OUTPUT_UNKNOWN
    if name not in known.cosines:
        return Absent.INPUT_ELSEWHERE
    has_length = known.norms[name][index] > 0 and known.norms["output"][index] > 0
    return None if has_length else Absent.NO_LENGTH


def _not_compared(known: HookWeights, width: int) -> Absent | None:
    lengths = known.write_lengths
    n = len(lengths) if lengths is not None else len(next(iter(known.read_lengths.values())))
    if n < 2:
        return Absent.ONLY_UNIT
    return Absent.TOO_MANY if n * width > _MOST_COMPARED else None


def _nearest(
    relation: Relation,
    directions: Tensor,
    parts: Sequence[tuple[str, Tensor, Tensor]],
    *,
    own: Sequence[int] | None = None,
) -> list[NearUnits]:
    """Of each direction the units with the largest cosines in size.

    Parts are a hook point, products of all directions with its units, and the units' lengths.
    """
    from autointerp.evidence.compiled_cosines import largest_cosines  # noqa: PLC0415

    lengths = directions.norm(dim=1).cpu().numpy()
    skipped = np.full(len(lengths), -1) if own is None else np.array(own)
    places = np.full((len(lengths), N_NEAR), -1)
    values, n = np.zeros((len(lengths), N_NEAR), dtype=np.float32), 0
    for _, products, others in parts:
        found = (products.cpu().numpy(), lengths, others.cpu().numpy())
        largest_cosines(*found, skipped - n, n, (places, values))
        n += len(others)
    ends = np.cumsum([len(others) for _, _, others in parts])
    layers = [HookPoint(hook).layer for hook, _, _ in parts]
    n_compared = max(2, n - (own is not None))
    chance = three_digits(min(1.0, math.sqrt(2 * math.log(n_compared) / directions.shape[1])))
    part_of = np.searchsorted(ends, places, side="right").tolist()
    starts = [0, *ends.tolist()]
    return [
        NearUnits(
            relation,
            tuple(
                NearUnit(layers[part], place - starts[part], three_digits(value))
                for part, place, value in zip(*each, strict=True)
                if place >= 0
            ),
            chance,
        )
        for each in zip(part_of, places.tolist(), values.tolist(), strict=True)
    ]


def _negated(near: NearUnits) -> NearUnits:
    turned = tuple(NearUnit(u.layer, u.index, 0.0 - u.cosine) for u in near.units)
    return replace(near, units=turned)
