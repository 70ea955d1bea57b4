"""The units that a text makes most active, found in one pass."""

from __future__ import annotations

import pytest
import torch
from tiny import tiny_llama, tiny_subject

from autointerp.activations import live_activations, strongest_units
from autointerp.core.errors import InputError
from autointerp.core.ids import Side, UnitId
from autointerp.subjects import SubjectModel

TEXT = "old stones sleep under the river in May"
HOOKS = ("blocks.0.mlp.hook_post", "blocks.1.mlp.hook_post")


@pytest.fixture(scope="module")
def subject() -> SubjectModel:
    return tiny_subject(tiny_llama(n_layers=2))


def peaks(subject: SubjectModel) -> dict[tuple[str, int, Side], tuple[float, int]]:
    """Every side's largest activation on the text, by reading all units."""
    [found] = live_activations(subject, TEXT, units="all")
    values = torch.tensor(found.values)
    return {
        (unit.hook, unit.index, side): (
            float((side.sign * row).max()),
            int((side.sign * row).argmax()),
        )
        for unit, row in zip(found.units, values, strict=True)
        for side in Side
    }


def test_the_strongest_of_all_units_are_those_of_all_their_activations(
    subject: SubjectModel,
) -> None:
    known = peaks(subject)
    found = strongest_units(subject, TEXT, 7)
    expected = sorted(known, key=lambda key: -known[key][0])[:7]
    assert [(one.unit.hook, one.unit.index, one.side) for one in found.units] == expected
    for one, key in zip(found.units, expected, strict=True):
        assert (one.activation, one.position) == pytest.approx(known[key], abs=1e-5)
    assert found.hooks == HOOKS
    assert "".join(found.tokens) == TEXT


def test_units_whose_maximum_is_known_come_first_by_their_share_of_it(
    subject: SubjectModel,
) -> None:
    known = peaks(subject)
    positive = sorted((k for k in known if known[k][0] > 0), key=lambda key: known[key][0])
    weak, strong = positive[0], positive[-1]
    maxima = {
        (weak[0], weak[2]): {weak[1]: known[weak][0] / 2},
        (strong[0], strong[2]): {strong[1]: known[strong][0] * 4, 10**6: 1.0},
    }
    first, second, third = strongest_units(subject, TEXT, 3, maxima=maxima).units
    assert (first.unit, first.relative) == (UnitId("tiny", *weak[:2]), pytest.approx(2.0))
    assert (second.unit, second.relative) == (UnitId("tiny", *strong[:2]), pytest.approx(0.25))
    assert (third.maximum, third.relative) == (None, None)


def test_tokens_are_read_as_they_are_and_layers_are_chosen(subject: SubjectModel) -> None:
    ids = strongest_units(subject, TEXT, 1).token_ids
    found = strongest_units(subject, ids[::-1], 500, layers=[1])
    assert found.token_ids == ids[::-1]
    assert found.hooks == HOOKS[1:]
    assert {one.unit.hook for one in found.units} == {HOOKS[1]}
    activations = [one.activation for one in found.units]
    assert activations == sorted(activations, reverse=True)
    assert activations[-1] > 0


def test_a_layer_that_does_not_exist_is_named(subject: SubjectModel) -> None:
    with pytest.raises(InputError, match="layer 9 does not exist: tiny has the layers 0 to 1"):
        strongest_units(subject, TEXT, 3, layers=[0, 9])
