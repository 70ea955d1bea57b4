from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from autointerp.activations import CollectPlan, collect, load_summary, save_summary
from autointerp.activations.summary_manifest import SummaryManifest
from autointerp.core.errors import InputError, StorageError
from autointerp.core.text import Split
from autointerp.subjects import HookUnits

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
    assert (found.batches, found.n_batches) == (summary.batches, summary.n_batches)
    assert found.shards == summary.shards
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
        with pytest.raises(InputError, match="is not a complete summary .*remove it and collect"):
            load_summary(path)
    save_file({"x": torch.zeros(2)}, path)
    with pytest.raises(InputError, match="is not a complete summary"):
        load_summary(path)


@pytest.mark.parametrize("version", [1, 4, None, "2"])
def test_another_version_is_told(path: Path, version: object) -> None:
    rewrite(path, {**metadata(path), "schema_version": version, "more": 1})
    message = f"has summary version {version}, this program reads 3; use the version that wrote it"
    with pytest.raises(InputError, match=message):
        load_summary(path)


def test_what_the_manifest_says_and_this_program_does_not_know_is_refused(path: Path) -> None:
    manifest = metadata(path)
    config = {**manifest["identity"]["config"], "new": 1}
    for changed, place in (
        ({**manifest, "more": 1}, "more"),
        ({**manifest, "identity": {**manifest["identity"], "kind": "x"}}, "kind"),
        ({**manifest, "identity": {**manifest["identity"], "config": config}}, "config.new"),
    ):
        rewrite(path, changed)
        message = rf"fields that this program does not know \({place}\); use the version that"
        with pytest.raises(InputError, match=message):
            load_summary(path)


def test_an_identity_that_lacks_something_is_told(path: Path) -> None:
    manifest = metadata(path)
    del manifest["identity"]["corpus_hash"]
    rewrite(path, manifest)
    with pytest.raises(InputError, match="is not a complete summary .*lacks corpus_hash"):
        load_summary(path)


@pytest.mark.parametrize("lost", ["identity", "counts", "hooks", "n_batches"])
def test_a_manifest_that_lacks_something_is_told(path: Path, lost: str) -> None:
    manifest = metadata(path)
    del manifest[lost]
    rewrite(path, manifest)
    with pytest.raises(InputError, match="is not a complete summary"):
        load_summary(path)


def test_a_missing_tensor_is_told(path: Path) -> None:
    tensors, manifest = load_file(path), metadata(path)
    del tensors[f"{HOOK}/{Split.EXPLAIN}/top"]
    save_file(tensors, path, metadata={"autointerp": json.dumps(manifest)})
    with pytest.raises(InputError, match=f"is not a complete summary .*{HOOK}/explain/top"):
        load_summary(path)


@pytest.mark.parametrize("found", [[], "x", {"schema_version": 2}, None])
def test_a_manifest_of_another_kind_is_told(path: Path, found: object) -> None:
    rewrite(path, found)
    with pytest.raises(InputError, match="is not a complete summary|has summary version None"):
        load_summary(path)


def test_counts_of_every_split_are_needed(path: Path) -> None:
    manifest = metadata(path)
    del manifest["counts"]["validation"]
    rewrite(path, manifest)
    with pytest.raises(InputError, match="its manifest lacks validation"):
        load_summary(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_a_header_with_a_changed_byte_is_refused_or_harmless(path: Path, data: Any) -> None:
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    place = data.draw(st.integers(0, header - 1))
    byte = data.draw(st.integers(0, 255))
    path.write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
    try:
        with suppress(InputError):
            assert len(load_summary(path)) == 2
    finally:
        path.write_bytes(whole)


def test_a_tensor_of_another_shape_is_told(path: Path) -> None:
    name = f"{HOOK}/{Split.EXPLAIN}/top"
    rewrite(path, metadata(path), **{name: torch.zeros((2, 24, 4), dtype=torch.int64)})
    with pytest.raises(InputError, match=rf"{name} has the shape \(2, 24, 4\), not \(2, 24, 5\)"):
        load_summary(path)


def test_histograms_of_other_bins_are_told(path: Path) -> None:
    edges = load_file(path)["edges/peak"]
    rewrite(path, metadata(path), **{"edges/peak": edges * 2})
    with pytest.raises(InputError, match="its histograms have other bins"):
        load_summary(path)


def test_units_and_batches_do_not_grow_the_manifest(collected: Any, path: Path) -> None:
    assert set(metadata(path)) == set(SummaryManifest.model_fields)
    assert "units" not in metadata(path)["identity"]
    assert load_file(path)[f"{HOOK}/units"].tolist() == list(range(24))
    assert load_file(path)["explain/batches"].tolist() == sorted(
        number for split, number in collected.summary.batches if split is Split.EXPLAIN
    )


def test_the_library_writes_the_same_tensors_and_reads_ours(path: Path) -> None:
    tensors = load_file(path)
    narrow = {torch.uint8, torch.uint16, torch.uint32}
    assert tensors[f"{HOOK}/explain/histogram"].dtype in narrow
    assert tensors[f"{HOOK}/explain/top"].dtype is torch.int64
    before = path.read_bytes()
    rewrite(path, metadata(path))
    after = path.read_bytes()
    assert (
        before[8 + int.from_bytes(before[:8], "little") :]
        == (after[8 + int.from_bytes(after[:8], "little") :])
    )


def test_a_folder_that_cannot_be_written_is_a_storage_error(collected: Any, path: Path) -> None:
    with pytest.raises(StorageError, match="could not write .*summary.safetensors/s: "):
        save_summary(collected.summary, path / "s")


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from autointerp.activations import CollectPlan, collect, load_summary, save_summary
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
    assert f"could not write {path}: File too large; raise the limit" in ended.stdout
    assert path.read_bytes() == before
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(
    "units", [{HOOK: (5,)}, {HOOK: (0, 7, 23)}, {"blocks.0.mlp.hook_pre": (7,), HOOK: (1, 2, 22)}]
)
def test_some_units_of_a_file_are_what_collecting_them_alone_gives(
    collected: Any, path: Path, units: dict[str, tuple[int, ...]]
) -> None:
    alone = collect(
        collected.subject,
        collected.corpus,
        units=[HookUnits(hook, indices) for hook, indices in units.items()],
        config=collected.config,
        plan=CollectPlan(token_means=True, checkpoint=path.parent / "alone"),
    )
    save_summary(load_summary(path, units=units), path.parent / "part")
    assert (path.parent / "part").read_bytes() == (path.parent / "alone").read_bytes()
    assert load_summary(path, units=units).identity == alone.identity


@pytest.mark.parametrize(
    ("units", "message"),
    [
        ({HOOK: (3, 24)}, "has 24 units of blocks.1.mlp.hook_post from 0 to 23, but not unit 24"),
        ({"blocks.0.mlp.hook_pre": (5,)}, "hook_pre from 3 to 7, but not unit 5"),
        ({"blocks.9.mlp.hook_post": (0,)}, r"has no blocks.9.mlp.hook_post; it has blocks.0"),
    ],
)
def test_a_unit_that_a_file_does_not_hold_is_named(
    path: Path, units: dict[str, tuple[int, ...]], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        load_summary(path, units=units)
