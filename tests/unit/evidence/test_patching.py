"""Patching between two prompts: what a unit restores of their difference."""

from __future__ import annotations

import re

import pytest
import torch
from causal_model import causal_subject, neuron
from held_texts import passages
from tiny import tiny_gpt2, tiny_subject

from autointerp.core.causal_evidence import LossChange
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.evidence import HeldPasses, ablate, patch
from autointerp.subjects import SubjectModel

HOOK = "blocks.1.mlp.hook_post"
PROMPT, OTHER = "the river runs dry", "old stones sleep dry"


def logits(subject: SubjectModel, ids: list[int], values: torch.Tensor | None) -> torch.Tensor:
    """The oracle: a whole pass, unit 3 at these values behind BOS where they are not NaN."""

    def write(acts: torch.Tensor, *, hook: object) -> torch.Tensor:
        held = acts.clone()
        if values is not None:
            held[:, 1:, 3] = torch.where(values.isnan(), held[:, 1:, 3], values)
        return held

    with torch.inference_mode(), subject.bridge.hooks(fwd_hooks=[(HOOK, write)]):
        result = subject.bridge(torch.tensor([[0, *ids]]), return_type="logits")
    return result[0, -1].double()  # type: ignore[no-any-return]


@pytest.mark.parametrize("position", [None, 1, 3])
def test_the_share_is_that_of_whole_passes(position: int | None) -> None:
    subject = tiny_subject(tiny_gpt2())
    ids, others = (subject.tokenizer.encode(text) for text in (PROMPT, OTHER))
    values: list[torch.Tensor] = []
    row = torch.tensor([ids])
    subject.read(row, [HOOK], lambda _, acts: values.append(acts[0, :, 3].clone()))
    at = values[0]
    if position is not None:
        at = torch.full_like(at, torch.nan)
        at[position] = values[0][position]
    unit = UnitId("tiny", HOOK, 3)
    found = patch(
        HeldPasses(subject), (unit,), PROMPT, OTHER, answers=(" May", "it"), position=position
    )
    a, b = (subject.tokenizer.encode(text)[0] for text in (" May", "it"))
    differences = [
        float(line[a] - line[b])
        for line in (logits(subject, ids, None), logits(subject, others, None))
    ]
    patched = logits(subject, others, at)
    after = float(patched[a] - patched[b])
    assert found.difference == pytest.approx(differences[0], abs=1e-5)
    assert found.patched_difference == pytest.approx(after, abs=1e-5)
    share = (after - differences[1]) / (differences[0] - differences[1])
    assert found.share == pytest.approx(share, abs=1e-5)
    assert found.answers == (" May", "it")


def test_of_a_long_prompt_logits_are_made_for_its_last_token_alone() -> None:
    subject = tiny_subject(tiny_gpt2())
    unit, shapes = UnitId("tiny", HOOK, 3), set[tuple[int, ...]]()
    head = subject.bridge.unembed
    watch = head.register_forward_hook(lambda _, __, out: shapes.add(tuple(out.shape[:2])))
    try:
        patch(HeldPasses(subject), (unit,), PROMPT, OTHER, answers=(" May", "it"), n_controls=2)
    finally:
        watch.remove()
    # What is run on two rows is the prompt; a unit, two others and two directions are the rest.
    assert {(2, 1), (6, 1)} <= shapes
    assert all(n_rows <= 3 for n_rows, n_tokens in shapes if n_tokens > 1)


def test_what_is_asked_of_the_model_between_two_passes_is_answered_as_it_is_alone() -> None:
    subject = tiny_subject(tiny_gpt2())
    unit, texts = UnitId("tiny", HOOK, 3), passages(subject, 2)
    alone = ablate(HeldPasses(subject), [unit], texts, n_controls=2)
    between: list[LossChange] = []

    def check() -> None:
        between.append(ablate(HeldPasses(subject), [unit], texts, n_controls=2))

    asked = {"answers": (" May", "it"), "n_controls": 2}
    plain = patch(HeldPasses(subject), (unit,), PROMPT, OTHER, **asked)  # type: ignore[arg-type]
    passes = HeldPasses(subject, check=check)
    found = patch(passes, (unit,), PROMPT, OTHER, **asked)  # type: ignore[arg-type]
    assert between == [alone, alone]
    assert found == plain


def test_the_units_that_make_the_difference_restore_all_of_it() -> None:
    passes = HeldPasses(causal_subject())
    asked = {"answers": (" stones", " runs"), "position": 1}
    both = (neuron(1, 1), neuron(1, 2))
    found = patch(passes, both, " it May", " it in", **asked)  # type: ignore[arg-type]
    assert found.difference > 1
    assert found.share == pytest.approx(1.0, abs=0.01)
    # Of 22 other neurons there are 11 pairs.
    assert [one.p for one in found.standings] == [pytest.approx(1 / 12), 0.05]
    none = patch(passes, (neuron(1, 9),), " it May", " it in", **asked)  # type: ignore[arg-type]
    assert none.share == pytest.approx(0.0, abs=0.01)


def test_the_most_probable_tokens_are_the_answers_where_none_are_given() -> None:
    subject = tiny_subject(tiny_gpt2())
    found = patch(HeldPasses(subject), (UnitId("tiny", HOOK, 3),), PROMPT, "in May sleep stones")
    tokens = [
        subject.tokenizer.pieces(
            [int(logits(subject, subject.tokenizer.encode(text), None).argmax())]
        )
        for text in (PROMPT, "in May sleep stones")
    ]
    assert found.answers == (tokens[0][0], tokens[1][0])


REFUSED = {
    "lengths": (
        {"counterfactual": "old stones"},
        "must have the same number of tokens, found 4 (the| river| runs| dry) and 2 (old| stones)",
    ),
    "same": ({"counterfactual": PROMPT}, "are the same text; write one that differs"),
    "position": ({"position": 4}, "has the tokens 0 to 3; there is no position 4"),
    "answer": (
        {"answers": ("May", "zebra")},
        "the answer 'zebra' is 5 tokens (z|e|b|r|a); name a word that is one",
    ),
    "answers": ({"answers": ("May", "May")}, "both answers are 'May'; name two that differ"),
    "empty": ({"counterfactual": ""}, "has 0 tokens; tiny takes 1 to 127"),
}


@pytest.mark.parametrize("case", list(REFUSED))
def test_what_cannot_be_patched_is_refused(case: str) -> None:
    changed, message = REFUSED[case]
    asked = {"prompt": PROMPT, "counterfactual": OTHER, **changed}
    passes = HeldPasses(tiny_subject(tiny_gpt2()))
    with pytest.raises(InputError, match=re.escape(message)):
        patch(passes, (UnitId("tiny", HOOK, 3),), **asked)  # type: ignore[arg-type]


def test_two_prompts_with_one_difference_have_no_share() -> None:
    passes = HeldPasses(causal_subject())
    unit, answers = (neuron(1, 9),), (" dry", " runs")
    found = patch(passes, unit, "in it it", "it it it", answers=answers)
    assert found.share is None
    assert found.reason == (
        "prompt and counterfactual give the two answers the same difference of logits"
    )
