"""Models that read more than text are refused by their class, or read by their text part."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from multimodal_models import gemma3, llava, paligemma, qwen2_audio
from started_programs import started_programs
from tiny import tiny_subject, tiny_tokenizer
from torch import Tensor

from autointerp.core.errors import InputError
from autointerp.subjects import SubjectModel, load_subject

TOKENS = torch.randint(1, 250, (2, 7), generator=torch.Generator().manual_seed(1))
TEXT_ONLY = (
    "which reads more than text; a text-only causal (left-to-right) language model such as "
    "LlamaForCausalLM is expected"
)
REFUSED = [
    (llava, "LlavaForConditionalGeneration"),
    (paligemma, "PaliGemmaForConditionalGeneration"),
    (qwen2_audio, "Qwen2AudioForConditionalGeneration"),
]


def saved(model: Any, folder: Path) -> str:
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    return str(folder)


@pytest.mark.parametrize(("build", "kind"), REFUSED)
def test_a_folder_of_a_multimodal_model_is_refused_by_its_class(
    tmp_path: Path, build: Callable[[], Any], kind: str
) -> None:
    folder = saved(build(), tmp_path)
    with pytest.raises(InputError) as told:
        load_subject(folder, device="cpu")
    assert str(told.value) == f"{folder} is a {kind}, {TEXT_ONLY}"


@pytest.mark.parametrize(("build", "kind"), REFUSED)
def test_a_multimodal_model_from_memory_is_refused_too(build: Callable[[], Any], kind: str) -> None:
    with pytest.raises(InputError) as told:
        tiny_subject(build())
    assert str(told.value) == f"tiny is a {kind}, {TEXT_ONLY}"


@pytest.mark.parametrize("way", ["memory", "folder"])
def test_the_text_part_of_gemma_3_is_read_and_nothing_is_installed(
    tmp_path: Path, way: str
) -> None:
    model = gemma3()
    entered: list[Tensor] = []
    for layer in model.model.language_model.layers:
        layer.mlp.down_proj.register_forward_pre_hook(lambda _m, args: entered.append(args[0]))
    with torch.inference_mode():
        model(torch.nn.functional.pad(TOKENS, (1, 0), value=0))
    expected = [each.clone()[:, 1:] for each in entered]
    with started_programs() as started:
        loaded = load_subject(saved(model, tmp_path), device="cpu") if way == "folder" else None
        subject = loaded or tiny_subject(model)
        for layer in range(2):
            torch.testing.assert_close(neurons(subject, layer), expected[layer])
    assert not started
    assert type(model).__name__ == "Gemma3ForConditionalGeneration"


def neurons(subject: SubjectModel, layer: int) -> Tensor:
    found: list[Tensor] = []
    hook = f"blocks.{layer}.mlp.hook_post"
    subject.read(TOKENS, [hook], lambda _name, values: found.append(values.clone()))
    return found[0]
