"""Units that were built to be of one kind, and the kinds that their evidence tells."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import planted_windows as planted
import pytest
import torch
from factories import make_label
from planted import planted_subject, planted_texts
from planted_windows import Rule, planted_sets
from tiny import tiny_gpt2, tiny_subject, write_texts

import autointerp as ai
from autointerp.core.explanations import Label
from autointerp.core.ids import Side, UnitId
from autointerp.core.unit_evidence import Absent, Measure, Quantity, UnitEvidence
from autointerp.core.unit_kinds import UnitKind, kinds_of
from autointerp.evidence.free_evidence import layer_measures
from autointerp.evidence.weight_evidence import WeightEvidence
from autointerp.evidence.window_evidence import window_evidence


def with_evidence(*measures: Measure) -> Label:
    return replace(make_label(), evidence=UnitEvidence(()).with_measures(measures))


def kinds(label: Label) -> set[UnitKind]:
    return {one.kind for one in kinds_of(label)}


@pytest.mark.parametrize(
    ("rule", "token_share", "expected"),
    [
        (planted.position, 0.0, {UnitKind.POSITION}),
        (planted.pair, 0.2, {UnitKind.TOKEN_PAIR}),
        (planted.word_end, 0.2, {UnitKind.TOKEN_PAIR, UnitKind.DETOKENIZATION}),
        (planted.topic, 0.0, {UnitKind.CONTEXT}),
        (planted.token, 1.0, {UnitKind.CURRENT_TOKEN}),
        (planted.repeated, 0.1, {UnitKind.REPEATED_TOKEN}),
    ],
)
def test_each_kind_is_told_by_its_windows_and_no_other(
    rule: Rule, token_share: float, expected: set[UnitKind]
) -> None:
    table = Measure(Quantity.TOKEN_SHARE, token_share)
    label = with_evidence(table, *window_evidence(*planted_sets(rule)))
    assert kinds(label) == expected


def test_a_kind_is_said_with_its_evidence() -> None:
    label = with_evidence(Measure(Quantity.TOKEN_SHARE, 0.62, None, 0.5, 0.7))
    [one] = kinds_of(label)
    assert one.kind is UnitKind.CURRENT_TOKEN
    assert one.because == "explained by the token 62.0% (95 %: 50.0% to 70.0%)"


def test_a_unit_that_erases_what_it_reads_manages_memory() -> None:
    model = tiny_gpt2()
    with torch.no_grad():
        mlp = model.transformer.h[1].mlp
        mlp.c_proj.weight[9] = -0.5 * mlp.c_fc.weight[:, 9]
    subject = tiny_subject(model)
    found = {}
    for index in (9, 10):
        key = (UnitId(subject.name, "blocks.1.mlp.hook_post", index), Side.POSITIVE)
        evidence = WeightEvidence(subject).of([key])[key]
        found[index] = kinds(replace(make_label(), evidence=evidence))
    assert found[9] == {UnitKind.MEMORY_MANAGEMENT}
    assert found[10] == set()


@pytest.mark.parametrize(
    ("up", "down", "is_one"), [(0.2, -0.9, True), (0.9, -0.9, False), (0.9, -0.2, False)]
)
def test_a_suppressor_takes_more_from_some_tokens_than_it_gives_to_any(
    up: float, down: float, is_one: bool
) -> None:
    label = replace(with_evidence(), promoted_values=(up, 0.1), suppressed_values=(down, -0.1))
    assert (UnitKind.SUPPRESSOR in kinds(label)) is is_one


def test_the_low_end_of_what_follows_must_be_above_what_is_anywhere() -> None:
    for low, is_one in ((1.7, True), (1.2, False)):
        label = with_evidence(Measure(Quantity.NEXT_TOKEN, 2.5, 0.5, low, 3.3))
        assert (UnitKind.NEXT_TOKEN in kinds(label)) is is_one


def test_unknown_is_an_answer() -> None:
    assert kinds_of(make_label()) == ()
    assert kinds_of(with_evidence(Measure(Quantity.TOKEN_SHARE, 0.4))) == ()


def test_labels_of_a_planted_model_tell_the_kinds_of_its_neurons(tmp_path: Path) -> None:
    """Through collecting, records and scoring: a set of tokens, a bigram, a position."""
    corpus = str(write_texts(tmp_path, planted_texts(60)))
    labels = ai.label(
        planted_subject(), units="0:0-3", corpus=corpus, tokens=6_000, n_ctx=32, llm="none"
    )
    found = {label.unit.index: kinds(label) for label in labels}
    assert found[0] == {UnitKind.CURRENT_TOKEN}
    assert UnitKind.TOKEN_PAIR in found[1]
    assert found[2] == {UnitKind.POSITION}
    # One that is dead has evidence of its weights alone.
    assert found[3] == set()


@pytest.mark.parametrize(
    ("ranks", "strongest", "larger"),
    [((0, 0, 0), 1.0, 0.0), ((0, 3, 6, 6), 0.25, 0.45), ((), None, None)],
)
def test_the_strongest_unit_of_a_layer_is_told_by_its_exemplars(
    ranks: tuple[int, ...], strongest: float | None, larger: float | None
) -> None:
    sets, _ = planted_sets(planted.token)
    sets = replace(sets, explain=replace(sets.explain, ranks=ranks))
    found = {one.quantity: one for one in layer_measures(sets, 11)}
    assert found[Quantity.STRONGEST].value == strongest
    assert found[Quantity.LARGER_UNITS].value == larger
    if ranks:
        assert found[Quantity.STRONGEST].control == pytest.approx(1 / 11, rel=0.01)
        assert found[Quantity.LARGER_UNITS].control == 0.5
    else:
        assert found[Quantity.STRONGEST].absent is Absent.NOT_READ


def test_of_a_label_it_is_known_whether_its_unit_is_the_strongest(tmp_path: Path) -> None:
    subject = planted_subject()
    corpus = ai.load_corpus(
        str(write_texts(tmp_path, planted_texts(60))), subject, n_tokens=6000, n_ctx=32
    )
    labels = ai.label(subject, units="0:0-1", corpus=corpus, llm="none")
    months = next(one for one in labels if one.unit.index == 0)
    assert months.evidence is not None
    # Where months stand, noise alone is sometimes larger than the neuron of months.
    strongest = months.evidence.value(Quantity.STRONGEST)
    assert strongest is not None
    assert strongest > 0.2
    larger = months.evidence.value(Quantity.LARGER_UNITS)
    assert larger is not None
    assert larger <= 0.25
