"""Units that are judged without saying what they are of: items, their key, and verdicts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from autointerp.core.errors import InputError
from autointerp.core.ids import Side, UnitId
from autointerp.core.one_line import brief_repr

MOST_COVERED = 0.8
"""Share of a unit's strongest firings that one rule has to cover (Elhage et al. 2022)."""

RULES = "rules"
"""The judge that always judges."""
LLM_JUDGE = "LLM "
"""What names of LLMs as judges begin with."""
_LONGEST_NAME = 60


class Answer(StrEnum):
    """Whether one rule covers 80 % of what is shown."""

    YES = "yes"
    NO = "no"
    UNSURE = "unsure"


@dataclass(frozen=True, slots=True)
class Firing:
    """A window where a unit is active, around the token where it is strongest."""

    tokens: tuple[str, ...]
    levels: tuple[int, ...]
    """0 to 10, of the unit's strongest activation among its firings; one a token."""
    peak: int
    """Place of the strongest token."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class StudyItem:
    """What a judge sees: nothing tells of which model, layer or unit it is."""

    id: str
    firings: tuple[Firing, ...]
    """Strongest first, of documents held out."""

    __repr__ = brief_repr

    @property
    def n_needed(self) -> int:
        """How many of the firings one rule has to cover."""
        return math.ceil(MOST_COVERED * len(self.firings) - 1e-9)


@dataclass(frozen=True, slots=True)
class ItemKey:
    """What an item is of."""

    id: str
    arm: str
    """What is compared: the model, and where it is read."""
    unit: UnitId
    side: Side
    layer: int


@dataclass(frozen=True, slots=True)
class ItemVerdict:
    """What a judge says of an item."""

    judge: str
    item: str
    answer: Answer
    rule: str | None = None
    """In words, where the judge names one."""
    n_covered: int | None = None
    """Firings that it covers, where the judge says how many."""


def checked_person(name: str) -> str:
    """The name of a person as a judge, without blanks around it.

    Raises:
        InputError: it is empty, too long, not printable, or that of another kind of judge, whose
            verdicts it would change.
    """
    bare = name.strip()
    if not bare or len(bare) > _LONGEST_NAME or not bare.isprintable():
        raise InputError(f"--name is {name!r}; give one of 1 to {_LONGEST_NAME} printable letters")
    if bare.lower() == RULES or bare.lower().startswith(LLM_JUDGE.lower()):
        raise InputError(f"--name is {name!r}, which means another judge; give a person's name")
    return bare
