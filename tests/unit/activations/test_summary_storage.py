from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from autointerp.activations import load_summary, save_summary
from autointerp.core.errors import InputError, StorageError
from autointerp.core.text import Split

HOOK = "blocks.1.mlp.hook_post"


@pytest.fixture
def path(collected: Any, tmp_path: Path) -> Path:
    target = tmp_path / "deep" / "summary.safetensors"
    save_summary(collected.summary, target)
    return target


def metadata(path: Path) -> dict[str, Any]:
    with safe_open(path, framework="pt") as file:
        return dict(json.loads(file.metadata()["autointerp"]))


def rewrite(path: Path, manifest: object, **more: torch.Tensor) -> None:
    save_file({**load_file(path), **more}, path, metadata={"autointerp": json.dumps(manifest)})


def test_what_is_saved_is_loaded_again(collected: Any, path: Path) -> None:
    found, summary = load_summary(path), collected.summary
    assert found.identity == summary.identity
    assert found.batches == summary.batches
    assert found.hooks.keys() == summary.hooks.keys()
    for key, part in summary.hooks.items():
        assert (found.hooks[key].n_tokens, found.hooks[key].n_windows) == (
            part.n_tokens,
            part.n_windows,
        )
        assert found.hooks[key].shared_windows.tolist() == part.shared_windows.tolist()
        for name, tensor in part.state.tensors().items():
            other = found.hooks[key].state.tensors()[name]
            assert torch.equal(other.nan_to_num(), tensor.nan_to_num())
            assert torch.equal(other.isnan(), tensor.isnan())
    for hook, table in summary.tables.items():
        assert found.tables[hook].means(0, 1) == table.means(0, 1)


def test_saving_again_gives_the_same_bytes(path: Path) -> None:
    before = path.read_bytes()
    save_summary(load_summary(path), path)
    assert path.read_bytes() == before


def test_a_summary_without_tables_has_none(collected: Any, tmp_path: Path) -> None:
    from autointerp.activations import CollectPlan

    save_summary(collected.again(CollectPlan()), tmp_path / "s.safetensors")
    assert load_summary(tmp_path / "s.safetensors").tables == {}


def test_a_file_that_is_no_summary_is_told(path: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no summary at .*nothing"):
        load_summary(tmp_path / "nothing")
    whole = path.read_bytes()
    for content in (b"", b"hello", whole[:100], whole[: len(whole) // 2], whole[:-1]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="is not a whole summary .*remove it and collect"):
            load_summary(path)
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="is not a whole summary"):
        load_summary(path)


def test_a_newer_version_is_told(path: Path) -> None:
    rewrite(path, {**metadata(path), "schema_version": 2, "more": 1})
    with pytest.raises(InputError, match="has summary version 2, this program reads 1"):
        load_summary(path)


@pytest.mark.parametrize("lost", ["identity", "counts", "batches"])
def test_a_manifest_that_lacks_something_is_told(path: Path, lost: str) -> None:
    manifest = metadata(path)
    del manifest[lost]
    rewrite(path, manifest)
    with pytest.raises(InputError, match="is not a whole summary"):
        load_summary(path)


def test_a_missing_tensor_is_told(path: Path) -> None:
    tensors, manifest = load_file(path), metadata(path)
    del tensors[f"{HOOK}/{Split.EXPLAIN}/top"]
    save_file(tensors, path, metadata={"autointerp": json.dumps(manifest)})
    with pytest.raises(InputError, match=f"is not a whole summary .*{HOOK}/explain/top"):
        load_summary(path)


def test_a_folder_that_cannot_be_written_is_a_storage_error(collected: Any, path: Path) -> None:
    with pytest.raises(StorageError, match="cannot write .*summary.safetensors/s: "):
        save_summary(collected.summary, path / "s")


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from autointerp.activations import load_summary, save_summary
from autointerp.core.errors import StorageError
path = Path(sys.argv[1])
summary = load_summary(path)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))
try:
    save_summary(summary, path)
except StorageError as error:
    print(error)
"""


def test_a_full_disk_is_a_storage_error_and_the_old_file_stays(path: Path) -> None:
    before = path.read_bytes()
    ended = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])},
    )
    assert ended.returncode == 0, ended.stderr
    assert f"cannot write {path}: " in ended.stdout
    assert "free some space" in ended.stdout
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]
