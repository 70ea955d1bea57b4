from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import tiny_llama, tiny_subject

from autointerp.core.errors import InputError, StorageError
from autointerp.core.files import SMOLLM2_GGUF
from autointerp.subjects import load_subject
from autointerp.subjects.gguf import check_gguf, convert_gguf


def load(name: Path | str, **options: Any) -> Any:
    return load_subject(str(name), device=options.pop("device", "cpu"), **options)


@pytest.fixture
def folder(tiny_folder: Path, tmp_path: Path) -> Path:
    """A copy of the tiny model's folder, to be damaged."""
    return Path(shutil.copytree(tiny_folder, tmp_path / "model"))


def test_a_local_folder_is_loaded_under_its_name(tiny_folder: Path) -> None:
    subject = load(tiny_folder)
    assert (subject.name, subject.dtype_name, subject.n_layers) == ("tiny-llama", "float32", 3)
    assert subject.revision == tiny_subject().revision
    assert load(tiny_folder, dtype="bfloat16").dtype == torch.bfloat16


def test_loading_prints_nothing(
    tiny_folder: Path, conversion: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    load(tiny_folder)
    assert capfd.readouterr() == ("", "")
    assert conversion.printed == ""


def test_the_packaged_model_is_converted_once_and_read(conversion: Any) -> None:
    before = {p: p.stat().st_mtime_ns for p in conversion.cache_dir.rglob("*")}
    subject = load("smollm2-135m", dtype="bfloat16", cache_dir=conversion.cache_dir)
    assert before == {p: p.stat().st_mtime_ns for p in conversion.cache_dir.rglob("*")}
    assert (subject.name, subject.n_layers) == ("smollm2-135m", 30)
    assert subject.width("blocks.29.mlp.hook_post") == 1536
    assert subject.two_sided("blocks.29.mlp.hook_post")
    ids = subject.tokenizer.encode("Café stones, sleeping:\n 12")
    assert "".join(subject.tokenizer.pieces(ids)) == "Café stones, sleeping:\n 12"


def test_a_gguf_file_is_named_after_itself(conversion: Any) -> None:
    path = SMOLLM2_GGUF.locate()
    subject = load(path, dtype="bfloat16", cache_dir=conversion.cache_dir)
    assert subject.name == path.stem


def test_an_unknown_subject_is_told_with_a_near_one(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match="unknown subject 'smolm2-135m'.*did you mean smollm2-135m"
    ):
        load("smolm2-135m", cache_dir=tmp_path)
    with pytest.raises(InputError, match="unknown subject.*or a local folder"):
        load(tmp_path / "nowhere")


def test_a_gguf_file_that_is_not_there_or_another_kind_is_told(tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    with pytest.raises(InputError, match="model.gguf is not a file; check"):
        load(path, cache_dir=tmp_path)
    for content in (b"hello, I am text\n", b"", b"GGML\x03\x00\x00\x00"):
        path.write_bytes(content)
        with pytest.raises(InputError, match="does not begin with the letters GGUF"):
            load(path, cache_dir=tmp_path)


@pytest.mark.parametrize("n_bytes", [4, 20, 10_000, 1_500_000])
def test_a_gguf_file_cut_in_its_header_is_told(tmp_path: Path, n_bytes: int) -> None:
    path = tmp_path / "model.gguf"
    with SMOLLM2_GGUF.locate().open("rb") as file:
        path.write_bytes(file.read(n_bytes))
    with pytest.raises(InputError, match="download it again"):
        load(path, cache_dir=tmp_path)
    assert not list(tmp_path.glob("subjects/*"))


def tiny_gguf(path: Path) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_array("tokenizer.ggml.tokens", ["a", "b", "c"])
    for name in ("token_embd.weight", "output.weight"):
        writer.add_tensor(name, np.ones((8, 32), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_a_gguf_file_cut_in_its_tensors_is_told_with_what_is_missing(tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "model.gguf")
    check_gguf(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match="download it again"):
        load(path, cache_dir=tmp_path)


def test_a_damaged_gguf_file_is_never_more_than_an_input_error(tmp_path: Path) -> None:
    whole = tiny_gguf(tmp_path / "whole.gguf").read_bytes()
    path, rng = tmp_path / "model.gguf", random.Random(0)
    messages = []
    for _ in range(150):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[rng.randrange(4, 400)] = rng.randrange(256)
        path.write_bytes(damaged)
        try:
            check_gguf(path)
        except InputError as error:
            messages.append(str(error))
    assert len(messages) > 50
    assert all("model.gguf" in message for message in messages)


def test_a_gguf_file_of_an_incomplete_model_is_told(tmp_path: Path) -> None:
    path = tiny_gguf(tmp_path / "model.gguf")
    with pytest.raises(InputError, match=r"transformers cannot load .*model\.gguf"):
        load(path, cache_dir=tmp_path)
    assert not list(tmp_path.glob("subjects/*"))


def test_a_cache_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    path = tiny_gguf(tmp_path / "model.gguf")
    with pytest.raises(StorageError, match="cannot write the converted model to .*file"):
        convert_gguf(path, tmp_path / "file")


def test_a_folder_that_is_no_model_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a Hugging Face model folder: it has no config"):
        load(tmp_path)


def test_pickled_weights_are_not_read(folder: Path) -> None:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(InputError, match="the model in .* cannot be loaded: .*safetensors"):
        load(folder)


def test_weights_that_are_missing_are_told_and_not_made_up(folder: Path) -> None:
    weights = load_file(folder / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(InputError, match=r"1 are missing, among them model\.layers\.1\.mlp\.up"):
        load(folder)


def test_a_damaged_folder_is_told(folder: Path) -> None:
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for content in (whole[:1000], whole[:-50], b""):
        weights.write_bytes(content)
        with pytest.raises(InputError, match="the model in .* cannot be loaded: "):
            load(folder)
    weights.write_bytes(whole)
    for config in ("{", json.dumps({"hidden_size": 3}), json.dumps({"model_type": "nonesuch"})):
        (folder / "config.json").write_text(config)
        with pytest.raises(InputError, match="the model in .* cannot be loaded: "):
            load(folder)


def test_a_folder_without_a_tokenizer_is_told(tmp_path: Path) -> None:
    tiny_llama().save_pretrained(tmp_path / "model")
    with pytest.raises(InputError, match="the model in .* cannot be loaded: "):
        load(tmp_path / "model")


def test_an_unknown_dtype_is_told(tiny_folder: Path) -> None:
    with pytest.raises(InputError, match="dtype 'float64' is not one of float32, bfloat16"):
        load(tiny_folder, dtype="float64")


def test_a_device_that_does_not_exist_is_told(tiny_folder: Path) -> None:
    with pytest.raises(InputError, match="unknown device 'abacus'; write auto, cpu, cuda"):
        load(tiny_folder, device="abacus")
    n_devices = torch.cuda.device_count()
    with pytest.raises(InputError, match=f"device cuda:{n_devices} was asked for"):
        load(tiny_folder, device=f"cuda:{n_devices}")
