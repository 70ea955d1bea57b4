"""Latents against those of sae-lens: `make test-sae-lens`, which installs it beside."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from sae_folders import D_IN, HOOK
from sae_lens.registry import get_sae_class
from sae_lens.saes.sae import SAE, SAEMetadata
from sae_lens.saes.transcoder import Transcoder

from autointerp.subjects import load_sae

D_SAE, D_OUT = 192, 12
INPUTS = 3 * torch.randn((4, 33, D_IN), generator=torch.Generator().manual_seed(4)) + 0.5
ARCHITECTURES = (
    "standard",
    "topk",
    "jumprelu",
    "gated",
    "transcoder",
    "skip_transcoder",
    "jumprelu_transcoder",
    "jumprelu_skip_transcoder",
)


def build(architecture: str, *, hook: str = HOOK, **options: Any) -> Any:
    """A small SAE of sae-lens with random values in every parameter."""
    sae_class, config_class = get_sae_class(architecture)
    if architecture.endswith("transcoder"):
        options |= {"d_out": D_OUT, "apply_b_dec_to_input": False}
    if architecture == "topk":
        options.setdefault("k", 7)
    metadata = SAEMetadata(hook_name=hook, model_name="tiny")
    config = config_class(d_in=D_IN, d_sae=D_SAE, metadata=metadata, **options)
    sae = sae_class(config)
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in sae.parameters():
            parameter.normal_(0, 0.4, generator=generator)
    return sae


def assert_same_latents(sae: Any, folder: Path, inputs: torch.Tensor = INPUTS) -> None:
    with torch.no_grad():
        theirs = sae.encode(inputs)
    ours = load_sae(folder).encode(inputs.flatten(2))
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    assert torch.equal(ours > 1e-5, theirs > 1e-5)
    assert 0 < int((ours > 0).sum()) < ours.numel()


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("normalize", ["none", "layer_norm", "constant_norm_rescale"])
def test_latents_are_those_of_sae_lens(tmp_path: Path, architecture: str, normalize: str) -> None:
    sae = build(architecture, normalize_activations=normalize)
    sae.save_model(tmp_path)
    assert_same_latents(sae, tmp_path)


@pytest.mark.parametrize("architecture", ["standard", "topk", "jumprelu", "gated"])
def test_latents_without_the_decoder_bias_are_those_of_sae_lens(
    tmp_path: Path, architecture: str
) -> None:
    sae = build(architecture, apply_b_dec_to_input=False)
    sae.save_model(tmp_path)
    assert_same_latents(sae, tmp_path)


def test_top_k_by_decoder_norm_is_that_of_sae_lens(tmp_path: Path) -> None:
    sae = build("topk", rescale_acts_by_decoder_norm=True)
    sae.save_model(tmp_path)
    assert_same_latents(sae, tmp_path)


def test_heads_are_read_in_the_order_of_sae_lens(tmp_path: Path) -> None:
    sae = build("standard", hook="blocks.1.attn.hook_z", reshape_activations="hook_z")
    sae.save_model(tmp_path)
    assert_same_latents(sae, tmp_path, INPUTS.unflatten(-1, (2, D_IN // 2)))


@pytest.mark.parametrize("architecture", ["standard", "topk", "jumprelu", "gated"])
def test_the_flat_cfg_of_older_versions_is_read_as_sae_lens_reads_it(
    tmp_path: Path, architecture: str
) -> None:
    build(architecture).save_model(tmp_path)
    flat: dict[str, Any] = {
        "architecture": "standard" if architecture == "topk" else architecture,
        "d_in": D_IN,
        "d_sae": D_SAE,
        "dtype": "torch.float32",
        "device": "cpu",
        "hook_name": HOOK,
        "hook_head_index": None,
        "activation_fn_str": "topk" if architecture == "topk" else "relu",
        "activation_fn_kwargs": {"k": 7} if architecture == "topk" else {},
        "normalize_activations": "none",
        "model_from_pretrained_kwargs": {},
    }
    (tmp_path / "cfg.json").write_text(json.dumps(flat))
    assert_same_latents(SAE.load_from_disk(tmp_path), tmp_path)


@pytest.mark.parametrize("architecture", ["transcoder", "jumprelu_skip_transcoder"])
def test_a_transcoder_read_back_by_sae_lens_has_our_latents(
    tmp_path: Path, architecture: str
) -> None:
    build(architecture).save_model(tmp_path)
    assert_same_latents(Transcoder.load_from_disk(tmp_path), tmp_path)
