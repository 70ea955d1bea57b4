"""Tiny models that read images or sound beside text."""

from __future__ import annotations

from typing import Any

from many_models import random_weights
from tiny import tiny_tokenizer
from transformers import (
    CLIPVisionConfig,
    Gemma3Config,
    Gemma3ForConditionalGeneration,
    Gemma3TextConfig,
    GemmaConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    PaliGemmaConfig,
    PaliGemmaForConditionalGeneration,
    Qwen2AudioConfig,
    Qwen2AudioEncoderConfig,
    Qwen2AudioForConditionalGeneration,
    Qwen2Config,
    SiglipVisionConfig,
)

_SIZES = {"hidden_size": 16, "intermediate_size": 24, "num_attention_heads": 2}
_TEXT: dict[str, Any] = {
    **_SIZES,
    "vocab_size": len(tiny_tokenizer()),
    "num_hidden_layers": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "max_position_embeddings": 128,
}
_IMAGES: dict[str, Any] = {**_SIZES, "num_hidden_layers": 1, "image_size": 28, "patch_size": 14}


def llava() -> Any:
    config = LlavaConfig(
        text_config=LlamaConfig(**_TEXT),
        vision_config=CLIPVisionConfig(**_IMAGES),
        image_token_index=5,
    )
    return LlavaForConditionalGeneration(config).eval()


def paligemma() -> Any:
    config = PaliGemmaConfig(
        text_config=GemmaConfig(**_TEXT), vision_config=SiglipVisionConfig(**_IMAGES)
    )
    return PaliGemmaForConditionalGeneration(config).eval()


def qwen2_audio() -> Any:
    sound = {"d_model": 16, "encoder_layers": 1, "encoder_attention_heads": 2}
    config = Qwen2AudioConfig(
        text_config=Qwen2Config(**_TEXT),
        audio_config=Qwen2AudioEncoderConfig(**sound, encoder_ffn_dim=24),
    )
    return Qwen2AudioForConditionalGeneration(config).eval()


def gemma3() -> Any:
    """Of the kind that transformers loads as a causal language model all the same."""
    config = Gemma3Config(
        text_config=Gemma3TextConfig(**_TEXT), vision_config=SiglipVisionConfig(**_IMAGES)
    )
    config._attn_implementation = "eager"  # noqa: SLF001
    return random_weights(Gemma3ForConditionalGeneration(config))
