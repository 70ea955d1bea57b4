"""SAELens folders written by hand, and what their latents must be, in float64."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

HOOK = "blocks.1.hook_resid_post"
D_IN, D_SAE, D_OUT = 16, 40, 7
EXTRA = {
    "standard": ("b_enc",),
    "topk": ("b_enc",),
    "jumprelu": ("b_enc", "threshold"),
    "gated": ("b_gate", "b_mag", "r_mag"),
}


def kind_of(architecture: str) -> str:
    kind = architecture.removesuffix("transcoder").removesuffix("skip_").removesuffix("_")
    return kind.removesuffix("_skip") or "standard"


def sae_config(architecture: str = "standard", **changes: Any) -> dict[str, Any]:
    """A cfg.json as SAELens 6 writes it."""
    transcoder = architecture.endswith("transcoder")
    config = {
        "architecture": architecture,
        "d_in": D_IN,
        "d_sae": D_SAE,
        "dtype": "float32",
        "device": "cpu",
        "apply_b_dec_to_input": not transcoder,
        "normalize_activations": "none",
        "reshape_activations": "none",
        "metadata": {"sae_lens_version": "6.54.12", "hook_name": HOOK, "model_name": "tiny"},
    }
    config |= {"k": 5, "rescale_acts_by_decoder_norm": False} if architecture == "topk" else {}
    config |= {"d_out": D_OUT} if transcoder else {}
    return config | changes


def sae_tensors(architecture: str = "standard", *, seed: int = 0) -> dict[str, Tensor]:
    """Random weights of every tensor that SAELens writes for an architecture."""
    generator = torch.Generator().manual_seed(seed)
    d_out = D_OUT if architecture.endswith("transcoder") else D_IN
    shapes: dict[str, tuple[int, ...]] = {"W_enc": (D_IN, D_SAE), "W_dec": (D_SAE, d_out)}
    shapes |= {"b_dec": (d_out,)} | dict.fromkeys(EXTRA[kind_of(architecture)], (D_SAE,))
    if "skip" in architecture:
        shapes["W_skip"] = (d_out, D_IN)
    return {name: 0.5 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}


def write_sae(
    folder: Path,
    architecture: str = "standard",
    *,
    config: dict[str, Any] | None = None,
    tensors: dict[str, Tensor] | None = None,
) -> Path:
    """A folder with `cfg.json` and `sae_weights.safetensors`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = sae_config(architecture) if config is None else config
    (folder / "cfg.json").write_text(json.dumps(written))
    weights = sae_tensors(architecture) if tensors is None else tensors
    save_file(weights, folder / "sae_weights.safetensors")
    return folder


def oracle_latents(
    inputs: Tensor, tensors: dict[str, Tensor], config: dict[str, Any]
) -> NDArray[np.float64]:
    """The latents of rows of ``inputs``, one by one."""
    w = {name: tensor.double().numpy() for name, tensor in tensors.items()}
    rows = inputs.double().numpy().reshape(-1, D_IN)
    found = np.stack([_oracle_row(row, w, config) for row in rows])
    return found.reshape(*inputs.shape[:-1], D_SAE)


def _oracle_row(
    x: NDArray[np.float64], w: dict[str, NDArray[np.float64]], config: dict[str, Any]
) -> NDArray[np.float64]:
    if config["normalize_activations"] == "constant_norm_rescale":
        x = x * np.sqrt(D_IN) / np.sqrt((x**2).sum())
    if config["normalize_activations"] == "layer_norm":
        x = x - x.mean()
        x = x / (np.sqrt((x**2).sum() / (D_IN - 1)) + 1e-5)
    if config["apply_b_dec_to_input"]:
        x = x - w["b_dec"]
    kind = kind_of(config["architecture"])
    if kind == "gated":
        opened = x @ w["W_enc"] + w["b_gate"] > 0
        magnitudes = x @ (w["W_enc"] * np.exp(w["r_mag"])) + w["b_mag"]
        return np.where(opened, np.maximum(magnitudes, 0), 0)
    pre = x @ w["W_enc"] + w["b_enc"]
    if kind == "jumprelu":
        return np.where(pre > w["threshold"], np.maximum(pre, 0), 0)
    if kind == "topk":
        if config["rescale_acts_by_decoder_norm"]:
            pre = pre * np.sqrt((w["W_dec"] ** 2).sum(axis=1))
        kept = np.argsort(-pre)[: config["k"]]
        latents = np.zeros(D_SAE)
        latents[kept] = np.maximum(pre[kept], 0)
        return latents
    return np.maximum(pre, 0)
