"""Weights that are not finite are told when a model is loaded, with the tensor."""

from __future__ import annotations

import shutil
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch
from many_models import model_of
from native_models import native_model
from safetensors.torch import load_file, save_file
from tiny import tiny_gpt2, tiny_llama, tiny_subject, tiny_tokenizer

from autointerp.core.errors import InputError
from autointerp.subjects import load_subject, wrap_subject

NAN, INF = float("nan"), float("inf")
AGAIN = "download the model again, or convert it anew"


def broken(model: Any, name: str, value: float, *place: int) -> Any:
    with torch.no_grad():
        model.get_parameter(name)[place] = value
    return model


@pytest.mark.parametrize(
    ("build", "name", "place", "value"),
    [
        (tiny_llama, "model.layers.1.mlp.up_proj.weight", (3, 2), NAN),
        (tiny_llama, "model.layers.2.mlp.down_proj.weight", (0, 0), -INF),
        (tiny_llama, "model.norm.weight", (4,), INF),
        (tiny_llama, "lm_head.weight", (5, 0), NAN),
        (tiny_llama, "model.embed_tokens.weight", (270, 1), NAN),
        (tiny_gpt2, "transformer.h.0.mlp.c_fc.bias", (1,), INF),
        (lambda: tiny_llama(dtype=torch.bfloat16), "model.layers.0.input_layernorm.weight", 0, NAN),
        (lambda: model_of("mixtral"), "model.layers.1.mlp.experts.down_proj", (3, 0, 0), NAN),
    ],
)
def test_weights_that_are_not_finite_are_refused_with_the_tensor(
    build: Any, name: str, place: Any, value: float
) -> None:
    model = broken(build(), name, value, *(place if isinstance(place, tuple) else (place,)))
    what = "NaN" if value != value else "infinity"
    with pytest.raises(InputError) as told:
        tiny_subject(model)
    assert str(told.value) == f"the weights of tiny hold {what} in {name}; {AGAIN}"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_folder_with_such_weights_is_refused_when_it_is_loaded(
    tiny_folder: Path, tmp_path: Path, dtype: Any
) -> None:
    folder = Path(shutil.copytree(tiny_folder, tmp_path / "model"))
    weights = load_file(folder / "model.safetensors")
    weights["model.layers.0.self_attn.q_proj.weight"][1, 1] = NAN
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"of model hold NaN in model\.layers\.0\.self_attn\.q_pr"):
        load_subject(str(folder), dtype=dtype, device="cpu")


@pytest.mark.skipif(
    version("transformer_lens").startswith("3."), reason="TransformerLens 3 builds no native model"
)
@pytest.mark.parametrize("part", ["layers.1.mlp.fc_out.weight", "head.weight", "ln_out.bias"])
def test_a_bridge_is_refused_by_the_name_that_its_own_model_has(part: str) -> None:
    bridge = native_model("gelu", n_steps=0)
    weights = {n.replace("_original_component.", ""): p for n, p in bridge.named_parameters()}
    with torch.no_grad():
        weights[part].view(-1)[5] = NAN
    with pytest.raises(InputError, match=f"the weights of native hold NaN in {part}"):
        wrap_subject(bridge, tiny_tokenizer(), name="native", device="cpu")


@pytest.mark.parametrize("tied", [True, False])
def test_rows_that_only_fill_up_the_vocabulary_may_be_anything(tied: bool) -> None:
    model = tiny_llama(vocab_size=300)
    if tied:
        model.lm_head.weight = model.model.embed_tokens.weight
    for name in ("model.embed_tokens.weight",) if tied else ("lm_head.weight",):
        broken(model, name, NAN, 290)
    assert tiny_subject(model).width("blocks.0.mlp.hook_post") == 24


def test_finite_weights_that_overflow_in_their_dtype_are_told_too() -> None:
    model = tiny_llama(dtype=torch.float16)
    with torch.no_grad():
        model.model.layers[1].mlp.down_proj.weight.fill_(60_000)
        model.model.layers[1].mlp.up_proj.weight.fill_(60_000)
    with pytest.raises(InputError) as told:
        tiny_subject(model)
    assert str(told.value) == (
        "LlamaForCausalLM computes NaN or infinity on a short text, though its weights are "
        "finite; load it in bfloat16 or float32"
    )
