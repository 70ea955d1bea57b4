"""Labels of one side of a unit, each compared with the first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autointerp.core.explanations import Label
from autointerp.core.ids import Side
from autointerp.core.scores import Score
from autointerp.dictionary.label_tables import RatedText
from autointerp.dictionary.score_differences import (
    Difference,
    difference_of_scores,
    paired_difference_of,
)
from autointerp.store.label_records import LabelRecords
from autointerp.web.unit_exemplars import ShownExemplar, exemplar_bands
from autointerp.web.unit_lists import STATUS_WORDS

_N_EXEMPLARS = 3


@dataclass(frozen=True, slots=True)
class JudgedLabel:
    """A label with its records, where they were kept, and whose it is."""

    label: Label
    records: LabelRecords | None
    of: str = ""
    """Which dictionary it is from; empty where all are from one."""
    link: str | None = None
    """The page of its unit, where that is another than the one that is shown."""


@dataclass(frozen=True, slots=True)
class ComparedLabel:
    """One label, and how it differs from the first."""

    of: str
    link: str | None
    title: str
    status: str
    texts: tuple[str, ...]
    """Its description: a text, or the senses."""
    score: Score
    others: tuple[tuple[str, Score], ...]
    """The score of the token table, and of another unit's explanation."""
    changed: tuple[str, ...]
    """What differs from the first; empty for that."""
    difference: Difference | None
    """Its score less the first's; None for the first, and where ``no_difference`` says why."""
    no_difference: str
    exemplars: tuple[ShownExemplar, ...]
    """The strongest windows of its explain text."""


def compared_sides(
    labels: Sequence[JudgedLabel],
) -> tuple[tuple[str, tuple[ComparedLabel, ...]], ...]:
    """By side with a heading, in the order in which they are given.

    Where each of two dictionaries has the one side that the other has not, both stand together.
    """
    sides = [[one for one in labels if one.label.side is side] for side in Side]
    owners = {one.of for one in labels}
    if len(owners) == 2 and all(len(own) == 1 for own in sides):
        words = " and ".join(f"{one.label.side} in {one.of[:1]}" for one in labels)
        return ((f"Opposite sides: {words}", tuple(_compared(one, labels[0]) for one in labels)),)
    return tuple(
        (f"{own[0].label.side.value.capitalize()} side", tuple(_compared(x, own[0]) for x in own))
        for own in sides
        if own
    )


def _compared(one: JudgedLabel, first: JudgedLabel) -> ComparedLabel:
    label, explanation = one.label, one.label.explanation
    is_opposite = label.side is not first.label.side
    senses = explanation.senses if explanation is not None else ()
    texts = [explanation.text] if explanation is not None else [label.reason or "nothing is said"]
    bands = () if one.records is None else exemplar_bands(label, one.records)
    strongest = next((band.exemplars for band in bands), ())[:_N_EXEMPLARS]
    return ComparedLabel(
        of=one.of,
        link=one.link,
        title=f"{label.origin.explainer or 'no explanation'}, {label.provenance.corpus}",
        status=STATUS_WORDS[label.status],
        texts=tuple(s.description for s in senses) if len(senses) > 1 else tuple(texts),
        score=label.headline,
        others=(
            ("token table", label.score("lookup")),
            ("another unit's label", label.score(f"{label.preferred}_null")),
        ),
        changed=_changed(first.label, label),
        difference=None if is_opposite or one is first else _difference(first, one),
        no_difference=(
            "They are of opposite sides of zero, so that their scores are not compared."
            if is_opposite
            else "One of the two has no score, so that there is no difference."
        ),
        exemplars=strongest,
    )


def _difference(a: JudgedLabel, b: JudgedLabel) -> Difference | None:
    if a.records is not None and b.records is not None:
        paired = paired_difference_of(a.label, a.records, b.label, b.records)
        if paired is not None:
            return paired
    scores = (one.label.headline for one in (a, b))
    return difference_of_scores(*(RatedText(None, s.value, s.low, s.high) for s in scores))


def _changed(first: Label, label: Label) -> tuple[str, ...]:
    a, b = first.explanation, label.explanation
    made, later = first.provenance, label.provenance
    differs = {
        "subject model": (made.subject, made.subject_revision)
        != (later.subject, later.subject_revision),
        "hook point": first.unit.hook != label.unit.hook,
        "side": first.side != label.side,
        "text read": made.corpus_hash != later.corpus_hash,
        "explainer": first.origin.explainer != label.origin.explainer,
        "language model": (a and a.model) != (b and b.model),
        "prompt": (a and a.prompt) != (b and b.prompt),
        "status": first.status != label.status,
    }
    return tuple(name for name, is_so in differs.items() if is_so)
