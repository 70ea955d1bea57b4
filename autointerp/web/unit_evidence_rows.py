"""What is known of a unit beside its label, as the rows of a page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from autointerp.core.evidence_words import (
    brief_name,
    chance_words,
    control_words,
    relation_title,
    title_of,
    value_words,
)
from autointerp.core.explanations import Label
from autointerp.core.ids import UnitId
from autointerp.core.unit_evidence import NearUnits, Relation
from autointerp.core.unit_kinds import FoundKind, kinds_of
from autointerp.web.page_links import Links


@dataclass(frozen=True, slots=True)
class FactRow:
    """One number."""

    title: str
    value: str
    control: str
    """What it is read against; empty where there is nothing."""


@dataclass(frozen=True, slots=True)
class NearUnitLink:
    """One unit whose weights lie near."""

    name: str
    link: str
    """Its page; empty where it has none."""
    cosine: float


@dataclass(frozen=True, slots=True)
class NearRow:
    """The nearest units of one kind."""

    title: str
    units: tuple[NearUnitLink, ...]
    chance: str
    """How near random directions would be, or why there are no units."""


@dataclass(frozen=True, slots=True)
class EvidenceRows:
    """Both."""

    facts: tuple[FactRow, ...] = ()
    near: tuple[NearRow, ...] = ()
    kinds: tuple[FoundKind, ...] = ()
    """Empty where the evidence tells none."""

    @classmethod
    def of(
        cls,
        unit: UnitId,
        label: Label,
        links: Links,
        holds: Callable[[UnitId], bool],
    ) -> EvidenceRows:
        """Of one side of a unit, which is named as pages name it.

        `holds` tells which units have a page.
        """
        evidence = label.evidence
        if evidence is None:
            return cls()
        facts = (
            FactRow(title_of(one.quantity), value_words(one), control_words(one))
            for one in evidence.measures
        )
        near = (
            NearRow(
                relation_title(one.relation),
                tuple(_linked(unit, one, links, holds)),
                chance_words(one),
            )
            for one in evidence.near
        )
        return cls(tuple(facts), tuple(near), kinds_of(label))


def _linked(
    unit: UnitId, near: NearUnits, links: Links, holds: Callable[[UnitId], bool]
) -> Iterator[NearUnitLink]:
    own = near.relation in {Relation.LIKE_INPUT, Relation.LIKE_OUTPUT}
    is_neuron = ".mlp.hook_" in unit.hook
    for one, name in zip(near.units, near.names(unit.hook), strict=True):
        hook = unit.hook if own else f"blocks.{one.layer}.{unit.hook.split('.', 2)[2]}"
        other = UnitId(unit.subject, hook, one.index)
        link = links.unit(other) if (own or is_neuron) and holds(other) else ""
        yield NearUnitLink(brief_name(name), link, one.cosine)
