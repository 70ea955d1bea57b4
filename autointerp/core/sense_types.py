"""Senses: the separate things that one side of a unit responds to, and the tests of each."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated

from autointerp.core import later_fields
from autointerp.core.one_line import brief_repr
from autointerp.core.scores import Score


class SenseKind(StrEnum):
    """What decides whether a sense applies at a token."""

    TOKEN = "token"
    """The token itself, a whole word or a sign."""
    PIECE = "piece"
    """A token that is a part of a longer word."""
    PHRASE = "phrase"
    """The token together with the words around it."""
    TOPIC = "topic"
    """What the text is about, or the language or format it is written in."""
    POSITION = "position"
    """Where the token stands: at the start of a sentence, behind a bracket."""
    OTHER = "other"
    MIXED = "mixed"
    """Tokens that have nothing in common, by rules."""


MARGINS = ("over_broader", "over_narrower")
"""Scores: how much better an explanation does than a broader and a narrower rewrite of it."""

_QUOTATION_MARKS = re.compile(r"""["“”„«»`*]|(?<!\w)'|'(?!\w)""")
_END_OF_CLAUSE = re.compile(r"(?<=\w)[.,:;!?]+(?=\s|$)")

FIRES, SILENT = 3.0, 1.0
"""Levels from which a text counts as activating, and below which as silent."""


@dataclass(frozen=True, slots=True)
class Sense:
    """One thing that a side of a unit responds to."""

    description: str
    level: float
    """Level that whoever wrote it expects, 1..10 of the explain set's peak; of a sense with rules
    the greatest of theirs, above 0."""
    kind: SenseKind = SenseKind.OTHER
    activation: float | None = None
    """Activation fitted on validation windows where it applies, model units; None where none was
    fitted."""
    program: Annotated[str | None, later_fields.LATER] = None
    """Source of the program that says where it applies, see `programs.language`, whose greatest
    level is the sense's; None where a reader says it."""

    __repr__ = brief_repr

    @property
    def rules(self) -> tuple[str, ...]:
        """The lines of its program; none where a reader says where it applies."""
        return tuple(self.program.split("\n")) if self.program else ()

    @property
    def is_testable(self) -> bool:
        """Whether texts can be written by it on which the unit is not silent."""
        return self.level >= SILENT and self.kind is not SenseKind.MIXED

    @property
    def fires_from(self) -> float:
        """Level from which a text counts as firing: 3, or half of what is expected if less."""
        return min(FIRES, max(SILENT, self.level / 2))


@dataclass(frozen=True, slots=True)
class SenseScore:
    """What one sense of a label's explanation came to on held-out text."""

    mass: Score
    """``mass``: share of the side's activation where it is the strongest sense that applies."""
    gain: Score
    """``gain``: population correlation of all senses less that of all but this one."""
    n_places: int
    """Held-out tokens of the judged windows at which it applies."""
    doubt: str | None = None
    """Why it is doubtful: its receipts failed, before and after it was revised; else None."""

    __repr__ = brief_repr


class ReceiptKind(StrEnum):
    """How the text of a receipt was made."""

    POSITIVE = "positive"
    """Written to activate the unit by the explanation."""
    NEAR_MISS = "near_miss"
    """Written to resemble such a text and leave the unit silent."""
    SHORTENED = "shortened"
    """An exemplar cut from the left: the shortest context that keeps the activation."""
    DELETED = "deleted"
    """An exemplar without a token."""
    SAME_KIND = "same_kind"
    """An exemplar with a token replaced by another of the kind."""
    STRANGER = "stranger"
    """An exemplar with a token replaced by an unrelated one."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One text that was run through the subject model to try a label, and what the unit did."""

    kind: ReceiptKind
    sense: int | None
    """0-based place of the sense that is tried, 0 where there is one description; None for
    exemplars, which are of no sense in particular."""
    text: str
    expected: bool | None
    """Whether the label says that the unit fires on it; None where it says neither."""
    level: float
    """Peak of the side on the text, of an exemplar at its own peak, which is its last token; as a
    level of the explain set's peak, above 10 beyond it."""
    changed: str = ""
    """What an edit did: ``' Anglo' -> ' lamp'``; empty for texts that were not edited."""

    fires_from: float = FIRES
    """Level from which it counts as firing."""

    __repr__ = brief_repr

    @property
    def as_expected(self) -> bool | None:
        """Fires where it should, from the level `fires_from`; stays below 1 where it should not.

        None where nothing was expected.
        """
        if self.expected is None:
            return None
        return self.level >= self.fires_from if self.expected else self.level < SILENT


def survivors(receipts: Sequence[Receipt]) -> tuple[int, int]:
    """(receipts that did what the label says, those of which it says anything)."""
    tried = [receipt.as_expected for receipt in receipts if receipt.as_expected is not None]
    return sum(tried), len(tried)


def senses_text(senses: Sequence[Sense]) -> str:
    """The senses as one line: the description of one, several numbered from 1.

    Tokens that have nothing in common are left out where there is anything else.
    """
    senses = [one for one in senses if one.kind is not SenseKind.MIXED] or senses
    if len(senses) == 1:
        return senses[0].description
    return "; ".join(f"({n}) {sense.description}" for n, sense in enumerate(senses, 1))


def folded(description: str) -> str:
    """Equal for descriptions that say the same in other letters, blanks or punctuation."""
    words = _END_OF_CLAUSE.sub("", _QUOTATION_MARKS.sub("", description))
    return " ".join(words.casefold().split())
