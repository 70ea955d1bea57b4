"""Units held at given values in some rows of a forward pass, and the same change turned in others.

Every row of such a pass is of the same text. A neuron is held by writing its value; a latent or a
direction by adding what the difference writes, so that what an SAE leaves over stays; a neuron of
an expert by adding what the difference writes at the router's weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from autointerp.core.ids import UnitId
from autointerp.evidence.output_weights import decoder_rows
from autointerp.evidence.write_sites import Turn, WriteSite
from autointerp.subjects import Directions, Encoder, SparseEncoder, SubjectModel
from autointerp.subjects.experts import expert_hook, experts_of, listening

_Change = Callable[[Tensor], Tensor]


@dataclass(frozen=True, slots=True, eq=False)
class HeldUnits:
    """Units of one hook point and what they are held at."""

    hook: str
    indices: tuple[int, ...]
    values: Float[Tensor, "pos unit"]
    """Model units; one row for all positions of the text, or one a position that is held."""
    positions: tuple[int, ...] | None = None
    """0-based tokens at which they are held; None for all but BOS."""
    added: bool = False
    """Whether the values are added to what the units are, in place of it."""
    whole: bool = False
    """Whether neurons are held at BOS too, as if their output weights were others; latents and
    directions, which are not read there, never are."""

    @classmethod
    def pushed(cls, unit: UnitId, strength: float) -> HeldUnits:
        """One unit with so much added to its activation."""
        return cls(unit.hook, (unit.index,), torch.tensor([[strength]]), added=True)

    def of(self, current: Float[Tensor, "pos unit"]) -> Float[Tensor, "pos unit"]:
        """The activations on a text as they are held, BOS among them where they are held there."""
        result, values = current.clone(), self.values.to(current)
        where = slice(None) if self.positions is None else list(self.positions)
        result[where] = result[where] + values if self.added else values.expand_as(result[where])
        return result


HeldRow = tuple[HeldUnits, ...]
"""What is held in one row, of each hook point once; nothing in a row of the model as it is."""


class RowHolds:
    """Holds units in the rows of one pass; make one for each."""

    def __init__(
        self, subject: SubjectModel, rows: Sequence[HeldRow], *, n_rows: int, n_pos: int, skip: int
    ) -> None:
        """Takes what the first rows hold; of all rows the first `skip` positions are BOS."""
        self._subject, self._skip = subject, skip
        self._shape = (n_rows, n_pos)
        self._rows: dict[str, list[tuple[int, HeldUnits]]] = {}
        for number, row in enumerate(rows):
            for held in row:
                self._rows.setdefault(held.hook, []).append((number, held))
        self.changed = [False] * len(rows)
        """Whether some unit of the row was at another value than that which it is held at."""

    @contextmanager
    def during(self, turn: Turn | None = None) -> Iterator[None]:
        """While it lasts, passes of these rows hold the units; `turn` comes behind them."""
        with ExitStack() as stack:
            for hook, rows in self._rows.items():
                if (place := expert_hook(hook)) is not None:
                    stack.enter_context(self._experts(place, rows))
                elif (encoder := self._subject.encoders.get(hook)) is not None:
                    for at, change in self._encoded(encoder, rows):
                        stack.enter_context(self._changing(at, change))
                else:
                    stack.enter_context(self._changing(hook, self._written_in(rows)))
            if turn is not None:
                stack.enter_context(turn.during())
            yield

    def _changing(self, hook: str, change: _Change) -> AbstractContextManager[None]:
        return WriteSite.at(self._subject, hook).changing(change)

    def _rows_of(self, activations: Tensor) -> Float[Tensor, "batch pos unit"]:
        return activations.reshape(*self._shape, -1).clone()

    def _from(self, held: HeldUnits) -> int:
        return 0 if held.whole else self._skip

    def _held(self, number: int, held: HeldUnits, current: Tensor) -> Tensor:
        result = held.of(current)
        self.changed[number] |= not torch.equal(result, current)
        return result

    def _written_in(self, rows: Sequence[tuple[int, HeldUnits]]) -> _Change:
        def change(activations: Tensor) -> Tensor:
            flat = self._rows_of(activations)
            for number, held in rows:
                part, chosen = flat[number, self._from(held) :], list(held.indices)
                part[:, chosen] = self._held(number, held, part[:, chosen])
            return flat.reshape(activations.shape)

        return change

    def _encoded(
        self, encoder: Encoder, rows: Sequence[tuple[int, HeldUnits]]
    ) -> Iterator[tuple[str, _Change]]:
        """Where latents are read and where their difference is written, in that order."""
        written: dict[int, Tensor] = {}
        vectors = [_written_by(self._subject, encoder, held.indices) for _, held in rows]
        writes_to = vectors[0][0]

        def read(activations: Tensor) -> Tensor:
            flat = self._rows_of(activations)[:, self._skip :]
            for (number, held), (_, rows_of) in zip(rows, vectors, strict=True):
                current = encoder.encode(flat[number][None])[0][:, list(held.indices)]
                added = (self._held(number, held, current) - current) @ rows_of
                # What is pushed is added as steering adds it: decoder rows as they are.
                if isinstance(encoder, SparseEncoder) and not held.added:
                    added = added * encoder.scale(flat[number])
                written[number] = added
            return write(activations) if encoder.hook == writes_to else activations

        def write(activations: Tensor) -> Tensor:
            flat = self._rows_of(activations)
            for number, added in written.items():
                flat[number, self._skip :] += added.to(flat.dtype)
            return flat.reshape(activations.shape)

        yield encoder.hook, read
        if encoder.hook != writes_to:
            yield writes_to, write

    def _experts(
        self, place: tuple[int, int], rows: Sequence[tuple[int, HeldUnits]]
    ) -> AbstractContextManager[None]:
        experts, expert = experts_of(self._subject.bridge, place[0]), place[1]
        assert experts is not None  # check_indices has looked

        def listen(entered: tuple[Tensor, ...], left: Tensor) -> Tensor:
            before = self._rows_of(experts.neurons(expert, entered))
            after = before.clone()
            for number, held in rows:
                chosen, start = list(held.indices), self._from(held)
                part = before[number, start:][:, chosen]
                after[number, start:][:, chosen] = self._held(number, held, part)
            added = (after - before).flatten(0, 1)
            return left + experts.change(expert, entered, added).reshape(left.shape)

        return listening(experts, listen)


def _written_by(
    subject: SubjectModel, encoder: Encoder, indices: Sequence[int]
) -> tuple[str, Float[Tensor, "unit d_model"]]:
    """Where units of an encoder write, and what each of them adds there."""
    if isinstance(encoder, Directions):
        # Directions that are not at right angles are moved together.
        vectors = encoder.vectors[list(indices)].to(torch.float32)
        return encoder.hook, torch.linalg.pinv(vectors).T
    return decoder_rows(subject, encoder, indices)
