"""Whether what follows exemplars is promoted, held against the weights in float64."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from factories import make_record
from tiny import tiny_gpt2, tiny_llama, tiny_subject

from autointerp.core.ids import Side, UnitId
from autointerp.core.records import ActivationRecord
from autointerp.core.unit_evidence import Absent, Measure
from autointerp.evidence.next_tokens import NextTokens
from autointerp.subjects import SubjectModel

HOOK = "blocks.1.mlp.hook_post"
FOLLOWING = (33, 33, 260, 261)


def records(side: Side) -> tuple[ActivationRecord, ...]:
    """Peaks at the second token, behind which the tokens above stand."""
    made = []
    for number, follows in enumerate(FOLLOWING):
        line = tuple(side.sign * value for value in (0.1, 1.0, 0.2, 0.0))
        made.append(
            replace(
                make_record(number, line, "top"), token_ids=(number + 1, number + 9, follows, 2)
            )
        )
    return tuple(made)


def measured(subject: SubjectModel, index: int, side: Side = Side.POSITIVE) -> Measure:
    unit = UnitId(subject.name, HOOK, index)
    return NextTokens(subject).of({(unit, side): records(side)})[unit, side]


def expected(model: Any, index: int) -> tuple[float, float, float]:
    """(mean, control, half of the interval) of a Llama's neuron."""
    body = model.model
    row, gain, unembedding = (
        part.detach().double().numpy()
        for part in (
            body.layers[1].mlp.down_proj.weight[:, index],
            body.norm.weight,
            model.lm_head.weight,
        )
    )
    effects = unembedding @ (gain * row)
    # The tiny vocabulary is less than the sample, so that it is all of it.
    scores = (effects - effects.mean()) / effects.std(ddof=1)
    own, others = scores[list(FOLLOWING)], scores[[1, 2, 3, 4]]
    return own.mean(), others.mean(), 1.96 * own.std(ddof=1) / 2.0


@pytest.mark.parametrize("index", [0, 5, 11])
def test_the_agreement_is_that_of_the_weights(index: int) -> None:
    model = tiny_llama()
    mean, control, half = expected(model, index)
    found = measured(tiny_subject(model), index)
    assert found.value == pytest.approx(mean, rel=6e-3)
    assert found.control == pytest.approx(control, rel=6e-3)
    assert found.high is not None
    assert found.low is not None
    assert found.high - found.low == pytest.approx(2 * half, rel=0.02)


def test_the_negative_side_promotes_what_the_positive_one_suppresses() -> None:
    subject = tiny_subject(tiny_llama())
    plus, minus = (measured(subject, 5, side) for side in Side)
    assert minus.value == pytest.approx(-(plus.value or 0.0))


def test_a_unit_that_writes_the_tokens_that_follow_it_stands_out() -> None:
    model = tiny_gpt2()
    with torch.no_grad():
        rows = model.transformer.wte.weight[list(FOLLOWING)]
        model.transformer.h[1].mlp.c_proj.weight[7] = rows.mean(dim=0)
    found = measured(tiny_subject(model), 7)
    assert found.value is not None
    assert found.value > (found.control or 0.0) + 2.0


def test_without_an_unembedding_or_enough_exemplars_it_says_so() -> None:
    subject = tiny_subject(tiny_llama())
    unit = UnitId(subject.name, "blocks.0.ln1.hook_normalized", 0)
    one = NextTokens(subject).of({(unit, Side.POSITIVE): records(Side.POSITIVE)})
    assert one[unit, Side.POSITIVE].absent is Absent.NO_LOGITS
    unit = UnitId(subject.name, HOOK, 0)
    few = NextTokens(subject).of({(unit, Side.POSITIVE): records(Side.POSITIVE)[:1]})
    assert few[unit, Side.POSITIVE].absent is Absent.FEW_WINDOWS
    # What stands last in a window has nothing behind it.
    last = tuple(replace(r, activations=(0.0, 0.0, 0.0, 1.0)) for r in records(Side.POSITIVE))
    none = NextTokens(subject).of({(unit, Side.POSITIVE): last})
    assert none[unit, Side.POSITIVE].absent is Absent.FEW_WINDOWS


def test_values_are_finite_where_rows_of_the_vocabulary_are_not() -> None:
    model = tiny_llama()
    subject = tiny_subject(model)
    with torch.no_grad():
        subject.bridge.unembed.original_component.weight[5] = torch.nan
    found = measured(subject, 3)
    assert found.value is not None
    assert np.isfinite(found.value)
