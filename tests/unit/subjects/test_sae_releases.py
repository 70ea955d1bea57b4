"""SAEs trained without BOS, SAEs of releases, and cross-layer transcoders."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from noted_progress import NotedProgress
from sae_folders import HOOK, sae_config, sae_tensors, write_sae
from tiny import tiny_subject, tiny_texts, write_texts

import autointerp as ai
from autointerp.core.errors import InputError
from autointerp.subjects import SubjectModel, load_sae, open_sae, parse_units

TOKENS = torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]])
NAME = "gemma-scope-2b-pt-res-canonical/layer_20/width_16k/canonical"


def read(subject: SubjectModel, *hooks: str) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    subject.read(TOKENS, hooks, lambda hook, acts: found.update({hook: acts.clone()}))
    return found


def config(**metadata: Any) -> dict[str, Any]:
    written = sae_config()
    return written | {"metadata": written["metadata"] | metadata}


def old_config(**keys: Any) -> dict[str, Any]:
    """Flat, as SAELens wrote it before version 6."""
    return {"architecture": "standard", "hook_name": HOOK, "d_in": 16, "d_sae": 40, **keys}


@pytest.mark.parametrize("written", [config(prepend_bos=False), old_config(prepend_bos=False)])
def test_an_sae_trained_without_bos_reads_text_without_it(
    tmp_path: Path, written: dict[str, Any]
) -> None:
    subject, bare = tiny_subject(), tiny_subject(prepend_bos=False)
    encoder = load_sae(write_sae(tmp_path / "x", config=written))
    hook = subject.attach(encoder)
    expected = encoder.encode(read(bare, HOOK)[HOOK])
    torch.testing.assert_close(read(subject, hook)[hook], expected)
    assert not torch.allclose(encoder.encode(read(subject, HOOK)[HOOK]), expected)


def test_other_units_of_the_same_pass_keep_their_bos(tmp_path: Path) -> None:
    subject = tiny_subject()
    post, alone = "blocks.0.mlp.hook_post", tiny_subject()
    bare = subject.attach(load_sae(write_sae(tmp_path / "x", config=config(prepend_bos=False))))
    usual = subject.attach(load_sae(write_sae(tmp_path / "y", config=config(prepend_bos=True))))
    found = read(subject, post, bare, usual, HOOK)
    assert set(found) == {post, bare, usual, HOOK}
    before = read(alone, post, HOOK)
    torch.testing.assert_close(found[post], before[post])
    torch.testing.assert_close(found[usual], load_sae(tmp_path / "y").encode(before[HOOK]))
    assert not torch.allclose(found[bare], found[usual])


@pytest.mark.parametrize("metadata", [{}, {"prepend_bos": True}, {"prepend_bos": None}])
def test_only_the_wish_for_no_bos_changes_an_encoders_digest(
    tmp_path: Path, metadata: dict[str, Any]
) -> None:
    plain = load_sae(write_sae(tmp_path / "a")).digest
    assert load_sae(write_sae(tmp_path / "b", config=config(**metadata))).digest == plain
    assert load_sae(write_sae(tmp_path / "c", config=config(prepend_bos=False))).digest != plain


def test_a_run_says_that_latents_are_read_without_bos(tmp_path: Path) -> None:
    folder = write_sae(tmp_path / "x", config=config(prepend_bos=False))
    texts = write_texts(tmp_path, tiny_texts(60, n_words=40))
    subject, progress = tiny_subject(), NotedProgress()
    corpus = ai.load_corpus(str(texts), subject, n_tokens=1500, n_ctx=16)
    units = f"sae:{folder}:0-1,0:3"
    labels = ai.label(subject, units=units, corpus=corpus, llm="none", progress=progress)
    assert len({label.unit for label in labels}) == 3
    assert any("sae_x are read without BOS" in note for note in progress.notes)


class _Sae:
    def __init__(self, written: dict[str, Any]) -> None:
        self._written = written

    def save_model(self, folder: Path) -> None:
        write_sae(Path(folder), config=self._written)


Library = Callable[[Callable[..., object]], list[tuple[str, str]]]


@pytest.fixture
def sae_lens(monkeypatch: pytest.MonkeyPatch) -> Library:
    """Puts a stand-in for the library of that name, which is not ours, in its place."""

    def put(load: Callable[..., object]) -> list[tuple[str, str]]:
        asked: list[tuple[str, str]] = []

        def from_pretrained(release: str, sae_id: str, **_: object) -> object:
            asked.append((release, sae_id))
            return load()

        stand_in = SimpleNamespace(SAE=SimpleNamespace(from_pretrained=from_pretrained))
        monkeypatch.setitem(sys.modules, "sae_lens", stand_in)  # type: ignore[arg-type]
        return asked

    return put


@pytest.mark.parametrize("as_tuple", [False, True])
def test_a_release_is_loaded_through_sae_lens(
    sae_lens: Library, tmp_path: Path, as_tuple: bool
) -> None:
    sae = _Sae(sae_config())
    asked = sae_lens(lambda: (sae, {}, None) if as_tuple else sae)
    subject = tiny_subject()
    [units] = parse_units(f"sae:{NAME}:0-9", subject)
    assert asked == [("gemma-scope-2b-pt-res-canonical", "layer_20/width_16k/canonical")]
    assert units.indices == tuple(range(10))
    assert units.hook.startswith(f"{HOOK}.sae_gemma_scope_2b_pt_res_canonical_layer_20")
    same = load_sae(write_sae(tmp_path / "same"))
    assert subject.encoders[units.hook].digest == same.digest


def test_a_transcoder_of_a_release_is_loaded_too(sae_lens: Library) -> None:
    tensors = sae_tensors("transcoder")

    class Transcoder:
        def save_model(self, folder: Path) -> None:
            write_sae(Path(folder), "transcoder", tensors=tensors)

    sae_lens(Transcoder)
    assert open_sae("gpt2-small-transcoders/blocks.1").name.startswith("transcoder_gpt2_small")


@pytest.mark.parametrize(
    "error",
    [ValueError("Release x not found"), KeyError("id"), ConnectionError("offline"), OSError()],
)
def test_a_release_that_cannot_be_loaded_is_a_sentence(sae_lens: Library, error: Exception) -> None:
    def fail() -> object:
        raise error

    sae_lens(fail)
    with pytest.raises(InputError, match="sae-lens cannot load layer_20/width_16k/canonical of"):
        open_sae(NAME)


def test_without_sae_lens_a_release_asks_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sae_lens", None)
    with pytest.raises(InputError, match="is not an SAE folder.*install sae-lens"):
        open_sae(NAME)


def test_a_folder_that_exists_is_meant_before_a_release(
    sae_lens: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = sae_lens(lambda: _Sae(sae_config()))
    monkeypatch.chdir(tmp_path)
    write_sae(tmp_path / "my" / "sae")
    assert open_sae("my/sae").name == "sae_sae"
    with pytest.raises(InputError, match="other/sae is not an SAE folder"):
        open_sae("./other/sae")
    assert asked == []


@pytest.mark.parametrize(
    "changes",
    [
        {"architecture": "clt"},
        {"architecture": "cross_layer_transcoder"},
        {"architecture": "jumprelu_transcoder", "hook_names_out": ["blocks.1.hook_mlp_out"]},
        {"model_kind": "cross-layer-transcoder"},
    ],
)
def test_a_cross_layer_transcoder_is_refused_by_name(
    tmp_path: Path, changes: dict[str, Any]
) -> None:
    folder = write_sae(tmp_path / "x", config=sae_config() | changes)
    with pytest.raises(InputError, match=r"is a cross-layer transcoder \(CLT\)"):
        load_sae(folder)


def test_the_folders_and_releases_of_cross_layer_transcoders_are_known(
    tmp_path: Path, sae_lens: Library
) -> None:
    asked = sae_lens(lambda: _Sae(sae_config()))
    (tmp_path / "config.yaml").write_text("model_kind: cross_layer_transcoder\n")
    for name in (str(tmp_path), "gemma-2-2b-clt-426k/layer_0", "mntss-clt/x"):
        with pytest.raises(InputError, match=r"is a cross-layer transcoder \(CLT\)"):
            open_sae(name)
    (tmp_path / "config.yaml").unlink()
    (tmp_path / "W_enc_0.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="cross-layer"):
        open_sae(str(tmp_path))
    assert asked == []
