"""Answers that a command keeps: which are used again, and which are measured anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from causal_replies import kept_evidence
from factories import make_label, make_unit
from memory_store import MemoryLabelStores

from autointerp.core.causal_evidence import CausalEvidence, EvidenceKind
from autointerp.core.causal_request import CausalRequest
from autointerp.core.explanations import Label
from autointerp.core.ids import Side, UnitId
from autointerp.core.kept_evidence import label_digest
from autointerp.dictionary import row_json
from autointerp.jobs.keeping_evidence import answer_and_keep

ABLATION = CausalRequest(EvidenceKind.ABLATION)
ANSWER = kept_evidence(make_unit(), ABLATION)
LABEL = make_label()


def reworded(label: Label) -> Label:
    assert label.explanation is not None
    return replace(label, explanation=replace(label.explanation, text="something else"))


@pytest.mark.parametrize(
    ("changed", "n_measured"),
    [
        ({}, 0),
        ({"label": label_digest(reworded(LABEL))}, 1),
        ({"label": None}, 1),
        ({"subject_revision": "beef"}, 1),
        ({"corpus": "code"}, 1),
        ({"dtype": "bfloat16"}, 1),
        ({"created": "2027-01-01T00:00:00Z", "job": None}, 0),
    ],
)
def test_an_answer_of_other_weights_text_dtype_or_label_is_measured_again(
    changed: dict[str, str | None], n_measured: int
) -> None:
    store, measured = MemoryLabelStores(row_json).of("tiny"), list[UnitId]()
    source = replace(ANSWER.source, label=label_digest(LABEL))
    store.put_evidence(replace(ANSWER, source=source))

    def answer(units: Sequence[UnitId]) -> CausalEvidence:
        measured.extend(units)
        return ANSWER.evidence

    asked = replace(source, **changed)
    answer_and_keep(store, [make_unit()], ABLATION, lambda _: asked, answer)
    assert len(measured) == n_measured
    answer_and_keep(store, [make_unit()], ABLATION, lambda _: asked, answer)
    assert len(measured) == n_measured


def test_a_label_s_digest_changes_with_its_text_side_and_origin() -> None:
    moved = replace(LABEL, provenance=replace(LABEL.provenance, corpus="another"))
    others = [reworded(LABEL), replace(LABEL, side=Side.NEGATIVE), moved]
    assert len({label_digest(one) for one in (LABEL, *others)}) == 4
    assert label_digest(replace(LABEL, promoted=("a",))) == label_digest(LABEL)
