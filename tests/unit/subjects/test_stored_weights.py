"""Which files of a folder hold its weights, and what is in a file, told from heads alone."""

from __future__ import annotations

import random
from pathlib import Path

import gguf
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import tiny_llama, tiny_tokenizer

from autointerp.core.errors import InputError
from autointerp.subjects import load_subject
from autointerp.subjects.shape_files import shape_in
from autointerp.subjects.stored_weights import stored_weights


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_llama().save_pretrained(tmp_path)
    tiny_tokenizer().save_pretrained(tmp_path)
    return tmp_path


def n_weights(path: Path) -> int | None:
    found = stored_weights(path)
    return None if found is None else found.n_weights


def test_weights_in_a_second_layout_beside_the_first_are_not_counted(folder: Path) -> None:
    alone = stored_weights(folder)
    save_file(load_file(folder / "model.safetensors"), folder / "consolidated.safetensors")
    assert stored_weights(folder) == alone


def test_the_files_that_an_index_lists_are_counted_and_no_others(folder: Path) -> None:
    alone = n_weights(folder)
    (folder / "model.safetensors").unlink()
    tiny_llama().save_pretrained(folder, max_shard_size="20KB")
    save_file({"w": torch.ones(5)}, folder / "consolidated-00001-of-00001.safetensors")
    save_file({"w": torch.ones(5)}, folder / "model-00001-of-00009.safetensors")
    assert n_weights(folder) == alone


def test_a_part_that_an_index_lists_and_that_is_missing_is_told(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    tiny_llama().save_pretrained(folder, max_shard_size="20KB")
    parts = sorted(folder.glob("model-*.safetensors"))
    parts[0].unlink()
    with pytest.raises(InputError, match=f"it has no {parts[0].name}, only model-0"):
        stored_weights(folder)
    for part in parts[1:]:
        part.unlink()
    assert stored_weights(folder) is None


def test_weights_under_a_name_of_their_own_are_counted(folder: Path) -> None:
    alone = n_weights(folder)
    (folder / "model.safetensors").rename(folder / "weights.safetensors")
    assert n_weights(folder) == alone


def test_packed_weights_in_a_file_that_is_not_loaded_are_no_reason_to_refuse(folder: Path) -> None:
    save_file({"a.weight": torch.ones(4, dtype=torch.int8)}, folder / "consolidated.safetensors")
    assert load_subject(str(folder), device="cpu").n_layers == 3


def tiny_gguf(path: Path) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_block_count(1)
    writer.add_embedding_length(32)
    writer.add_tensor("token_embd.weight", np.ones((8, 32), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_weights_of_a_gguf_file_are_counted(tmp_path: Path) -> None:
    assert n_weights(tiny_gguf(tmp_path / "a.gguf")) == 256


@pytest.mark.parametrize("content", [b"", b"GGUF", b"GGUFgarbage" * 20, b"text of somebody"])
def test_a_damaged_gguf_file_is_an_input_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.gguf"
    path.write_bytes(content)
    for look in (stored_weights, shape_in):
        with pytest.raises(InputError, match=r"a\.gguf is "):
            look(path)


def test_a_gguf_file_with_a_few_wrong_bytes_is_never_more_than_an_input_error(
    tmp_path: Path,
) -> None:
    whole = tiny_gguf(tmp_path / "whole.gguf").read_bytes()
    path, rng, n_refused = tmp_path / "a.gguf", random.Random(0), 0
    for _ in range(300):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[rng.randrange(4, 230)] = rng.randrange(256)
        path.write_bytes(damaged)
        for look in (stored_weights, shape_in):
            try:
                look(path)
            except InputError:
                n_refused += 1
    assert n_refused > 100
