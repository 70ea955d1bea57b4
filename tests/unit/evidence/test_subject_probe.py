"""The probe reads what the model computes, once, however many ask."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import torch

from autointerp.activations import live_activations
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.evidence import SubjectProbe
from autointerp.subjects import SubjectModel

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
