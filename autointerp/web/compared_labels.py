"""Labels of one side of a unit, each compared with the newest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from autointerp.core.explanations import Label
from autointerp.core.ids import Side
from autointerp.core.scores import Score
from autointerp.dictionary.score_differences import Difference, paired_difference_of
from autointerp.store.label_records import LabelRecords
from autointerp.web.unit_lists import STATUS_WORDS

LabelWithRecords = tuple[Label, LabelRecords | None]


@dataclass(frozen=True, slots=True)
class ComparedLabel:
    """One label, and how it differs from the newest."""

    title: str
    status: str
    texts: tuple[str, ...]
    """Its description: a text, or the senses."""
    score: Score
    others: tuple[tuple[str, Score], ...]
    """The score of the token table, and of another unit's explanation."""
    changed: tuple[str, ...]
    """What differs from the newest; empty for that."""
    difference: Difference | None
    """Its score less the newest's, on windows that both judged; None where there are too few."""


def compared_sides(
    labels: Sequence[LabelWithRecords],
) -> tuple[tuple[Side, tuple[ComparedLabel, ...]], ...]:
    """By side, the newest label first and then the others."""
    result = []
    for side in Side:
        own = [(label, records) for label, records in labels if label.side is side]
        if own:
            result.append((side, tuple(_compared(one, own[0]) for one in own)))
    return tuple(result)


def _compared(one: LabelWithRecords, newest: LabelWithRecords) -> ComparedLabel:
    (label, records), (first, of_first) = one, newest
    difference = None
    if label is not first and records is not None and of_first is not None:
        difference = paired_difference_of(first, of_first, label, records)
    explanation = label.explanation
    senses = explanation.senses if explanation is not None else ()
    texts = [explanation.text] if explanation is not None else [label.reason or "nothing is said"]
    return ComparedLabel(
        title=f"{label.origin.explainer or 'no explanation'}, {label.provenance.corpus}",
        status=STATUS_WORDS[label.status],
        texts=tuple(s.description for s in senses) if len(senses) > 1 else tuple(texts),
        score=label.headline,
        others=(
            ("token table", label.score("lookup")),
            ("another unit's label", label.score(f"{label.preferred}_null")),
        ),
        changed=_changed(first, label),
        difference=difference,
    )


def _changed(first: Label, label: Label) -> tuple[str, ...]:
    a, b = first.explanation, label.explanation
    differs = {
        "text read": first.provenance.corpus_hash != label.provenance.corpus_hash,
        "explainer": first.origin.explainer != label.origin.explainer,
        "language model": (a and a.model) != (b and b.model),
        "prompt": (a and a.prompt) != (b and b.prompt),
        "status": first.status != label.status,
    }
    return tuple(name for name, is_so in differs.items() if is_so)
