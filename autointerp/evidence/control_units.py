"""The controls of what is done to units: as many others of their hook points, and directions."""

from __future__ import annotations

import random
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from autointerp.core.causal_evidence import ControlKind, Standing
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.core.seeds import derive_seed
from autointerp.evidence.write_sites import WriteSite
from autointerp.subjects import HookUnits, SubjectModel, select_units

UnitSet = tuple[UnitId, ...]


class Drawn(NamedTuple):
    """Controls of one kind, or why there are none."""

    n: int
    reason: str | None = None

    @property
    def asked(self) -> bool:
        """Whether there should be any."""
        return self.n > 0 or self.reason is not None

    def standing(self, control: ControlKind, own: float, values: Sequence[float]) -> Standing:
        """Where a number stands among those of the controls."""
        if self.reason is not None:
            return Standing.none(control, self.reason)
        return Standing.of(control, own, values)


@dataclass(frozen=True, slots=True)
class Controls:
    """What units are compared with."""

    sets: tuple[tuple[HookUnits, ...], ...]
    """Other units, as many of each hook point."""
    units: Drawn
    directions: Drawn

    def standings(
        self, own: float, of_units: Sequence[float], of_directions: Sequence[float]
    ) -> tuple[Standing, ...]:
        """Where a number stands among those of the controls, for each kind that was asked for."""
        parts = (
            (ControlKind.UNITS, self.units, of_units),
            (ControlKind.DIRECTIONS, self.directions, of_directions),
        )
        return tuple(
            drawn.standing(kind, own, values) for kind, drawn, values in parts if drawn.asked
        )

    @property
    def turns(self) -> tuple[int, ...]:
        """Numbers of the random directions."""
        return tuple(range(self.directions.n))


def draw_controls(
    subject: SubjectModel,
    units: UnitSet,
    *,
    n: int,
    seed: int,
    against: Collection[ControlKind] = tuple(ControlKind),
) -> Controls:
    """At most `n` of each kind asked for, the same for all units of a hook point but themselves.

    No unit is in two of them.
    """
    groups = select_units(units)
    n_units, n_directions = (n if kind in against else 0 for kind in ControlKind)
    of_hooks = [_others(subject, group, n_units, seed) for group in groups]
    n_sets = min(map(len, of_hooks))
    reason = None
    if n_units and not n_sets:
        reason = "its hook point has too few other units"
    sets = tuple(tuple(of_hook[place] for of_hook in of_hooks) for place in range(n_sets))
    return Controls(sets, Drawn(n_sets, reason), _directions(subject, groups, n_directions))


def _others(subject: SubjectModel, group: HookUnits, n: int, seed: int) -> list[HookUnits]:
    width, k = subject.width(group.hook), len(group.indices)
    drawn = random.Random(derive_seed(seed, "control units", group.hook))
    order = drawn.sample(range(width), min(width, (n + 1) * k))
    own = set(group.indices)
    left = [index for index in order if index not in own]
    starts = range(0, min(n, len(left) // k) * k, k)
    return [HookUnits(group.hook, tuple(sorted(left[start : start + k]))) for start in starts]


def _directions(subject: SubjectModel, groups: Sequence[HookUnits], n: int) -> Drawn:
    if len(groups) > 1:
        return Drawn(0, "its units write at several places" if n else None)
    try:
        WriteSite.of(subject, groups[0].hook)
    except InputError as error:
        return Drawn(0, str(error) if n else None)
    return Drawn(n)


class TextValues:
    """What units do on some text; each is read once."""

    def __init__(self, subject: SubjectModel, texts: Sequence[tuple[int, ...]]) -> None:
        """Takes the token ids of each text, without BOS."""
        self._subject, self.texts = subject, tuple(texts)
        self._lines: dict[tuple[str, int], list[Float[Tensor, " pos"]]] = {}

    def of(self, group: HookUnits, text: int) -> Float[Tensor, "pos unit"]:
        """On one of the texts."""
        self.read((group,))
        lines = [self._lines[group.hook, index][text] for index in group.indices]
        return torch.stack(lines, dim=1)

    def means(self, group: HookUnits) -> Float[Tensor, "one unit"]:
        """Over all tokens of the texts."""
        self.read((group,))
        every = [torch.cat(self._lines[group.hook, index]).double() for index in group.indices]
        return torch.stack([line.mean() for line in every])[None]

    def read(self, groups: Sequence[HookUnits]) -> None:
        """Reads what is not known yet, of all of these together.

        Raises:
            InputError: an activation is not finite.
        """
        missing = select_units(
            UnitId(self._subject.name, group.hook, index)
            for group in groups
            for index in group.indices
            if (group.hook, index) not in self._lines
        )
        if not missing:
            return
        asked = {group.hook: group.indices for group in missing}
        names = [(hook, index) for hook, indices in asked.items() for index in indices]
        read = {name: list[Float[Tensor, " pos"]]() for name in names}
        step = max(1, 4096 // max(map(len, self.texts)))
        for first in range(0, len(self.texts), step):
            rows = self.texts[first : first + step]
            values = torch.from_numpy(self._subject.read_rows(rows, asked))
            for row, lines in zip(rows, values, strict=True):
                for name, line in zip(names, lines[:, : len(row)], strict=True):
                    read[name].append(_finite(line, name))
        self._lines |= read


def _finite(line: Tensor, name: tuple[str, int]) -> Tensor:
    if not bool(torch.isfinite(line).all()):
        raise InputError(
            f"an activation of {name[0]}/{name[1]} is not finite; load the subject model in "
            "float32 or find the broken weights"
        )
    # A copy: the line is a part of what was read of all units.
    return line.clone()
