"""Tiny models of many architectures, made from configurations, with random weights."""

from __future__ import annotations

from typing import Any

import torch
from tiny import tiny_tokenizer
from transformers import AutoConfig, AutoModelForCausalLM

_SIZES = {
    "hidden_size": 32,
    "d_model": 32,
    "n_embd": 32,
    "word_embed_proj_dim": 32,
    "intermediate_size": 48,
    "ffn_hidden_size": 48,
    "ffn_dim": 48,
    "n_inner": 48,
    "num_hidden_layers": 2,
    "num_layers": 2,
    "n_layer": 2,
    "n_layers": 2,
    "num_attention_heads": 4,
    "attention_heads": 4,
    "n_head": 4,
    "n_heads": 4,
    "num_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "rotary_dim": 8,
    "max_position_embeddings": 128,
    "n_positions": 128,
    "max_seq_len": 128,
    "bos_token_id": 0,
    "eos_token_id": 0,
    "pad_token_id": 0,
    "num_experts": 4,
    "num_local_experts": 4,
    "n_routed_experts": 4,
    "moe_num_experts": 4,
    "num_experts_per_tok": 2,
    "moe_k": 2,
    "moe_intermediate_size": 16,
    "shared_expert_intermediate_size": 24,
    "n_shared_experts": 1,
    "first_k_dense_replace": 1,
    "n_group": 1,
    "topk_group": 1,
    "q_lora_rank": 8,
    "kv_lora_rank": 8,
    "qk_rope_head_dim": 8,
    "qk_nope_head_dim": 8,
    "v_head_dim": 8,
}
_MORE: dict[str, dict[str, Any]] = {
    "deepseek_v2": {"head_dim": 8, "num_key_value_heads": 4},
    "deepseek_v3": {"head_dim": 8, "num_key_value_heads": 4},
    "gpt_neo": {"attention_types": [[["global", "local"], 1]], "intermediate_size": 48},
}

_DENSE = """
    apertus arcee bitnet bloom codegen cohere cohere2 ernie4_5 exaone4 falcon gemma gemma2
    gemma3_text glm glm4 gpt2 gpt_bigcode gpt_neo gpt_neox gptj granite hunyuan_v1_dense llama
    ministral3 mistral modernbert-decoder mpt nanochat nemotron olmo olmo2 olmo3 openai-gpt opt
    phi phi3 qwen2 qwen3 seed_oss smollm3 stablelm starcoder2 vaultgemma xglm
"""
DENSE = tuple(_DENSE.split())
"""Architectures that TransformerLens wraps, by model type."""

_PLAIN = """
    biogpt cwm diffllama flint gpt_neox_japanese granite_swa ministral
"""
PLAIN = tuple(_PLAIN.split())
"""Architectures for which TransformerLens has no adapter."""

_EXPERTS = """
    afmoe deepseek_v3 ernie4_5_moe flex_olmo glm4_moe gpt_oss granitemoe jetmoe llama4_text
    minimax_m2 mixtral olmoe phimoe qwen2_moe qwen3_moe
"""
EXPERTS = tuple(_EXPERTS.split())
"""Architectures with mixtures of experts, some with a dense first layer."""


def settings_of(kind: str, **more: Any) -> dict[str, Any]:
    """Small sizes for what a configuration of that type has of them."""
    names = set(AutoConfig.for_model(kind).to_dict())
    names |= set(getattr(type(AutoConfig.for_model(kind)), "attribute_map", {}))
    small = {name: size for name, size in _SIZES.items() if name in names}
    return {"vocab_size": len(tiny_tokenizer()), **small, **_MORE.get(kind, {}), **more}


def model_of(kind: str, **more: Any) -> Any:
    """A model of that type, whose configuration names no architecture: it is from memory."""
    config = AutoConfig.for_model(kind, **settings_of(kind, **more))
    return random_weights(AutoModelForCausalLM.from_config(config, attn_implementation="eager"))


def random_weights(model: Any, *, spread: float = 0.3) -> Any:
    """The model in evaluation mode, its matrices drawn anew from one seed."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, spread, generator=generator)
    return model.eval()
