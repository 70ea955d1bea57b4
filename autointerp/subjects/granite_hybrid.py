"""Granite 4, of whose rotary embedding TransformerLens does not see that it is missing."""

from __future__ import annotations

from typing import Any

from transformer_lens.factories.architecture_adapter_factory import ArchitectureAdapterFactory
from transformer_lens.model_bridge.supported_architectures.granite_moe_hybrid import (
    GraniteMoeHybridArchitectureAdapter,
)


class WithoutPositions(GraniteMoeHybridArchitectureAdapter):  # type: ignore[misc]
    """The adapter of a model without position embeddings."""

    def __init__(self, cfg: Any) -> None:
        cfg.position_embedding_type = "nope"
        super().__init__(cfg)


def register_granite(*, rotary: bool) -> None:
    """Has TransformerLens take the adapter that fits."""
    adapter = GraniteMoeHybridArchitectureAdapter if rotary else WithoutPositions
    ArchitectureAdapterFactory.register_adapter("GraniteMoeHybridForCausalLM", adapter)
