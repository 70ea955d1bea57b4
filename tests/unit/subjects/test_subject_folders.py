from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import tiny_gpt2, tiny_llama, tiny_tokenizer
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForMaskedLM,
    BertForSequenceClassification,
    CLIPTextConfig,
    CLIPTextModel,
    GPT2ForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    LlamaForTokenClassification,
    LlamaModel,
    Qwen3Config,
    Qwen3ForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
    ViTConfig,
    ViTForImageClassification,
)

from autointerp.core.errors import InputError
from autointerp.subjects import load_subject

SMALL: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 24,
}
BART: dict[str, Any] = {
    f"{side}_{size}": n
    for side in ("encoder", "decoder")
    for size, n in {"layers": 1, "attention_heads": 2, "ffn_dim": 24}.items()
}


def saved(folder: Path, model: Any, **config: Any) -> str:
    model.save_pretrained(folder)
    tiny_tokenizer().save_pretrained(folder)
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | config))
    return str(folder)


def refusal(folder: Path | str) -> str:
    with pytest.raises(InputError) as told:
        load_subject(str(folder), device="cpu")
    message = str(told.value)
    assert len(message) < 400
    return message


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (
            lambda: LlamaForSequenceClassification(tiny_llama().config),
            "is a LlamaForSequenceClassification, whose weights differ",
        ),
        (lambda: LlamaForTokenClassification(tiny_llama().config), "LlamaForTokenClassification"),
        (lambda: LlamaModel(tiny_llama().config), "is a LlamaModel, whose weights differ"),
        (
            lambda: GPT2ForSequenceClassification(tiny_gpt2().config),
            "is a GPT2ForSequenceClassification, whose weights differ",
        ),
        (
            lambda: BertForSequenceClassification(BertConfig(**SMALL)),
            "is a BertForSequenceClassification, whose weights differ",
        ),
        (lambda: BertForMaskedLM(BertConfig(**SMALL)), "BertForMaskedLM) is not causal"),
        (
            lambda: T5ForConditionalGeneration(T5Config(d_model=16, d_kv=8, d_ff=24, num_layers=1)),
            "is a T5ForConditionalGeneration, an encoder-decoder",
        ),
        (
            lambda: BartForConditionalGeneration(BartConfig(vocab_size=300, d_model=16, **BART)),
            "is a BartForConditionalGeneration, an encoder-decoder",
        ),
        (
            lambda: ViTForImageClassification(ViTConfig(**(SMALL | {"image_size": 32}))),
            "is a ViTForImageClassification, which is not causal",
        ),
        (lambda: CLIPTextModel(CLIPTextConfig(**SMALL)), "is a CLIPTextModel, which is not causal"),
    ],
)
def test_a_folder_of_another_kind_of_model_is_refused_by_its_class(
    tmp_path: Path, build: Callable[[], Any], says: str
) -> None:
    message = refusal(saved(tmp_path, build()))
    assert says in message
    assert message.endswith("language model such as LlamaForCausalLM is expected")
    assert "download" not in message


@pytest.mark.parametrize(
    ("config", "says"),
    [
        ({"num_key_value_heads": 2}, r"k_proj.weight has the shape (8, 16), where the conf"),
        ({"intermediate_size": 32}, r"has the shape (16, 24), where the configuration makes"),
        ({"vocab_size": 32}, "lm_head.weight has the shape (279, 16), where the configuration"),
        ({"num_hidden_layers": 2}, "there is no place for 9, among them model.layers.2."),
        ({"num_hidden_layers": 4}, "9 are missing, among them model.layers.3."),
        ({"num_attention_heads": 5}, "The hidden size (16) is not a multiple of the number of"),
        ({"hidden_size": "16"}, "expected int, got str"),
        ({"head_dim": 0}, "cannot be loaded"),
        ({"hidden_act": "nonesuch"}, "nothing is known as 'nonesuch'"),
    ],
)
def test_a_configuration_that_does_not_fit_its_weights_is_refused(
    tmp_path: Path, config: dict[str, Any], says: str
) -> None:
    assert says in refusal(saved(tmp_path, tiny_llama(), **config))


