"""What is said of a model's folder in which a file is at fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import tiny_llama, tiny_tokenizer

from autointerp.core.errors import InputError
from autointerp.subjects import load_subject, wrap_subject

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
WEIGHTS, INDEX, SHARD = (
    "model.safetensors", "model.safetensors.index.json", "model-00002-of-00003.safetensors",
)  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_llama().save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    return tmp_path


@pytest.fixture
def parts(folder: Path) -> Path:
    """The same in three files of weights."""
    (folder / WEIGHTS).unlink()
    tiny_llama().save_pretrained(folder, max_shard_size="20KB")
    return folder


def refusal(name: Path | str) -> str:
    with pytest.raises(InputError) as told:
        load_subject(str(name), device="cpu")
    return str(told.value)


@pytest.mark.parametrize("file", ["config.json", WEIGHTS, "tokenizer.json"])
def test_what_git_left_instead_of_a_file_is_told(folder: Path, file: str) -> None:
    (folder / file).write_text(POINTER)
    told = f"{file} is only Git's pointer to the file; run `git lfs pull` in its folder, or downl"
    assert told in refusal(folder)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "config.json is not JSON (Expecting value"),
        ("null", "config.json holds a NoneType, not an object; download it again"),
        ("3", "config.json holds a int, not an object"),
        ("[" * 100_000, "config.json is not JSON (it is nested too deep)"),
        ('{"model_type": "qwen99"}', "has model type `qwen99` but Transformers does not"),
        (
            '{"model_type": "own", "auto_map": {"AutoConfig": "own.Config"}}',
            "its kind, own, is code of its own (auto_map in config.json), and no code of a model",
        ),
    ],
)
def test_a_configuration_that_is_none_is_told(folder: Path, content: str, says: str) -> None:
    (folder / "config.json").write_text(content)
    assert f"the model in {folder} cannot be loaded: {says}" in refusal(folder).replace(
        "The checkpoint you are trying to load ", ""
    )


@pytest.mark.parametrize(
    ("file", "damage", "says"),
    [
        (SHARD, lambda path: path.unlink(), f"it has no {SHARD}, only model-00001-of"),
        (SHARD, lambda path: path.write_text(POINTER), f"{SHARD} is only Git's pointer"),
        (SHARD, lambda path: path.write_bytes(path.read_bytes()[:-9]), f"{SHARD} is damaged ("),
        (INDEX, lambda path: path.write_text("{"), f"{INDEX} is not JSON (Expecting property"),
        (INDEX, lambda path: path.write_text("[]"), f"{INDEX} holds a list, not an object"),
        (INDEX, lambda path: path.write_text("{}"), f"{INDEX} has no weight_map; download"),
    ],
)
def test_the_part_of_the_weights_that_is_at_fault_is_named(
    parts: Path, file: str, damage: Callable[[Path], object], says: str
) -> None:
    assert load_subject(str(parts), device="cpu").n_layers == 3
    damage(parts / file)
    assert f"the model in {parts} cannot be loaded: {says}" in refusal(parts)


def test_pickled_weights_alone_are_told_as_such(folder: Path) -> None:
    torch.save(load_file(folder / WEIGHTS), folder / "pytorch_model.bin")
    (folder / WEIGHTS).unlink()
    assert "its weights are in pytorch_model.bin alone, and pickled files, which" in refusal(folder)
    (folder / "pytorch_model.bin").unlink()
    save_file({"a": torch.ones(1)}, folder / "consolidated.safetensors")
    assert f"it has no {WEIGHTS}, only consolidated.safetensors; download it" in refusal(folder)


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("", "_orig_mod.", "lm_head.weight, instead of which there is _orig_mod.lm_head.weight"),
        ("up_proj.w", "up_proj.base_layer.w", "instead of which there is model.layers.0.mlp.up_pr"),
        ("up_proj.w", "up_proj.qw", "instead of which there is model.layers.0.mlp.up_proj.qweight"),
    ],
)
def test_weights_under_other_names_are_told_with_what_stands_there(
    folder: Path, before: str, after: str, says: str
) -> None:
    weights = load_file(folder / WEIGHTS)
    renamed = {key.replace(before, after, 1): tensor for key, tensor in weights.items()}
    save_file(renamed, folder / WEIGHTS, metadata={"format": "pt"})
    assert says in refusal(folder)
    assert "; save the model under its own names (not compiled, adapters me" in refusal(folder)


def test_an_adapter_beside_a_model_is_not_left_out_in_silence(folder: Path) -> None:
    (folder / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA"}))
    assert load_subject(str(folder), device="cpu").n_layers == 3
    save_file({"a": torch.ones(2)}, folder / "adapter_model.safetensors")
    assert f"{folder} holds an adapter beside a model, which would be left out" in refusal(folder)


def test_a_tokenizer_that_is_missing_or_code_is_not_called_damaged(folder: Path) -> None:
    config = json.loads((folder / "tokenizer_config.json").read_text())
    own = {"tokenizer_class": "Own", "auto_map": {"AutoTokenizer": ["own.Own", None]}}
    (folder / "tokenizer_config.json").write_text(json.dumps(config | own))
    assert "it is code of its own (auto_map in tokenizer_config.json), and no" in refusal(folder)
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "tokenizer.json").unlink()
    assert "it has no tokenizer (no tokenizer.json or tokenizer.model)" in refusal(folder)


@pytest.mark.parametrize("name", ["", " ", "x" * 5000, "a\0b", "~no-such-user/model", "a\nb"])
def test_names_that_nothing_can_have_are_told(name: str) -> None:
    assert "subject" in refusal(name)


def test_a_folder_that_is_named_by_dots_has_its_own_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder)
    assert load_subject(".", device="cpu").name == folder.name


@pytest.mark.parametrize("device", ["meta", "xla", "vulkan"])
def test_a_device_that_cannot_compute_is_told(device: str) -> None:
    with pytest.raises(InputError, match=f"device {device} cannot be used here .*; use cpu"):
        wrap_subject(tiny_llama(), tiny_tokenizer(), device=device)
