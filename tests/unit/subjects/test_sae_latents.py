from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from sae_folders import HOOK, oracle_latents, sae_config, sae_tensors, write_sae

from autointerp.subjects import load_sae

INPUTS = torch.randn((3, 11, 16), generator=torch.Generator().manual_seed(4))
ARCHITECTURES = [
    "standard",
    "topk",
    "jumprelu",
    "gated",
    "transcoder",
    "skip_transcoder",
    "jumprelu_transcoder",
    "jumprelu_skip_transcoder",
]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_latents_are_those_of_a_float64_oracle(tmp_path: Path, architecture: str) -> None:
    encoder = load_sae(write_sae(tmp_path / "x", architecture))
    latents = encoder.encode(INPUTS)
    expected = oracle_latents(INPUTS, sae_tensors(architecture), sae_config(architecture))
    assert latents.dtype == torch.float32
    torch.testing.assert_close(latents.double(), torch.from_numpy(expected), atol=1e-5, rtol=1e-5)
    assert 0 < (latents > 0).sum() < latents.numel()
    assert not encoder.two_sided
    assert bool((latents >= 0).all())


@pytest.mark.parametrize(
    ("architecture", "changes"),
    [
        ("standard", {"apply_b_dec_to_input": False}),
        ("jumprelu", {"normalize_activations": "layer_norm"}),
        ("gated", {"normalize_activations": "constant_norm_rescale"}),
        ("topk", {"rescale_acts_by_decoder_norm": True}),
        ("topk", {"k": 1, "normalize_activations": "layer_norm"}),
        ("topk", {"k": 40}),
    ],
)
def test_settings_change_latents_as_the_oracle_says(
    tmp_path: Path, architecture: str, changes: dict[str, Any]
) -> None:
    config = sae_config(architecture, **changes)
    latents = load_sae(write_sae(tmp_path / "x", architecture, config=config)).encode(INPUTS)
    expected = torch.from_numpy(oracle_latents(INPUTS, sae_tensors(architecture), config))
    torch.testing.assert_close(latents.double(), expected, atol=1e-5, rtol=1e-5)
    plain = oracle_latents(INPUTS, sae_tensors(architecture), sae_config(architecture))
    assert not torch.allclose(expected, torch.from_numpy(plain), atol=1e-3)


def test_a_pre_activation_at_its_threshold_is_silent(tmp_path: Path) -> None:
    tensors = {name: torch.zeros_like(t) for name, t in sae_tensors("jumprelu").items()}
    tensors["b_enc"][:3] = torch.tensor([1.0, 1.0, 1.0])
    tensors["threshold"][:3] = torch.tensor([1.0, 0.5, -2.0])
    latents = load_sae(write_sae(tmp_path / "x", "jumprelu", tensors=tensors)).encode(INPUTS)
    assert latents[0, 0, :4].tolist() == [0.0, 1.0, 1.0, 0.0]


def test_latents_that_tie_for_the_last_place_are_all_active(tmp_path: Path) -> None:
    tensors = {name: torch.zeros_like(t) for name, t in sae_tensors("topk").items()}
    tensors["b_enc"][:7] = torch.tensor([3.0, 1.0, 1.0, 2.0, 1.0, 0.5, -1.0])
    config = sae_config("topk", k=3)
    folder = write_sae(tmp_path / "x", "topk", config=config, tensors=tensors)
    latents = load_sae(folder).encode(INPUTS)
    assert latents[1, 2, :7].tolist() == [3.0, 1.0, 1.0, 2.0, 1.0, 0.0, 0.0]


@pytest.mark.parametrize("architecture", ["standard", "topk", "jumprelu", "gated"])
def test_an_activation_that_is_not_a_number_is_not_hidden(
    tmp_path: Path, architecture: str
) -> None:
    inputs = INPUTS.clone()
    inputs[1, 2, 3] = torch.nan
    latents = load_sae(write_sae(tmp_path / "x", architecture)).encode(inputs)
    assert bool(latents[1, 2].isnan().any())
    assert not bool(latents[0].isnan().any())


def test_encoding_leaves_the_activations_as_they_were(tmp_path: Path) -> None:
    given = INPUTS.clone()
    load_sae(write_sae(tmp_path / "x", "gated")).encode(given)
    assert torch.equal(given, INPUTS)


@pytest.mark.parametrize(
    ("changes", "architecture"),
    [
        ({"hook_point": HOOK, "normalize_activations": False}, "standard"),
        ({"hook_name": HOOK, "activation_fn": "relu", "hook_head_index": None}, "standard"),
        ({"hook_name": HOOK, "architecture": "jumprelu"}, "jumprelu"),
        (
            {
                "hook_name": HOOK,
                "activation_fn_str": "topk",
                "activation_fn_kwargs": {"k": 5},
                "normalize_activations": None,
            },
            "topk",
        ),
    ],
)
def test_the_flat_cfg_of_older_versions_gives_the_same_latents(
    tmp_path: Path, changes: dict[str, Any], architecture: str
) -> None:
    flat = {"d_in": 16, "d_sae": 40, "dtype": "torch.float32", "l1_coefficient": 4, **changes}
    old = load_sae(write_sae(tmp_path / "x", architecture, config=flat))
    new = load_sae(write_sae(tmp_path / "y", architecture))
    assert (old.hook, old.d_in, old.n_units) == (HOOK, 16, 40)
    assert torch.equal(old.encode(INPUTS), new.encode(INPUTS))
    assert old.digest == new.digest


@pytest.mark.parametrize("name", ["model.layers.1", "transformer.h.1", "gpt_neox.layers.1"])
def test_what_leaves_a_block_of_a_hugging_face_model_is_read_behind_it(
    tmp_path: Path, name: str
) -> None:
    config = sae_config() | {"metadata": {"hook_name": name}}
    assert load_sae(write_sae(tmp_path / "x", config=config)).hook == HOOK


def test_weights_of_half_precision_are_encoded_in_float32(tmp_path: Path) -> None:
    half = {name: tensor.bfloat16() for name, tensor in sae_tensors().items()}
    encoder = load_sae(write_sae(tmp_path / "x", tensors=half))
    expected = oracle_latents(INPUTS.bfloat16(), half, sae_config())
    found = encoder.encode(INPUTS.bfloat16())
    torch.testing.assert_close(found.double(), torch.from_numpy(expected), atol=1e-5, rtol=1e-5)


def test_the_digest_depends_on_weights_and_settings_but_not_on_the_folder(tmp_path: Path) -> None:
    first = load_sae(write_sae(tmp_path / "first"))
    again = load_sae(write_sae(tmp_path / "again"))
    other = load_sae(write_sae(tmp_path / "other", tensors=sae_tensors(seed=1)))
    config = sae_config(apply_b_dec_to_input=False)
    otherwise = load_sae(write_sae(tmp_path / "otherwise", config=config))
    assert first.digest == again.digest
    assert len({first.digest, other.digest, otherwise.digest}) == 3
    assert (first.name, again.name) == ("sae_first", "sae_again")