BIASED = LlamaConfig(**SMALL, attention_bias=True, mlp_bias=True)


@pytest.mark.parametrize(
    ("build", "config", "dropped"),
    [
        (lambda: LlamaForCausalLM(BIASED), {"attention_bias": False}, "k_proj.bias"),
        (lambda: LlamaForCausalLM(BIASED), {"mlp_bias": False}, "down_proj.bias"),
        (
            lambda: Qwen3ForCausalLM(Qwen3Config(**SMALL, head_dim=8, num_key_value_heads=2)),
            {"model_type": "llama", "architectures": ["LlamaForCausalLM"]},
            "self_attn.k_norm.weight",
        ),
    ],
)
def test_weights_of_the_blocks_that_the_configuration_leaves_out_are_not_dropped(
    tmp_path: Path, build: Callable[[], Any], config: dict[str, Any], dropped: str
) -> None:
    message = refusal(saved(tmp_path, build(), **config))
    assert "are more than its config.json tells of: there is no place for" in message
    assert dropped in message


def test_weights_of_other_parts_and_old_buffers_change_nothing(tmp_path: Path) -> None:
    folder = saved(tmp_path, tiny_llama())
    weights = load_file(f"{folder}/model.safetensors")
    weights |= {
        "v_head.weight": torch.ones(1, 16),
        "vision_tower.layers.0.fc.weight": torch.ones(2, 2),
        "model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4),
        "model.layers.0.self_attn.bias": torch.ones(1, 1, 4, 4),
    }
    save_file(weights, f"{folder}/model.safetensors", metadata={"format": "pt"})
    assert load_subject(str(folder)).n_layers == 3


def other(**content: Any) -> Callable[[str], str]:
    return lambda text: json.dumps(json.loads(text) | content)


@pytest.mark.parametrize(
    ("file", "edit", "why"),
    [
        ("tokenizer.json", other(pre_tokenizer={"type": "Futuristic"}), "PreTokenizer"),
        ("tokenizer.json", other(model={"type": "NewBPE"}), "Model"),
        ("tokenizer.json", other(decoder={"type": "Futuristic"}), "Decoder"),
        ("tokenizer.json", other(normalizer={"type": "Futuristic"}), "Normalizer"),
        ("tokenizer.json", other(version="9.0"), "Unknown tokenizer version"),
        ("tokenizer.json", other(added_tokens=[{"x": 1}]), "missing field `id`"),
        ("tokenizer.json", lambda _text: "{}", "Model missing"),
        ("tokenizer.json", lambda _text: "[]", "it holds a list, not an object"),
        ("tokenizer.json", lambda text: text[:100], "Expecting value"),
        ("tokenizer.json", lambda _text: "", "Expecting value"),
        ("tokenizer_config.json", lambda _text: "{", "Expecting property name"),
        ("tokenizer_config.json", other(bos_token=5), "bos_token has to be"),
        ("tokenizer_config.json", other(model_max_length="many"), "not supported between"),
    ],
)
def test_a_tokenizer_file_that_cannot_be_read_is_named(
    tmp_path: Path, file: str, edit: Callable[[str], str], why: str
) -> None:
    folder = saved(tmp_path, tiny_llama())
    path = tmp_path / file
    path.write_text(edit(path.read_text()))
    message = refusal(folder)
    assert f"the tokenizer in {folder} cannot be loaded: " in message
    assert f"{file} is damaged, or made by newer versions than tokenizers" in message
    assert why in message


def test_a_merge_of_tokens_that_do_not_exist_is_named(tmp_path: Path) -> None:
    folder = saved(tmp_path, tiny_llama())
    path = tmp_path / "tokenizer.json"
    content = json.loads(path.read_text())
    content["model"]["merges"] = [["never", "seen"]]
    path.write_text(json.dumps(content))
    assert "tokenizer.json is damaged" in refusal(folder)
