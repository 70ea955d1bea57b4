from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
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
    LlamaForSequenceClassification,
    LlamaForTokenClassification,
    LlamaModel,
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
        ({"hidden_act": "nonesuch"}, "nothing is known as 'nonesuch'"),
    ],
)
def test_a_configuration_that_does_not_fit_its_weights_is_refused(
    tmp_path: Path, config: dict[str, Any], says: str
) -> None:
    assert says in refusal(saved(tmp_path, tiny_llama(), **config))


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
