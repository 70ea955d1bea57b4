"""Edits of an exemplar's minimal context, made on token ids.

Each token of the context is deleted, replaced by another of the kind and by strangers; then pairs
of them, and all at once, as single edits say nothing where one token can stand in for another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations

from autointerp.core.characters import join_tokens
from autointerp.core.senses import Receipt, ReceiptKind
from autointerp.pipeline.receipts.minimal_contexts import Exemplar
from autointerp.pipeline.receipts.needs import Slot, listed, needs_sentence, quoted_text
from autointerp.pipeline.receipts.replacements import Replacements

NEEDED = 0.3
"""A token is needed where the peak keeps less than this share of its activation without it."""
_N_SINGLE, _N_PAIRED, _N_IN_FRONT = 5, 4, 4


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

    What strangers do decides whether a token is needed: they are drawn twice, and once more where
    the two disagree. Deleting moves the other tokens to where the unit may not expect them.
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
    def singles(self) -> tuple[Slot, ...]:
        """The positions that are tried one by one, the nearest to the peak first."""
        return tuple((i,) for i in reversed(self.before[-_N_SINGLE:]))

    @property
    def earlier(self) -> Slot:
        """The positions further away, which are tried together."""
        return self.before[:-_N_SINGLE]

    def first(self) -> Iterator[Edit]:
        """What is tried first, the most telling edits in front."""
        slots = [self.before, *self.singles, (len(self.before),)]
        slots = list(dict.fromkeys([*slots, self.earlier] if self.earlier else slots))
        kinds = (ReceiptKind.STRANGER,) * 2 + (ReceiptKind.DELETED, ReceiptKind.SAME_KIND)
        for kind in kinds:
            yield from (edit for slot in slots for edit in self._edit(slot, kind))

    def second(self) -> Iterator[Edit]:
        """What is tried then: a third stranger, and pairs of tokens that are not needed."""
        for slot, kind in list(self._found):
            if kind is ReceiptKind.STRANGER and len({*self._silenced(slot)}) > 1:
                yield from self._edit(slot, kind)
        spare = [slot for slot in self.singles[:_N_PAIRED] if self.is_needed(slot) is False]
        for near, far in combinations(spare, 2):
            for _ in range(2):
                yield from self._edit((*far, *near), ReceiptKind.STRANGER)

    def take(self, edit: Edit, activation: float) -> None:
        """Notes what an edit came to."""
        self._found.setdefault((edit.slot, edit.kind), []).append((activation, edit))

    def is_needed(self, slot: Slot) -> bool | None:
        """Whether most strangers in its place silence the peak; None where none was tried."""
        silenced = self._silenced(slot)
        return sum(silenced) > len(silenced) / 2 if silenced else None

    @property
    def needs(self) -> str | None:
        """What the peak needs, as a sentence; None where too little was tried."""
        return needs_sentence(self.tokens, self.is_needed, earlier=self.earlier, ahead=self._ahead)

    def receipts(self, level: Callable[[float], float]) -> Iterator[Receipt]:
        """One receipt for each kind of edit at each place: of several strangers the loudest."""
        for found in self._found.values():
            activation, edit = max(found, key=lambda pair: pair[0])
            text = join_tokens(self._pieces(edit.token_ids))
            yield Receipt(edit.kind, None, text, None, level(activation), edit.changed)

    def _silenced(self, slot: Slot) -> list[bool]:
        found = self._found.get((slot, ReceiptKind.STRANGER), ())
        return [activation < NEEDED * self.activation for activation, _ in found]

    def _edit(self, slot: Slot, kind: ReceiptKind) -> Iterator[Edit]:
        """The edit; none where it is impossible, as the peak cannot be deleted."""
        ids, peak = list(self.token_ids), len(self.before)
        if kind is ReceiptKind.DELETED:
            if slot and peak not in slot:
                kept = [token for i, token in enumerate(ids) if i not in slot]
                yield Edit(slot, kind, tuple(kept), f"{listed(self.tokens, slot)} -> ''")
            return
        is_stranger = kind is ReceiptKind.STRANGER
        draw = self._replacements.stranger if is_stranger else self._replacements.same_kind
        # Of a peak that stands alone, what comes in front of it.
        old = [ids[i] for i in slot] or [ids[-1]] * _N_IN_FRONT * is_stranger
        new = [token for token in map(draw, old) if token is not None]
        if not new or len(new) < len(old):
            return
        if not slot:
            text = quoted_text(join_tokens(self._pieces(new)))
            yield Edit(slot, kind, (*new, *ids), f"'' -> {text}")
            return
        for i, token in zip(slot, new, strict=True):
            ids[i] = token
        changed = f"{listed(self.tokens, slot)} -> {listed(self._pieces(ids), slot)}"
        yield Edit(slot, kind, tuple(ids), changed)
