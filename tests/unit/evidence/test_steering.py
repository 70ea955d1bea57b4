"""Steering: the divergence that was asked for, and texts that depend on the seed alone."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
import torch
from sae_folders import sae_config, write_sae
from tiny import tiny_llama, tiny_subject

from autointerp.core.characters import join_tokens
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.core.seeds import derive_seed
from autointerp.evidence import Steering, steered_texts, steering_strength
from autointerp.evidence.steered_passes import of_equal_length
from autointerp.subjects import SubjectModel, random_directions
from autointerp.subjects.sae import load_sae

POST = "blocks.0.mlp.hook_post"
PROMPTS = ("the river", "old stones sleep", "in May")


def encoded(subject: SubjectModel) -> list[tuple[int, ...]]:
    return [tuple(subject.tokenizer.encode(prompt)) for prompt in PROMPTS]


def next_logprobs(subject: SubjectModel, ids: list[int], hook: str, added: object) -> torch.Tensor:
    """The oracle: one text at a time, TransformerLens' own forward pass."""

    def push(acts: torch.Tensor, *, hook: object) -> torch.Tensor:
        moved = acts.clone()
        moved[:, 1:] += added
        return moved

    with torch.inference_mode(), subject.bridge.hooks(fwd_hooks=[(hook, push)]):
        logits = subject.bridge(torch.tensor([[0, *ids]]), return_type="logits")
    return torch.log_softmax(logits[0, -1].double(), dim=-1)


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("target", [0.25, 0.5])
def test_the_next_token_moves_as_far_as_asked(
    subject: SubjectModel, sign: float, target: float
) -> None:
    unit = UnitId("tiny", POST, 3)
    found = steering_strength(subject, unit, encoded(subject), sign=sign, target_kl=target)
    added = torch.zeros(subject.width(POST))
    terms = []
    for ids in encoded(subject):
        before = next_logprobs(subject, list(ids), POST, added)
        added[3] = found.strength
        after = next_logprobs(subject, list(ids), POST, added)
        added[3] = 0.0
        terms.append(float((after.exp() * (after - before)).sum()))
    assert found.strength * sign > 0
    assert sum(terms) / 3 == pytest.approx(target, rel=0.1)
    assert sum(terms) / 3 == pytest.approx(found.kl, rel=1e-3)


def test_a_unit_that_writes_nothing_cannot_be_steered() -> None:
    model = tiny_llama(n_layers=1)
    with torch.no_grad():
        model.model.layers[0].mlp.down_proj.weight.zero_()
    mute, unit = tiny_subject(model), UnitId("tiny", POST, 0)
    with pytest.raises(InputError, match=r"by a KL of 0 at most.*a KL of 0.25 cannot be set"):
        steering_strength(mute, unit, encoded(mute), sign=1, target_kl=0.25)


def test_texts_are_drawn_as_from_whole_forward_passes(subject: SubjectModel) -> None:
    steering = Steering(UnitId("tiny", POST, 3), 2.0, 0.0)
    found = steered_texts(subject, steering, encoded(subject), n_tokens=6, seed=5)
    added = torch.zeros(subject.width(POST))
    added[3] = 2.0
    for row, ids in enumerate(encoded(subject)):
        draw, written = random.Random(derive_seed(5, "continuation", row)), []
        for _ in range(6):
            mass = next_logprobs(subject, [*ids, *written], POST, added).exp().cumsum(0)
            at = torch.tensor(draw.random(), dtype=torch.float64) * mass[-1]
            written.append(int(torch.searchsorted(mass, at, right=True)))
        end = written.index(0) if 0 in written else 6
        assert found[row] == join_tokens(subject.tokenizer.pieces(written[:end]))


def test_the_same_prompt_is_continued_anew_each_time_and_seeds_decide(llama: SubjectModel) -> None:
    alone = Steering(UnitId("tiny", POST, 3), 0.0, 0.0)
    prompts = [encoded(llama)[0]] * 3
    first = steered_texts(llama, alone, prompts, n_tokens=8, seed=1)
    assert len(set(first)) == 3
    assert steered_texts(llama, alone, prompts, n_tokens=8, seed=1) == first
    assert steered_texts(llama, alone, prompts, n_tokens=8, seed=2) != first


def test_a_direction_is_raised_by_what_is_added(llama: SubjectModel) -> None:
    base = "blocks.0.hook_resid_post"
    hook = llama.attach(random_directions(base, 16, 2, 7))
    found = steering_strength(
        llama, UnitId("tiny", hook, 1), encoded(llama), sign=1, target_kl=0.25
    )
    vector = llama.encoders[hook].vectors[1]  # type: ignore[attr-defined]
    terms = []
    for ids in encoded(llama):
        before = next_logprobs(llama, list(ids), base, 0.0)
        after = next_logprobs(llama, list(ids), base, found.strength * vector)
        terms.append(float((after.exp() * (after - before)).sum()))
    assert sum(terms) / 3 == pytest.approx(0.25, rel=0.1)


def test_a_latent_trained_without_bos_is_steered_without_it(tmp_path: Path) -> None:
    config = sae_config()
    config["metadata"]["prepend_bos"] = False
    encoder = load_sae(write_sae(tmp_path / "bare", config=config))
    usual, without = tiny_subject(), tiny_subject(prepend_bos=False)
    unit = UnitId("tiny", usual.attach(encoder), 3)
    assert without.attach(encoder) == unit.hook
    prompts = encoded(usual)
    found, expected = (
        steering_strength(model, unit, prompts, sign=1, target_kl=0.25)
        for model in (usual, without)
    )
    assert found == expected
    texts = steered_texts(usual, found, prompts, n_tokens=6, seed=2)
    assert texts == steered_texts(without, found, prompts, n_tokens=6, seed=2)


def test_what_cannot_be_continued_is_refused(llama: SubjectModel) -> None:
    alone = Steering(UnitId("tiny", POST, 3), 0.0, 0.0)
    with pytest.raises(InputError, match="has no tokens"):
        steered_texts(llama, alone, [()], n_tokens=2, seed=0)
    with pytest.raises(InputError, match="do not fit tiny, which takes 127"):
        steered_texts(llama, alone, [(1,) * 126], n_tokens=2, seed=0)
    with pytest.raises(InputError, match="has the units 0 to 23, not 24"):
        steering_strength(llama, UnitId("tiny", POST, 24), encoded(llama), sign=1, target_kl=1)


def test_rows_of_one_length_run_together_where_their_logits_have_room() -> None:
    rows = [(1,) * 999] * 30 + [(2,) * 4] * 3
    places = of_equal_length(rows, n_vocab=50_000)
    assert [place for part in places for place in part] == list(range(33))
    assert max(len(part) * (1 + len(rows[part[0]])) for part in places) * 50_000 <= 2**28
    assert places[-1] == [30, 31, 32]
    assert of_equal_length([(1,) * 9_999] * 2, n_vocab=50_000) == [[0], [1]]
