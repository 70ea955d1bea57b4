"""Falcon's newer decoder (11B, 40B, 180B), which TransformerLens takes apart as the older one."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor
from transformer_lens.factories.architecture_adapter_factory import ArchitectureAdapterFactory
from transformer_lens.model_bridge.supported_architectures.falcon import FalconArchitectureAdapter


class FalconDecoders(FalconArchitectureAdapter):  # type: ignore[misc]
    """The adapter of both decoders of Falcon."""

    def __init__(self, cfg: Any) -> None:
        n_keys = cfg.n_key_value_heads or cfg.n_heads
        super().__init__(cfg)
        if self._is_new_arch:
            # Its `multi_query`, true by default, means nothing there.
            self.cfg.n_key_value_heads = n_keys
            if getattr(cfg, "num_ln_in_parallel_attn", None) == 1:
                blocks = self.component_mapping["blocks"]
                blocks.submodules["ln1"].name = "input_layernorm"

    def _split_falcon_qkv(self, attention: Any) -> Any:
        if not self._is_new_arch:
            return super()._split_falcon_qkv(attention)
        fused = attention.query_key_value
        bias = None if fused.bias is None else self._apart(fused.bias)
        apart = SimpleNamespace(weight=self._apart(fused.weight), bias=bias)
        return super()._split_falcon_qkv(SimpleNamespace(query_key_value=apart))

    def _apart(self, rows: Tensor) -> Tensor:
        """Rows of all queries, then of all keys, then of all values.

        They are stored by key: its queries, itself, its value.
        """
        n_keys = self.cfg.n_key_value_heads
        n_queries = self.cfg.n_heads // n_keys
        by_key = rows.detach().reshape(n_keys, n_queries + 2, -1, *rows.shape[1:])
        parts = by_key[:, :n_queries], by_key[:, n_queries:-1], by_key[:, -1:]
        return torch.cat([part.flatten(0, 2) for part in parts])


def register_decoders() -> None:
    """Has TransformerLens take this adapter for Falcon."""
    ArchitectureAdapterFactory.register_adapter("FalconForCausalLM", FalconDecoders)
