"""Edits of an exemplar's minimal context, made on token ids.

Each token of the context is deleted, replaced by another of the kind and by strangers; then pairs
of them, and all at once, as single edits say nothing where one token can stand in for another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from autointerp.core.characters import join_tokens
from autointerp.core.sense_types import Receipt, ReceiptKind
from autointerp.pipeline.receipts.minimal_contexts import Exemplar
from autointerp.pipeline.receipts.needs import Slot, listed, needs_sentence, quoted_text
from autointerp.pipeline.receipts.replacements import Replacements

NEEDED = 0.3
"""A token is needed where the peak keeps less than this share of its activation without it."""
SPARE = 0.6
"""A token is tried with another where the peak keeps this share of it without the one alone."""
_N_NEAR, _N_SINGLE, _N_PAIRED, _N_IN_FRONT = 5, 16, 4, 4


@dataclass(frozen=True, slots=True)
class Edit:
    """One edited context."""

    slot: Slot
    kind: ReceiptKind
    token_ids: tuple[int, ...]
    """The peak is the last."""
    changed: str
    """``' Anglo' -> ' lamp'``."""


class ContextEdits:
    """Edits of one minimal context, with the activation at the peak after each.

    A token is needed where the peak is silenced when it is deleted and when most of up to three
    strangers take its place. One edit would not do: deleting a token moves the others to where the
    unit may not expect them, and a stranger may happen to serve, or disturb.
    """

    def __init__(
        self,
        exemplar: Exemplar,
        length: int,
        replacements: Replacements,
        pieces: Callable[[Sequence[int]], Sequence[str]],
    ) -> None:
        """Edits the last tokens of the exemplar, so many."""
        self.token_ids, self.tokens = exemplar.last(length), exemplar.tokens[-length:]
        self.activation, self._ahead = exemplar.activation, exemplar.tokens[:-length]
        self._replacements, self._pieces = replacements, pieces
        self._found: dict[tuple[Slot, ReceiptKind], list[tuple[float, Edit]]] = {}

    @property
    def before(self) -> Slot:
        """All positions before the peak; none where it stands alone."""
        return tuple(range(len(self.token_ids) - 1))

    @property
    def peak(self) -> Slot:
        """The position of the peak."""
        return (len(self.before),)

    @property
    def near(self) -> tuple[Slot, ...]:
        """The positions that are edited in every way, the nearest to the peak first."""
        return tuple((i,) for i in reversed(self.before[-_N_NEAR:]))

    @property
    def earlier(self) -> Slot:
        """The positions further away."""
        return self.before[:-_N_NEAR]

    @property
    def pairs(self) -> list[Slot]:
        """Pairs of near tokens neither of which matters alone."""
        spare = [slot for slot in self.near[:_N_PAIRED] if self._is_spare(slot)]
        return [(*far, *near) for near, far in combinations(spare, 2)]

    def first(self) -> Iterator[Edit]:
        """What is tried first, the most telling edits in front."""
        far = tuple((i,) for i in reversed(self.earlier[-(_N_SINGLE - _N_NEAR) :]))
        whole = (self.before, self.peak)
        slots = dict.fromkeys((*whole, *self.near, *far, *((self.earlier,) * bool(self.earlier))))
        edited = dict.fromkeys((self.before, *self.near, self.peak))
        yield from self._edits(slots, ReceiptKind.STRANGER)
        yield from self._edits(edited, ReceiptKind.DELETED)
        yield from self._edits(whole, ReceiptKind.STRANGER)
        yield from self._edits(edited, ReceiptKind.SAME_KIND)

    def second(self) -> Iterator[Edit]:
        """What is tried then: more strangers where one silenced it, and pairs of spare tokens."""
        for slot in [slot for slot, kind in self._found if kind is ReceiptKind.STRANGER]:
            silenced = self._silenced(slot, ReceiptKind.STRANGER)
            if any(silenced):
                yield from self._edits([slot] * (3 - len(silenced)), ReceiptKind.STRANGER)
                if not self._silenced(slot, ReceiptKind.DELETED):
                    yield from self._edits([slot], ReceiptKind.DELETED)
        for pair in self.pairs:
            yield from self._edits([pair] * 2, ReceiptKind.STRANGER)
            yield from self._edits([pair], ReceiptKind.DELETED)

    def take(self, edit: Edit, activation: float) -> None:
        """Notes what an edit came to."""
        self._found.setdefault((edit.slot, edit.kind), []).append((activation, edit))

    def is_needed(self, slot: Slot) -> bool | None:
        """Whether the peak is silenced without it; None where that was not tried."""
        silenced = self._silenced(slot, ReceiptKind.STRANGER)
        if not silenced:
            return None
        return 2 * sum(silenced) > len(silenced) and all(self._silenced(slot, ReceiptKind.DELETED))

    @property
    def needs(self) -> str | None:
        """What the peak needs, as a sentence; None where too little was tried."""
        strangers = self._silenced(self.before, ReceiptKind.STRANGER)
        return needs_sentence(
            self.tokens,
            self.is_needed,
            pairs=self.pairs,
            earlier=self.earlier,
            is_any_text=2 * sum(strangers) <= len(strangers) if strangers else None,
            ahead=self._ahead,
        )

    def receipts(self, level: Callable[[float], float]) -> Iterator[Receipt]:
        """One for each kind of edit at every near or needed place; of strangers the median."""
        shown = {self.before, self.peak, *self.near}
        for (slot, _), tried in self._found.items():
            if slot not in shown and not self.is_needed(slot):
                continue
            activation, edit = sorted(tried, key=lambda pair: pair[0])[len(tried) // 2]
            text = join_tokens(self._pieces(edit.token_ids))
            yield Receipt(edit.kind, None, text, None, level(activation), edit.changed)

    def _is_spare(self, slot: Slot) -> bool:
        """Whether a stranger in its place hardly matters."""
        tried = self._found.get((slot, ReceiptKind.STRANGER), ())
        return bool(tried) and all(a >= SPARE * self.activation for a, _ in tried)

    def _silenced(self, slot: Slot, kind: ReceiptKind) -> list[bool]:
        tried = self._found.get((slot, kind), ())
        return [activation < NEEDED * self.activation for activation, _ in tried]

    def _edits(self, slots: Iterable[Slot], kind: ReceiptKind) -> Iterator[Edit]:
        """The edits that are possible: the peak cannot be deleted."""
        edits = (self._edit(slot, kind) for slot in slots)
        return (edit for edit in edits if edit is not None)

    def _edit(self, slot: Slot, kind: ReceiptKind) -> Edit | None:
        ids = list(self.token_ids)
        if kind is ReceiptKind.DELETED:
            if not slot or slot == self.peak:
                return None
            rest = [token for i, token in enumerate(ids) if i not in slot]
            return Edit(slot, kind, tuple(rest), f"{listed(self.tokens, slot)} -> ''")
        if kind is ReceiptKind.SAME_KIND:
            new = self._replacements.same_kind([ids[i] for i in slot])
        else:
            # Of a peak that stands alone, what comes in front of it.
            new = self._replacements.strangers([ids[i] for i in slot] or [ids[-1]] * _N_IN_FRONT)
        if not new:
            return None
        if not slot:
            text = quoted_text(join_tokens(self._pieces(new)))
            return Edit(slot, kind, (*new, *ids), f"'' -> {text}")
        for i, token in zip(slot, new, strict=True):
            ids[i] = token
        changed = f"{listed(self.tokens, slot)} -> {listed(self._pieces(ids), slot)}"
        return Edit(slot, kind, tuple(ids), changed)
