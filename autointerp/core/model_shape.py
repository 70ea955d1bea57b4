"""Sizes of a subject model, known without its weights: what a job will cost depends on these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from autointerp.core.errors import InputError

_UNGATED = frozenset(
    {"gpt2", "gpt_neo", "gpt_neox", "gptj", "opt", "phi", "bloom", "falcon", "mpt", "codegen"}
    | {"starcoder2", "gpt_bigcode", "nemotron", "persimmon", "biogpt", "xglm"}
)
"""Kinds of models whose MLP is two matrices; all others are taken to have a gate."""
_UNIFORM = frozenset(
    {"gpt2", "gpt_neo", "gpt_neox", "gptj", "llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2"}
    | {"opt", "phi", "phi3", "bloom", "stablelm", "olmo", "olmo2", "starcoder2"}
)
"""Kinds of which every layer is known to have one dense MLP."""
_TIED_UNSAID = frozenset({"gpt2", "gpt_neo", "opt", "bloom", "falcon", "gemma", "gemma2"})
"""Kinds that share their embedding with the LM head where the configuration does not say."""
_NAMES: Mapping[str, tuple[str, ...]] = {
    "d_model": ("hidden_size", "n_embd", "d_model", "dim"),
    "d_mlp": ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "d_mlp"),
    "n_layers": ("num_hidden_layers", "n_layer", "num_layers", "n_layers"),
    "n_heads": ("num_attention_heads", "n_head", "n_heads"),
    "vocab": ("vocab_size", "d_vocab"),
    "n_ctx": ("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length"),
}
_EXPERTS = ("num_local_experts", "num_experts", "n_routed_experts", "moe_num_experts")
_USUAL_WIDENING = 4


@dataclass(frozen=True, slots=True)
class ModelShape:
    """Sizes of a decoder with one MLP a layer."""

    name: str
    n_layers: int
    d_model: int
    d_mlp: int
    """Neurons a layer."""
    n_heads: int
    n_kv_heads: int
    d_head: int
    vocab: int
    n_ctx: int
    """Positions that it takes at most."""
    gated: bool
    """Three matrices an MLP, and neurons whose sign means nothing by itself."""
    tied: bool
    """The LM head is the embedding."""
    uniform: bool = True
    """It is of a kind of which every layer is known to have one dense MLP."""

    @property
    def layer_weights(self) -> int:
        """Weights of one layer; biases and norms are left out."""
        attention = 2 * self.d_model * self.d_head * (self.n_heads + self.n_kv_heads)
        return attention + (3 if self.gated else 2) * self.d_model * self.d_mlp

    @property
    def n_weights(self) -> int:
        """Weights of all layers, the embedding and the LM head."""
        tables = self.vocab * self.d_model * (1 if self.tied else 2)
        return self.n_layers * self.layer_weights + tables

    @property
    def n_neurons(self) -> int:
        """Of all layers."""
        return self.n_layers * self.d_mlp


def _llama(name: str, sizes: tuple[int, int, int, int, int], *, d_head: int) -> ModelShape:
    n_layers, d_model, d_mlp, n_heads, n_kv_heads = sizes
    return ModelShape(
        name, n_layers, d_model, d_mlp, n_heads, n_kv_heads, d_head,
        vocab=128_256, n_ctx=131_072, gated=True, tied=name == "llama-3.2-1b",
    )  # fmt: skip


def _gpt2(name: str, n_layers: int, d_model: int, n_heads: int) -> ModelShape:
    return ModelShape(
        name, n_layers, d_model, 4 * d_model, n_heads, n_heads, d_model // n_heads,
        vocab=50_257, n_ctx=1_024, gated=False, tied=True,
    )  # fmt: skip


KNOWN_SHAPES: Mapping[str, ModelShape] = {
    shape.name: shape
    for shape in (
        ModelShape(
            "smollm2-135m",
            30,
            576,
            1_536,
            9,
            3,
            64,
            vocab=49_152,
            n_ctx=8_192,
            gated=True,
            tied=True,
        ),  # fmt: skip
        _gpt2("gpt2", 12, 768, 12),
        _gpt2("gpt2-xl", 48, 1_600, 25),
        _llama("llama-3.2-1b", (16, 2_048, 8_192, 32, 8), d_head=64),
        _llama("llama-3.1-8b", (32, 4_096, 14_336, 32, 8), d_head=128),
        _llama("llama-3.1-70b", (80, 8_192, 28_672, 64, 8), d_head=128),
    )
}
"""Well-known models by their usual names, as their configurations have them."""


def known_shape(name: str) -> ModelShape | None:
    """The shape that a name means, also with an owner before it and in other letters."""
    return KNOWN_SHAPES.get(name.rpartition("/")[2].lower())


def shape_of_config(name: str, config: Mapping[str, Any]) -> ModelShape:
    """The shape that a model's ``config.json`` describes.

    Raises:
        InputError: a size is missing or no number, or the model is a mixture of experts.
    """
    inner = config.get("text_config")
    if isinstance(inner, dict):
        config = {**config, **inner}
    if any(isinstance(config.get(key), int) and config[key] > 1 for key in _EXPERTS):
        raise InputError(
            f"{name} is a mixture of experts, whose cost is not known from its configuration; "
            "plan a model with one MLP a layer"
        )
    kind = str(config.get("model_type") or config.get("original_architecture") or "")
    d_model = _size(name, config, "d_model")
    n_heads = _size(name, config, "n_heads")
    # TransformerLens' own models, whose word for the activation is act_fn, say where they have one.
    own = not kind and "act_fn" in config
    gated = config.get("gated_mlp", not own and kind not in _UNGATED)
    return ModelShape(
        name=name,
        n_layers=_size(name, config, "n_layers"),
        d_model=d_model,
        d_mlp=_size(name, config, "d_mlp", default=_USUAL_WIDENING * d_model),
        n_heads=n_heads,
        n_kv_heads=_positive(config.get("num_key_value_heads", config.get("n_key_value_heads")))
        or n_heads,
        d_head=_positive(config.get("head_dim", config.get("d_head"))) or d_model // n_heads,
        vocab=_size(name, config, "vocab"),
        n_ctx=_size(name, config, "n_ctx"),
        gated=bool(gated),
        tied=bool(config.get("tie_word_embeddings", kind in _TIED_UNSAID)),
        uniform=kind in _UNIFORM,
    )


def _size(name: str, config: Mapping[str, Any], field: str, *, default: int | None = None) -> int:
    keys = _NAMES[field]
    found = next((config[key] for key in keys if config.get(key) is not None), default)
    value = _positive(found)
    if value is None:
        said = "says nothing of it" if found is None else f"has {found!r}"
        raise InputError(
            f"the configuration of {name} {said} where its size is: {' or '.join(keys)} should be "
            "a whole number above 0"
        )
    return value


def _positive(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
