"""TransformerLens' own models, trained briefly here, and written in its old layout."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from tiny import tiny_texts, tiny_tokenizer
from torch import Tensor

D_MODEL, D_HEAD, N_HEADS, N_CTX, D_MLP = 16, 8, 2, 32, 24


def native_config(act_fn: str = "solu_ln", **settings: Any) -> dict[str, Any]:
    """The config.json of such a model."""
    return {
        "d_model": D_MODEL,
        "d_head": D_HEAD,
        "n_heads": N_HEADS,
        "n_layers": 2,
        "n_ctx": N_CTX,
        "d_mlp": D_MLP,
        "d_vocab": len(tiny_tokenizer()),
        "act_fn": act_fn,
        "attn_only": False,
        "normalization": "LN",
        **settings,
    }


def native_model(act_fn: str = "solu_ln", *, n_steps: int = 30, **settings: Any) -> Any:
    """A bridge that has learnt a little of the tiny texts, the same every time."""
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge import TransformerBridge

    written = native_config(act_fn, **settings)
    normalization = written.pop("normalization")
    config = TransformerBridgeConfig(
        **written, normalization_type=normalization, device="cpu", seed=0
    )
    bridge = TransformerBridge.boot_native(config)
    tokenizer = tiny_tokenizer()
    rows = [[0, *tokenizer.encode(text)][:N_CTX] for text in tiny_texts(16)]
    batch = torch.tensor(rows)
    optimizer = torch.optim.Adam(bridge.original_model.parameters(), lr=1e-2)
    for _ in range(n_steps):
        logits = bridge.original_model(batch)[:, :-1]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return bridge.eval()


def write_tl_folder(
    folder: Path,
    config: dict[str, Any],
    bridge: Any,
    *,
    file: str = "model_final.pth",
    tokenizer: bool = True,
) -> Path:
    """The model as TransformerLens 1 to 3 wrote it: ``blocks.0.attn.W_Q`` and so on."""
    (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    torch.save(property_format(bridge), folder / file)
    if tokenizer:
        tiny_tokenizer().save_pretrained(folder)
    return folder


def property_format(bridge: Any) -> dict[str, Tensor]:
    """The weights under the names of HookedTransformer, with its buffers."""
    result: dict[str, Tensor] = {}
    for name, tensor in bridge.state_dict().items():
        key, value = _old(name, tensor.detach())
        result[key] = value.clone()
    for layer in range(2):
        result[f"blocks.{layer}.attn.mask"] = torch.ones(N_CTX, N_CTX).tril().bool()
        result[f"blocks.{layer}.attn.IGNORE"] = torch.tensor(-1e5)
    return result


def _old(name: str, tensor: Tensor) -> tuple[str, Tensor]:
    where, part, kind = name.rsplit(".", 2) if name.count(".") > 1 else ("", *name.split("."))
    if part in ("q", "k", "v"):
        letter, rows = part.upper(), tensor.reshape(N_HEADS, D_HEAD, -1)
        if kind == "weight":
            return f"{where}.W_{letter}", rows.transpose(1, 2)
        return f"{where}.b_{letter}", rows[..., 0]
    if part == "o":
        if kind == "bias":
            return f"{where}.b_O", tensor
        return f"{where}.W_O", tensor.T.reshape(N_HEADS, D_HEAD, -1)
    if part in ("in", "out"):
        return f"{where}.{'W' if kind == 'weight' else 'b'}_{part}", (
            tensor.T if kind == "weight" else tensor
        )
    letters = {"embed": "W_E", "pos_embed": "W_pos"}
    if part == "unembed":
        return ("unembed.W_U", tensor.T) if kind == "weight" else ("unembed.b_U", tensor)
    if part in letters:
        return f"{part}.{letters[part]}", tensor
    return f"{where}.{part}.{kind[0]}".lstrip("."), tensor
