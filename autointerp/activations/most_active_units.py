"""The units that are most active on one text, of as many as a model has, in one forward pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from autointerp.activations.activation_reading import token_ids_of
from autointerp.core.errors import InputError
from autointerp.core.ids import Side, UnitId
from autointerp.subjects import SubjectModel, neuron_layers

Maxima = Mapping[tuple[str, Side], Mapping[int, float]]
"""(hook point, side) -> unit index -> the side's largest activation in a collection."""


@dataclass(frozen=True, slots=True)
class StrongUnit:
    """One side of a unit on a text."""

    unit: UnitId
    side: Side
    activation: float
    """The side's largest on the text, model units, above 0."""
    position: int
    """0-based token at which that is."""
    maximum: float | None
    """The side's largest in a collection; None where none is known."""

    @property
    def relative(self) -> float | None:
        """The activation as a share of the maximum; above 1 where it is stronger."""
        return None if self.maximum is None else self.activation / self.maximum

    @property
    def rank(self) -> tuple[bool, float]:
        """Sorts the strongest first: by share where a maximum is known, and before others."""
        relative = self.relative
        return relative is None, -(self.activation if relative is None else relative)


class _PeakOfUnit(NamedTuple):
    place: int
    activation: float
    position: int
    maximum: float | None


@dataclass(frozen=True, slots=True)
class StrongestUnits:
    """The strongest units on a text."""

    token_ids: tuple[int, ...]
    tokens: tuple[str, ...]
    hooks: tuple[str, ...]
    """Hook points that were read."""
    units: tuple[StrongUnit, ...]
    """Strongest first: those whose maximum is known, by their share of it, then the others, by
    their activation."""

    @property
    def plain(self) -> dict[str, list[Any]]:
        """The same, for JSON."""
        units = [
            {
                "unit": str(one.unit),
                "side": one.side.value,
                "activation": one.activation,
                "position": one.position,
                "maximum": one.maximum,
                "relative": one.relative,
            }
            for one in self.units
        ]
        known = {"token_ids": self.token_ids, "tokens": self.tokens, "hooks": self.hooks}
        return {name: list(values) for name, values in known.items()} | {"units": units}


def strongest_units(
    subject: SubjectModel,
    text: str | Sequence[int],
    n: int,
    *,
    layers: Sequence[int] | None = None,
    maxima: Maxima | None = None,
) -> StrongestUnits:
    """The n strongest units of some layers on a text, or on tokens that are read as they are.

    Units are the MLP neurons of these layers, of all where None, and those at other hook points of
    `maxima`. Of each hook point n are kept: memory does not grow with their number.

    Raises:
        InputError: a layer that the model does not have, or a text that it cannot read.
    """
    token_ids, known = token_ids_of(subject, text), maxima or {}
    hooks = _hooks(subject, layers, known)
    best: list[StrongUnit] = []

    def receive(hook: str, activations: Tensor) -> None:
        for side in Side if subject.two_sided(hook) else (Side.POSITIVE,):
            of_side = activations[0].float() * side.sign
            for one in _strongest(of_side, n, known.get((hook, side), {})):
                unit = UnitId(subject.name, hook, one.place)
                best.append(StrongUnit(unit, side, one.activation, one.position, one.maximum))
        best.sort(key=lambda one: one.rank)
        del best[n:]

    subject.read(torch.tensor([token_ids]), hooks, receive)
    return StrongestUnits(token_ids, subject.tokenizer.pieces(token_ids), hooks, tuple(best))


def _hooks(subject: SubjectModel, layers: Sequence[int] | None, maxima: Maxima) -> tuple[str, ...]:
    wanted = range(subject.n_layers) if layers is None else sorted(set(layers))
    for layer in wanted:
        if not 0 <= layer < subject.n_layers:
            raise InputError(
                f"layer {layer} does not exist: {subject.name} has the layers 0 to "
                f"{subject.n_layers - 1}"
            )
    neurons, missing = neuron_layers(subject)
    others = {hook for hook, _ in maxima if subject.width_or_none(hook) is not None}
    hooks = others | {group.hook for group in neurons}
    chosen = [hook for hook in hooks if int(hook.split(".", 2)[1]) in set(wanted)]
    if not chosen:
        raise InputError(next((missing[i] for i in wanted if i in missing), "name some layers"))
    return tuple(sorted(chosen, key=lambda hook: (int(hook.split(".", 2)[1]), hook)))


def _strongest(values: Tensor, n: int, maxima: Mapping[int, float]) -> Iterable[_PeakOfUnit]:
    """The n units with the greatest share, and n others, each its best first."""
    peaks, positions = values.max(dim=0)
    known = torch.full_like(peaks, torch.nan)
    usable = {i: value for i, value in maxima.items() if value > 0 and i < len(peaks)}
    if usable:
        indices = torch.tensor(list(usable), device=peaks.device)
        known[indices] = torch.tensor(list(usable.values()), device=peaks.device)
    shares = (peaks / known).nan_to_num(-torch.inf)
    others = peaks.where(known.isnan(), -torch.inf)
    for score in (shares, others):
        for i in score.topk(min(n, len(score))).indices.tolist():
            # Where a maximum is known the share is above 0 exactly where the activation is.
            if float(score[i]) > 0:
                yield _PeakOfUnit(i, float(peaks[i]), int(positions[i]), usable.get(i))
