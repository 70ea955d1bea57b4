"""Causal evidence that is kept while a command goes on, and not measured again by the next one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from autointerp.core.causal_evidence import CausalEvidence
from autointerp.core.causal_request import CausalRequest
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.core.kept_evidence import (
    EvidenceSource,
    KeptEvidence,
    answer_key,
    joined_evidence,
    of_each_unit,
)
from autointerp.store.labels import LabelStore

_AT_ONCE = 64


def answer_and_keep(
    store: LabelStore,
    units: Sequence[UnitId],
    request: CausalRequest,
    source_of: Callable[[UnitId], EvidenceSource],
    answer: Callable[[Sequence[UnitId]], CausalEvidence],
    *,
    at_once: int = _AT_ONCE,
) -> CausalEvidence:
    """The evidence of all units, of which what was kept before is not measured again.

    Kept are answers to the same request, from the same weights and text and with the same label;
    so many units are answered between two times at which answers are stored.

    Raises:
        InputError: no unit has an answer.
    """
    known = {unit: kept_answer(store, unit, request, source_of(unit)) for unit in units}
    found = [one for one in known.values() if one is not None]
    left = [unit for unit, one in known.items() if one is None]
    problems: list[str] = []
    for first in range(0, len(left), at_once):
        some = left[first : first + at_once]
        try:
            part = answer(some)
        except InputError as error:
            problems.append(str(error))
            continue
        for unit, own in of_each_unit(part, some):
            store.put_evidence(KeptEvidence(unit, request, own, source_of(unit)))
        found.append(part)
    if not found:
        raise InputError(problems[0])
    result = joined_evidence(found, units)
    notes = list(result.notes) + problems
    if len(left) < len(units):
        notes.append(f"{len(units) - len(left)} of {len(units)} units were answered before")
    return replace(result, notes=tuple(notes))


def kept_answer(
    store: LabelStore, unit: UnitId, request: CausalRequest, source: EvidenceSource
) -> CausalEvidence | None:
    """What was kept of that request, text, dtype, weights and label; None where nothing was."""
    for one in store.evidence_of(unit, lambda _: None):
        if one.key == answer_key(request, source) and _made_alike(one.source, source):
            return one.evidence
    return None


def _made_alike(a: EvidenceSource, b: EvidenceSource) -> bool:
    return (a.subject_revision, a.label) == (b.subject_revision, b.label)
