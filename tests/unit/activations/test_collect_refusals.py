from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny import tiny_corpus, tiny_llama, tiny_subject

from autointerp.activations import collect
from autointerp.core.config import CollectConfig
from autointerp.core.errors import InputError
from autointerp.subjects import HookUnits, SubjectModel

HOOK = "blocks.1.mlp.hook_post"


def broken_subject(row: int, position: int, value: float) -> SubjectModel:
    """Unit 11 has the value at one place of the first batch; position 0 is BOS."""
    subject = tiny_subject(tiny_llama(n_layers=2))
    left = [value]

    def spoil(activations: torch.Tensor, hook: object) -> torch.Tensor:
        spoiled = activations.clone()
        # The model is first tried with a few short rows, to learn its shapes.
        if left and row < len(spoiled) and spoiled.shape[1] > 5:
            spoiled[row, position, 11] = left.pop()
        return spoiled

    subject.bridge.blocks[1].mlp.out.hook_in.add_perma_hook(spoil)
    return subject


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 3e7])
def test_an_impossible_activation_names_hook_point_unit_and_window(
    tmp_path: Path, value: float
) -> None:
    corpus = tiny_corpus(tmp_path, tiny_subject(), n_tokens=400)
    message = rf"{HOOK} unit 11 is {value} in window 3 at position 2; load the subject model in"
    with pytest.raises(InputError, match=message):
        collect(broken_subject(3, 1 + 2, value), corpus, units=[HookUnits(HOOK, (3, 11))])
    healthy = broken_subject(3, 1 + 2, value)
    assert collect(healthy, corpus, units=[HookUnits(HOOK, (3, 10))])[HOOK].n_windows


@pytest.mark.parametrize("position", [None, 0])
def test_padding_and_bos_may_have_any_activation(tmp_path: Path, position: int | None) -> None:
    corpus = tiny_corpus(tmp_path, tiny_subject(), n_tokens=400)
    short = next(w for w in corpus if len(w.token_ids) < 8)
    place = 1 + len(short.token_ids) if position is None else position
    subject = broken_subject(short.id, place, float("nan"))
    config = CollectConfig(batch_windows=4096)
    found = collect(subject, corpus, units=[HookUnits(HOOK, (11,))], config=config)[HOOK]
    assert np.isfinite(found.mean).all()
    assert np.isfinite(found.top_values).all()


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ([], "no units were asked for"),
        ([HookUnits(HOOK, ())], "has the units 0 to 23"),
        ([HookUnits(HOOK, (0, 24))], "has the units 0 to 23"),
        ([HookUnits(HOOK, (-1, 3))], "has the units 0 to 23"),
        ([HookUnits(HOOK, (3, 2))], "must ascend, each once"),
        ([HookUnits(HOOK, (2, 2))], "must ascend, each once"),
        ([HookUnits(HOOK, (1,)), HookUnits(HOOK, (2,))], "a hook point was given twice"),
        ([HookUnits("blocks.7.mlp.hook_post", (1,))], "there is no layer 7"),
    ],
)
def test_units_that_cannot_be_collected_are_told(
    collected: Any, units: list[HookUnits], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        collect(collected.subject, collected.corpus, units=units)


def test_windows_longer_than_the_context_are_told(collected: Any, tmp_path: Path) -> None:
    corpus = tiny_corpus(tmp_path, collected.subject, n_tokens=6000, n_ctx=128)
    with pytest.raises(InputError, match="windows of 128 tokens do not fit tiny, which takes 127"):
        collect(collected.subject, corpus, units=[HookUnits(HOOK, (0,))])


def test_another_summary_has_no_such_hook_point(collected: Any) -> None:
    assert list(collected.summary) == ["blocks.0.mlp.hook_pre", HOOK]
    assert len(collected.summary) == 2
    with pytest.raises(KeyError):
        collected.summary["blocks.0.mlp.hook_post"]
