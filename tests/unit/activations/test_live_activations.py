"""What units do on a text that somebody just typed."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import tiny_llama, tiny_subject

from autointerp.activations import live_activations
from autointerp.core.errors import InputError
from autointerp.subjects import HookUnits, SubjectModel, parse_units

HOOK = "blocks.1.mlp.hook_post"
TEXTS = ["the river runs dry", "it", "old stones sleep under the river in May", "the river"]


@pytest.fixture(scope="module")
def subject() -> SubjectModel:
    return tiny_subject(tiny_llama(n_layers=2))


def test_values_are_those_of_the_text_alone(subject: SubjectModel) -> None:
    together = live_activations(subject, TEXTS, units="0:3,1:0-4", batch_texts=2)
    for text, found in zip(TEXTS, together, strict=True):
        [alone] = live_activations(subject, text, units="0:3,1:0-4")
        assert (found.text, found.tokens) == (text, alone.tokens)
        assert "".join(found.tokens) == text
        assert found.values.shape == (6, len(found.tokens))
        np.testing.assert_allclose(found.values, alone.values, atol=1e-5)


def test_values_are_what_the_model_computes(subject: SubjectModel) -> None:
    units = (HookUnits(HOOK, (2, 5)),)
    [found] = live_activations(subject, TEXTS[2], units=units)
    seen = {}
    tokens = torch.tensor([found.token_ids])
    subject.read(tokens, [HOOK], lambda hook, acts: seen.update({hook: acts}))
    assert found.values.tolist() == seen[HOOK][0, :, [2, 5]].T.tolist()
    assert [str(unit) for unit in found.units] == [f"tiny/{HOOK}/2", f"tiny/{HOOK}/5"]


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["the river", ""], "text 1 has no tokens: ''; write some words"),
        (["the " * 200], "text 0 has .* tokens, tiny takes 127; cut it into parts"),
    ],
)
def test_a_text_that_cannot_be_read_is_named(
    subject: SubjectModel, texts: list[str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        live_activations(subject, texts, units="0:0")


def test_tokens_that_are_given_are_read_as_they_are(subject: SubjectModel) -> None:
    [written] = live_activations(subject, TEXTS[0], units="0:3,1:0-4")
    ids = written.token_ids[::-1]
    given, together = live_activations(subject, [ids, written.token_ids], units="0:3,1:0-4")
    assert (given.token_ids, given.tokens) == (ids, written.tokens[::-1])
    assert given.text == "".join(written.tokens[::-1])
    np.testing.assert_allclose(together.values, written.values, atol=1e-5)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ([[1], [2, 10**20]], "text 1 has the token 1000.*; those of tiny are 0 to "),
        ([[-1]], "text 0 has the token -1; those of tiny are 0 to "),
        ([[]], "text 0 has no tokens; name some"),
        ([[1] * 128], "text 0 has 128 tokens, tiny takes 127"),
        ([1, 2], "token ids are given in rows"),
    ],
)
def test_tokens_that_the_model_does_not_have_are_refused(
    subject: SubjectModel, texts: list[list[int]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        live_activations(subject, texts, units="0:0")


def test_no_text_has_no_activations(subject: SubjectModel) -> None:
    assert live_activations(subject, [], units="0:0") == []


def test_a_text_may_fill_the_context(subject: SubjectModel) -> None:
    [found] = live_activations(subject, "the" + " the" * 126, units="0:0")
    assert found.values.shape == (1, 127)


def test_random_units_depend_on_the_seed(subject: SubjectModel) -> None:
    [found] = live_activations(subject, "it", units="random:5", seed=3)
    expected = parse_units("random:5", subject, seed=3)
    assert [(unit.hook, unit.index) for unit in found.units] == [
        (group.hook, index) for group in expected for index in group.indices
    ]
    assert expected != parse_units("random:5", subject, seed=0)


def test_values_stand_in_the_order_of_the_units(subject: SubjectModel) -> None:
    upper, lower = HookUnits(HOOK, (2,)), HookUnits("blocks.0.mlp.hook_post", (4,))
    [found] = live_activations(subject, TEXTS[0], units=(upper, lower))
    [other] = live_activations(subject, TEXTS[0], units=(lower, upper))
    assert found.values.tolist() == other.values[::-1].tolist()
