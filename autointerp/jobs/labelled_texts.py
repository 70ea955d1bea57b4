"""The labels on whose texts units are held, and why units have none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from autointerp.core.causal_evidence import EvidenceKind
from autointerp.core.causal_request import CausalRequest
from autointerp.core.errors import AutointerpError
from autointerp.core.ids import UnitId
from autointerp.core.unreadable import if_readable
from autointerp.jobs.recorded_texts import LabelledSets, Peaks, RecordedTexts
from autointerp.store.labels import LabelStore

ON_LABELS = frozenset({EvidenceKind.ABLATION, EvidenceKind.ATTRIBUTION})
"""Kinds that take text from what was kept with labels."""
Labels = Mapping[UnitId, LabelledSets]


def labelled_units(
    store: LabelStore, served_as: str, units: Sequence[UnitId]
) -> tuple[Labels, dict[UnitId, str]]:
    """A labelled side of each unit with its records, and why others have none.

    Of two sides that with an explanation, and of these the positive one.
    """
    found: dict[UnitId, LabelledSets] = {}
    without: dict[UnitId, str] = {}
    for unit in units:
        own = UnitId(served_as, unit.hook, unit.index)
        unreadable = list[AutointerpError]()
        labels = sorted(
            store.get_sides(own, unreadable.append), key=lambda label: label.explanation is None
        )
        for label in labels:
            get = partial(store.get_sets, own, label.side, label.origin)
            sets = if_readable(get, unreadable.append)
            if sets is not None and (sets.explain.records or sets.held_out.records):
                found[unit] = label, sets
                break
        else:
            known = (
                "the texts were not kept with the label of" if labels else "there is no label of"
            )
            problem = f"; {unreadable[0]}" if unreadable else ""
            without[unit] = f"{known} {unit.short}{problem}"
    return found, without


def why_without(without: Mapping[UnitId, str]) -> str:
    """Why the first of the units has no text."""
    first = next(iter(without.values()))
    return f"{first}, and ablation and attribution take text from what was kept with labels"


def recorded_texts(labels: Labels, peaks: Peaks, request: CausalRequest) -> RecordedTexts | None:
    """The texts of a request; None where no label was looked for."""
    if not labels:
        return None
    return RecordedTexts(
        labels,
        n_windows=request.n_windows,
        n_texts=request.n_texts,
        seed=request.seed,
        peaks=peaks,
    )
