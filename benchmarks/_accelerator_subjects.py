"""Models and encoders of known shapes with random weights, made in memory on a device."""

from __future__ import annotations

from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import torch
from _parts import byte_tokenizer
from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

from autointerp.core.errors import InputError
from autointerp.subjects import SubjectModel, wrap_subject
from autointerp.subjects.causality import short_text
from autointerp.subjects.encoders import encoder_digest
from autointerp.subjects.own_modules import own_modules
from autointerp.subjects.plain_model import plain_model
from autointerp.subjects.sae import SparseEncoder
from autointerp.subjects.sae_config import SaeConfig
from autointerp.subjects.tokenizer import HfTokenizer

FACTOR = 16


@dataclass(frozen=True)
class Shape:
    """Sizes of a model."""

    name: str
    llama: bool
    n_layers: int
    width: int
    mlp_width: int
    n_heads: int
    n_kv_heads: int
    n_rows: int
    sae: bool = False
    """Whether latents of an SAE are read, and not neurons."""

    def tiny(self) -> Shape:
        """The same kind of model, as small as can be."""
        return Shape(self.name, self.llama, 2, 16, 32, 2, 1, 256, self.sae)


_GPT2 = Shape("gpt2-small", False, 12, 768, 3072, 12, 12, 50257)
SHAPES = {
    "gpt2-small": _GPT2,
    "llama-1b": Shape("llama-1b", True, 16, 2048, 8192, 32, 8, 128256),
    "sae": replace(_GPT2, name="sae", sae=True),
}


def make_model(shape: Shape, device: str) -> Any:
    """The model in bfloat16, its weights drawn on the device."""
    common = {"vocab_size": shape.n_rows, "bos_token_id": 0, "eos_token_id": 0}
    with torch.device(device):
        if shape.llama:
            config = LlamaConfig(
                hidden_size=shape.width,
                intermediate_size=shape.mlp_width,
                num_hidden_layers=shape.n_layers,
                num_attention_heads=shape.n_heads,
                num_key_value_heads=shape.n_kv_heads,
                max_position_embeddings=256,
                tie_word_embeddings=True,
                **common,
            )
            return LlamaForCausalLM(config).to(torch.bfloat16).eval()
        config = GPT2Config(
            n_embd=shape.width,
            n_inner=shape.mlp_width,
            n_layer=shape.n_layers,
            n_head=shape.n_heads,
            n_positions=256,
            **common,
        )
        return GPT2LMHeadModel(config).to(torch.bfloat16).eval()


def weights_of_layers(model: Any) -> int:
    """Weights that every token is multiplied with, embedding and LM head left out."""
    inner = model.base_model
    layers = inner.layers if hasattr(inner, "layers") else inner.h
    return sum(p.numel() for p in layers.parameters() if p.ndim > 1)


def subject_of(model: Any, name: str, device: str) -> SubjectModel:
    """A subject around the model; read at its own modules where TransformerLens is missing."""
    tokenizer = byte_tokenizer()
    if _has_lens():
        return wrap_subject(model, tokenizer, name=name, device=device, revision="random")
    own = own_modules(model, torch.device(device))
    n_rows = int(own.get_input_embeddings().weight.shape[0])
    taken = HfTokenizer(tokenizer, n_rows=n_rows)
    plain = plain_model(own, short_text(taken, n_rows))
    if plain is None:
        raise InputError(f"no MLP was found in {name}; install transformer-lens")
    return SubjectModel(plain, taken, name=name, revision="random")


def _has_lens() -> bool:
    try:
        return find_spec("transformer_lens") is not None
    except ModuleNotFoundError:
        return False


def random_sae(hook: str, d_in: int) -> SparseEncoder:
    """A standard SAE of 16 times the width with random weights, always the same ones."""
    generator = torch.Generator().manual_seed(0)
    d_sae = FACTOR * d_in
    weights = torch.randn((d_in, d_sae), generator=generator) / d_in**0.5
    tensors = {"W_enc": weights, "b_enc": torch.full((d_sae,), -0.05)}
    config = SaeConfig(
        architecture="standard",
        hook_name=hook,
        d_in=d_in,
        d_sae=d_sae,
        apply_b_dec_to_input=False,
    )
    digest = encoder_digest("sae", config.settings, tensors)
    return SparseEncoder("sae_random", config, tensors, digest)
