"""A service whose label of one unit from ``wiki`` gave way to one from ``python``."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from api_service import Service, make_service, put_labels
from factories import make_label, make_sets

from autointerp.core.explanations import Label


def of_python(label: Label) -> Label:
    """The label from the other text, by another explainer."""
    assert label.explanation is not None
    explanation = replace(label.explanation, text="names of functions", explainer="senses")
    provenance = replace(label.provenance, corpus="python")
    return replace(label, explanation=explanation, provenance=provenance)


def service_of_two_texts(folder: Path) -> Service:
    """Unit 131 of ``tiny`` has a label from each, with records whose peaks differ."""
    service = make_service(folder)
    label = of_python(make_label(score=0.2))
    sets = make_sets()
    other = replace(sets, explain=replace(sets.explain, peak=77.0))
    service.stores.of("tiny").put_sets(other, label.origin)
    put_labels(service.stores, [label])
    return service
