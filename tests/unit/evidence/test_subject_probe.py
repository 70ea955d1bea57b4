"""The probe reads what the model computes, once, however many ask."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import torch
from native_models import native_model
from sae_folders import HOOK as SAE_HOOK
from sae_folders import write_sae
from tiny import tiny_subject

from autointerp.activations import live_activations
from autointerp.core.errors import InputError
from autointerp.core.ids import Side, UnitId
from autointerp.evidence import SubjectProbe
from autointerp.subjects import SubjectModel, load_sae, random_directions

POST, OTHER = "blocks.1.mlp.hook_post", "blocks.0.mlp.hook_post"
TEXTS = ("the river runs dry", "it", "old stones sleep under the river in May")


class Counting(SubjectModel):
    """Counts the texts of each forward pass."""

    def __init__(self, subject: SubjectModel) -> None:
        super().__init__(subject.bridge, subject.tokenizer, name="tiny", revision="x")
        self.passes: list[int] = []

    def read(self, tokens: torch.Tensor, *rest: Any) -> None:
        self.passes.append(len(tokens))
        super().read(tokens, *rest)


def unit(index: int, hook: str = POST) -> UnitId:
    return UnitId("tiny", hook, index)


def test_it_measures_what_live_activations_shows(subject: SubjectModel) -> None:
    found = asyncio.run(SubjectProbe(subject).measure(unit(5), TEXTS))
    live = live_activations(subject, TEXTS, units="1:5")
    for text, probed, shown in zip(TEXTS, found, live, strict=True):
        assert (probed.text, probed.tokens) == (text, shown.tokens)
        assert probed.activations == pytest.approx(shown.values[0].tolist(), abs=1e-5)


def test_calls_that_come_together_share_a_pass_and_nothing_runs_twice(llama: SubjectModel) -> None:
    counting = Counting(llama)
    probe = SubjectProbe(counting)

    async def both() -> Any:
        asked = (probe.measure(unit(1), TEXTS), probe.measure(unit(2, OTHER), TEXTS[:1]))
        return await asyncio.gather(*asked, probe.measure(unit(1), TEXTS[:2]))

    first, other, again = asyncio.run(both())
    assert counting.passes == [3]
    assert again == first[:2]
    assert other[0].activations != first[0].activations
    # Another loop, the same model: only the unit that was not read runs.
    asyncio.run(probe.measure(unit(1), TEXTS))
    assert counting.passes == [3]
    asyncio.run(probe.measure(unit(3), TEXTS[:1]))
    assert counting.passes == [3, 1]


def test_passes_and_what_is_kept_are_bounded(llama: SubjectModel) -> None:
    counting = Counting(llama)
    probe = SubjectProbe(counting, batch_tokens=8, n_cached=1)
    asyncio.run(probe.measure(unit(1), TEXTS))
    assert len(counting.passes) > 1
    before = len(counting.passes)
    asyncio.run(probe.measure(unit(1), TEXTS))
    assert len(counting.passes) > before


def test_a_text_beyond_the_context_is_cut(llama: SubjectModel) -> None:
    [found] = asyncio.run(SubjectProbe(llama).measure(unit(0), ["the" + " river" * 300]))
    assert len(found.tokens) == len(found.activations) == llama.max_n_ctx


@pytest.mark.parametrize(
    ("wrong", "texts", "message"),
    [
        (unit(0), ["", "it"], "has no tokens"),
        (unit(24), ["it"], "has the units 0 to 23"),
        (UnitId("other", POST, 0), ["it"], "not a unit of tiny"),
        (unit(0, "blocks.9.mlp.hook_post"), ["it"], "there is no layer 9"),
    ],
)
def test_a_wrong_call_fails_alone(
    llama: SubjectModel, wrong: UnitId, texts: list[str], message: str
) -> None:
    probe = SubjectProbe(llama)

    async def both() -> Any:
        good, bad = probe.measure(unit(0), TEXTS), probe.measure(wrong, texts)
        return await asyncio.gather(good, bad, return_exceptions=True)

    good, bad = asyncio.run(both())
    assert len(good) == 3
    with pytest.raises(InputError, match=message):
        raise bad


def test_ids_run_as_they_are_and_not_as_their_text_is_tokenized(subject: SubjectModel) -> None:
    probe = SubjectProbe(subject)
    ids = [tuple(subject.tokenizer.encode(text)) for text in TEXTS]
    whole = asyncio.run(probe.measure(unit(5), TEXTS))
    assert asyncio.run(probe.measure_ids(unit(5), ids)) == whole
    # The word "it" spelled with two tokens, as no tokenizer would.
    split = [subject.tokenizer.encode(letter)[0] for letter in "it"]
    [probed] = asyncio.run(probe.measure_ids(unit(5), [split]))
    assert (probed.text, probed.tokens) == ("it", ("i", "t"))
    assert probed.activations[-1] != pytest.approx(whole[1].activations[-1], abs=1e-5)


def test_a_token_sees_nothing_of_those_behind_it_and_of_other_sequences(
    subject: SubjectModel,
) -> None:
    ids = tuple(subject.tokenizer.encode(TEXTS[2]))
    together = asyncio.run(SubjectProbe(subject).measure_ids(unit(5), [ids, ids[:3], ids[2:]]))
    alone = asyncio.run(SubjectProbe(subject).measure_ids(unit(5), [ids[2:]]))
    assert together[1].activations == pytest.approx(together[0].activations[:3], abs=1e-5)
    assert together[2].activations == pytest.approx(alone[0].activations, abs=1e-5)


@pytest.mark.parametrize("kind", ["latents", "directions", "native"])
def test_ids_are_measured_for_latents_directions_and_native_models(
    kind: str, tmp_path: Path
) -> None:
    native = kind == "native"
    model = tiny_subject(native_model(n_steps=1)) if native else tiny_subject()
    hook = POST
    if not native:
        latents = write_sae(tmp_path / "sae") if kind == "latents" else None
        encoder = load_sae(latents) if latents else random_directions(SAE_HOOK, 16, 4, seed=0)
        hook = model.attach(encoder)
    ids = [tuple(model.tokenizer.encode(text)) for text in TEXTS]
    units = [unit(index, hook) for index in range(4)]
    found = [asyncio.run(SubjectProbe(model).measure_ids(one, ids)) for one in units]
    for place, row in enumerate(ids):
        expected = model.read_rows([row], {hook: range(4)})[0]
        for one, values in zip(found, expected, strict=True):
            assert one[place].activations == pytest.approx(values.tolist(), abs=1e-5)
    assert any(text.peak(Side.POSITIVE) for one in found for text in one)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ((), "has 0 tokens, the model takes 1 to 127"),
        ((1,) * 128, "has 128 tokens, the model takes 1 to 127"),
        ((1, -1), "-1 is not a token id of tiny"),
        ((1, 10**9), "is not a token id of tiny; they are 0 to"),
    ],
)
def test_ids_that_cannot_be_run_are_refused(
    llama: SubjectModel, ids: tuple[int, ...], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        asyncio.run(SubjectProbe(llama).measure_ids(unit(0), [(1, 2), ids]))


def test_a_broken_pass_ends_every_call_that_waited(llama: SubjectModel) -> None:
    class Broken(Counting):
        def read(self, tokens: torch.Tensor, *rest: Any) -> None:
            raise MemoryError

    probe = SubjectProbe(Broken(llama))
    with pytest.raises(MemoryError):
        asyncio.run(asyncio.wait_for(probe.measure(unit(0), TEXTS), 300))


def test_continuations_depend_on_the_seed_alone(llama: SubjectModel) -> None:
    def write(sign: float, seed: int) -> tuple[str, ...]:
        asked = SubjectProbe(llama).continuations(
            unit(3, OTHER), TEXTS[:2], sign=sign, target_kl=0.5, n_tokens=8, seed=seed
        )
        return asyncio.run(asked)

    assert write(1, 0) == write(1, 0)
    assert write(1, 0) != write(1, 1)
    assert len({write(sign, 0) for sign in (1, 0, -1)}) == 3
