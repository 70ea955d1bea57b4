"""What people name as a subject that is none: adapters, single files, addresses, packed weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from autointerp.core.errors import InputError
from autointerp.subjects import load_subject


def refusal(name: Path | str) -> str:
    with pytest.raises(InputError) as told:
        load_subject(str(name), device="cpu")
    return str(told.value)


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def write_adapter(folder: Path, **content: object) -> Path:
    folder.mkdir()
    (folder / "adapter_config.json").write_text(json.dumps(content))
    save_file({"a": torch.ones(2)}, folder / "adapter_model.safetensors")
    return folder


def test_an_adapter_is_told_with_the_model_that_it_belongs_to(tmp_path: Path) -> None:
    lora = write_adapter(tmp_path / "lora", peft_type="LORA", base_model_name_or_path="org/base")
    assert refusal(lora) == (
        f"{lora} is an adapter (LORA) of org/base, not a whole model; merge the two with peft's "
        "merge_and_unload and save the result"
    )
    bare = write_adapter(tmp_path / "bare")
    assert f"{bare} is an adapter of another model, not a whole" in refusal(bare)
    (tmp_path / "bare" / "adapter_config.json").write_text("[")
    assert f"{bare} is an adapter of another model, not a whole" in refusal(bare)


@pytest.mark.parametrize("file", ["model.safetensors", "config.json", "tokenizer.json"])
def test_a_file_of_a_model_is_not_taken_for_the_model(folder: Path, file: str) -> None:
    assert refusal(folder / file) == (
        f"{folder / file} is a file; name the folder of the model, {folder}, or a .gguf file"
    )


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://huggingface.co/openai-community/gpt2", "openai-community/gpt2"),
        ("https://huggingface.co/gpt2/", "gpt2"),
        ("http://www.huggingface.co/org/name/tree/main", "org/name"),
        ("huggingface.co/org/name", "org/name"),
        ("https://hf.co/org/name?library=transformers", "org/name"),
    ],
)
def test_an_address_on_the_hub_is_told_with_the_name_to_write(address: str, name: str) -> None:
    assert refusal(address) == f"{address} is an address; write the model's name, {name}"


def test_another_address_is_told_too() -> None:
    assert refusal("https://example.com/model.safetensors") == (
        "https://example.com/model.safetensors is an address; download the model and name its "
        "folder"
    )


@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8, torch.float8_e4m3fn])
@pytest.mark.parametrize("settings", [{}, {"quantization_config": {"quant_method": "nonesuch"}}])
def test_quantized_weights_that_nothing_unpacks_are_refused(
    folder: Path, dtype: torch.dtype, settings: dict[str, object]
) -> None:
    weights = load_file(folder / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    weights[name] = torch.ones(24, 16).to(dtype)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    config = folder / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | settings))
    message = refusal(folder)
    assert message.startswith(f"the weights of {folder} are quantized ({name} is ")
    assert message.endswith("and are not unpacked here; name the model in float32 or bfloat16")


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_weights_of_any_ordinary_dtype_are_read(folder: Path, dtype: torch.dtype) -> None:
    weights = {n: t.to(dtype) for n, t in load_file(folder / "model.safetensors").items()}
    weights["model.layers.0.self_attn.mask"] = torch.ones(4, 4, dtype=torch.uint8)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert load_subject(str(folder), device="cpu").dtype == torch.float32
