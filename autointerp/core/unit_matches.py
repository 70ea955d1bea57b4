"""Units of two models that do the same on the same text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median

from autointerp.core.ids import UnitId
from autointerp.core.one_line import brief_repr


@dataclass(frozen=True, slots=True)
class UnitMatch:
    """The unit of another model that is most like one unit, and what it explains of it.

    The other unit and all factors are chosen on some documents; every number is of others.
    """

    unit: UnitId
    match: UnitId | None
    """None where the unit does not vary on the text that matches were chosen on."""
    correlation: float | None
    """Of the two units' activations; None where it is undefined."""
    low: float | None
    """End of the 95 % interval over documents; None of fewer than 16 documents."""
    high: float | None
    chance: float | None
    """The same number where each window of one model stands beside another window of the other:
    the best of as many units, chosen and tested in the same way."""
    mutual: bool
    """Whether the unit is also the one that is most like its match."""
    explained: float | None
    """Share of the unit's variance that a line through its match explains; below 0 where its mean
    would be nearer."""
    explained_by_several: float | None
    """The same of several units of the other model together."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class MatchReport:
    """All units of one model with those of another that are most like them, both ways."""

    first: str
    second: str
    corpus: str
    """The text that both read."""
    n_chosen_tokens: int
    """Tokens on which matches were chosen: those that both models have an end of."""
    n_tested_tokens: int
    """Tokens of other documents, on which they were tested."""
    n_documents: int
    """Documents of these."""
    n_several: int
    """How many units of the other model are taken together."""
    of_first: tuple[UnitMatch, ...]
    """Of each unit of the first model, by hook point and index."""
    of_second: tuple[UnitMatch, ...]
    notes: tuple[str, ...] = ()
    """What a reader should know of how it was done."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Wall clock, by stage."""

    __repr__ = brief_repr


@dataclass(frozen=True, slots=True)
class MatchTally:
    """The units of one model, counted."""

    n_units: int
    n_tested: int
    """Units with a correlation."""
    median_correlation: float | None
    """Of its size."""
    median_chance: float | None
    n_alike: int
    """Units whose correlation's interval lies beyond 0.5 in size."""
    n_mutual: int
    median_explained: float | None
    median_by_several: float | None

    __repr__ = brief_repr


ALIKE = 0.5
"""From this size of the correlation on two units are said to be alike: a convention."""


def is_alike(match: UnitMatch) -> bool:
    """Whether the whole interval of the correlation lies beyond `ALIKE`, on either side of 0."""
    if match.low is None or match.high is None:
        return False
    return match.low >= ALIKE or match.high <= -ALIKE


def match_tally(matches: tuple[UnitMatch, ...]) -> MatchTally:
    """The units counted."""
    tested = [one for one in matches if one.correlation is not None]

    def middle(values: list[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return median(known) if known else None

    return MatchTally(
        n_units=len(matches),
        n_tested=len(tested),
        median_correlation=middle([abs(one.correlation or 0.0) for one in tested]),
        median_chance=middle([one.chance and abs(one.chance) for one in tested]),
        n_alike=sum(map(is_alike, tested)),
        n_mutual=sum(one.mutual for one in tested),
        median_explained=middle([one.explained for one in tested]),
        median_by_several=middle([one.explained_by_several for one in tested]),
    )
