"""Requests about several units: one that is wrong keeps no other from its answer."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pytest
import torch
from held_texts import passages
from tiny import tiny_gpt2, tiny_subject
from typing_extensions import override

from autointerp.core.causal_evidence import ControlKind, EvidenceKind, Standing, TextKind
from autointerp.core.causal_request import CausalRequest
from autointerp.core.errors import InputError, UpstreamError
from autointerp.core.ids import UnitId
from autointerp.core.kept_evidence import joined_evidence, of_each_unit
from autointerp.core.progress import Progress, SilentProgress
from autointerp.evidence import HeldPasses, Passage, ablate
from autointerp.evidence.causal_answers import evidence_of
from autointerp.subjects import SubjectModel

REQUEST = CausalRequest(
    EvidenceKind.ABLATION, texts=(TextKind.ALL,), n_controls=2, against=(ControlKind.UNITS,)
)
SILENT = UnitId("tiny", "blocks.1.mlp.hook_post", 5)


def unit(index: int) -> UnitId:
    return UnitId("tiny", "blocks.1.mlp.hook_post", index)


class SharedTexts:
    """The same text for all units, but for one of which none can be had."""

    def __init__(self, subject: SubjectModel) -> None:
        self.reference: Sequence[Passage] = passages(subject)

    def of(
        self, units: tuple[UnitId, ...], kinds: Sequence[TextKind]
    ) -> Mapping[TextKind, Sequence[Passage] | str]:
        if SILENT in units:
            raise InputError("an activation of blocks.1.mlp.hook_post/5 is not finite")
        return dict.fromkeys(kinds, self.reference)

    def extremes(self, unit: UnitId) -> Sequence[Passage]:
        return self.reference


class Notes(Progress):
    """A listener that keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    @override
    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture(scope="module")
def subject() -> SubjectModel:
    return tiny_subject(tiny_gpt2())


def test_a_unit_that_is_wrong_is_named_and_the_others_share_their_passes(
    subject: SubjectModel,
) -> None:
    texts = SharedTexts(subject)
    found = evidence_of(subject, [unit(9999), unit(3), SILENT, unit(7)], REQUEST, texts)
    alone = evidence_of(subject, [unit(3), unit(7)], REQUEST, texts)
    assert [one.units for one in found.ablations] == [(unit(3),), (unit(7),)]
    assert [one.changes[0].value for one in found.ablations] == pytest.approx(
        [one.changes[0].value for one in alone.ablations]
    )
    assert found.n_tokens_run == alone.n_tokens_run
    wrong, silent = found.notes
    assert wrong.startswith("1:9999: ")
    assert silent == "1:5: an activation of blocks.1.mlp.hook_post/5 is not finite"


def test_where_no_unit_has_an_answer_the_first_reason_is_the_error(subject: SubjectModel) -> None:
    with pytest.raises(InputError, match="none of 2 units has an answer; 1:5: an activation"):
        evidence_of(subject, [SILENT, unit(9999)], REQUEST, SharedTexts(subject))


def test_work_ends_before_the_next_pass_where_nobody_waits_for_it(subject: SubjectModel) -> None:
    left = [2]

    def check() -> None:
        left[0] -= 1
        if left[0] < 0:
            raise UpstreamError("nobody waits", retryable=True)

    with pytest.raises(UpstreamError, match="nobody waits"):
        evidence_of(subject, [unit(3)], REQUEST, SharedTexts(subject), check=check)


def test_what_it_costs_is_tried_out_only_where_somebody_is_told(subject: SubjectModel) -> None:
    n_passes = [0]

    def count(*_: object) -> None:
        n_passes[0] += 1

    watch = subject.bridge.unembed.register_forward_hook(count)
    counts, notes = [], Notes()
    try:
        # What is found out of a model once, the first of all requests pays for.
        for progress in (None, None, SilentProgress(), notes):
            n_passes[0] = 0
            evidence_of(subject, [unit(3)], REQUEST, SharedTexts(subject), progress)
            counts.append(n_passes[0])
    finally:
        watch.remove()
    assert counts[1] == counts[2] < counts[3]
    [note] = notes.notes
    assert "tokens in forward passes, at" in note


def test_a_loss_that_is_not_finite_is_no_value_and_stands_first_nowhere() -> None:
    model = tiny_gpt2()
    subject = tiny_subject(model)
    texts = passages(subject)
    with torch.no_grad():
        model.transformer.h[1].mlp.c_proj.bias[0] = math.nan
    change = ablate(HeldPasses(subject), [unit(3)], texts, n_controls=2)
    assert (change.value, change.loss, change.standings) == (None, None, ())
    assert change.reason == "the loss is not finite; load the subject model in float32"
    own, controls = Standing.of(ControlKind.UNITS, math.nan, [0.1]), [math.nan, 0.1]
    assert (own.rank, own.p) == (2, 1.0)
    assert Standing.of(ControlKind.UNITS, 0.5, controls).rank == 2


def test_answers_of_several_units_are_told_apart_and_put_together_again(
    subject: SubjectModel,
) -> None:
    units = [unit(7), unit(3)]
    found = evidence_of(subject, units, REQUEST, SharedTexts(subject))
    each = dict(of_each_unit(found, units))
    assert [one.ablations[0].units for one in each.values()] == [(unit(7),), (unit(3),)]
    again = joined_evidence([each[unit(3)], each[unit(7)]], units)
    assert again.ablations == found.ablations
    assert replace(again, n_tokens_run=0, seconds=0.0).notes == ()
