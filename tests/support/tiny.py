"""Subject models small enough for any test: random weights, a real tokenizer, a real corpus."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
)

from autointerp.corpora import TokenCorpus, load_corpus
from autointerp.subjects import SubjectModel, wrap_subject

WORDS = ("the", "river", "runs", "dry", "in", "May", "old", "stones", "sleep", "under", "it")
BOS = "<|bos|>"


def tiny_tokenizer(words: Iterable[str] = WORDS) -> PreTrainedTokenizerFast:
    """Byte-level: every word is one token with and without a leading space, the rest is bytes."""
    names = [BOS, *sorted(pre_tokenizers.ByteLevel.alphabet())]
    names += [form for word in words for form in (word, f"Ġ{word}")]
    vocabulary = {name: place for place, name in enumerate(dict.fromkeys(names))}
    # Words are looked up whole, so no merges are needed.
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[], ignore_merges=True))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BOS, eos_token=BOS)


def tiny_llama(
    *, n_layers: int = 3, dtype: torch.dtype = torch.float32, vocab_size: int | None = None
) -> LlamaForCausalLM:
    """A gated model with random weights, always the same ones."""
    config = LlamaConfig(
        vocab_size=vocab_size or len(tiny_tokenizer()),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=n_layers,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=128,
        bos_token_id=0,
        eos_token_id=0,
        attn_implementation="eager",
    )
    return _spread(LlamaForCausalLM(config)).to(dtype)


def tiny_gpt2(*, n_layers: int = 2, activation: str = "gelu_new") -> GPT2LMHeadModel:
    """An ungated model with random weights, always the same ones."""
    config = GPT2Config(
        vocab_size=len(tiny_tokenizer()),
        n_embd=16,
        n_layer=n_layers,
        n_head=2,
        n_positions=128,
        activation_function=activation,
        bos_token_id=0,
        eos_token_id=0,
        attn_implementation="eager",
    )
    return _spread(GPT2LMHeadModel(config))


def tiny_subject(hf_model: Any = None, *, name: str = "tiny", **options: Any) -> SubjectModel:
    """A wrapped tiny Llama, or whichever tiny model is given."""
    model = tiny_llama() if hf_model is None else hf_model
    return wrap_subject(model, tiny_tokenizer(), name=name, device="cpu", **options)


def tiny_texts(n: int, *, n_words: int = 60, seed: int = 0) -> list[str]:
    """Texts of the tokenizer's words with a rare byte among them, all different."""
    rng = random.Random(seed)
    rare = ("zebra", "é", ",", "7")
    texts = []
    for number in range(n):
        words = [
            rng.choice(WORDS) if rng.random() < 0.95 else rng.choice(rare) for _ in range(n_words)
        ]
        texts.append(" ".join([f"{number}", *words]))
    return texts


def write_texts(folder: Path, texts: Sequence[str]) -> Path:
    """A folder with one text file a document, which load_corpus reads."""
    target = folder / "texts"
    target.mkdir()
    for number, text in enumerate(texts):
        (target / f"{number:04d}.txt").write_text(text, encoding="utf-8")
    return target


def tiny_corpus(
    folder: Path, subject: SubjectModel, *, n_tokens: int = 1200, n_ctx: int = 8, seed: int = 0
) -> TokenCorpus:
    """About ``n_tokens`` tokens in windows of ``n_ctx``, over many documents."""
    texts = tiny_texts(max(30, n_tokens // 30), n_words=40, seed=seed)
    path = write_texts(folder, texts)
    return load_corpus(str(path), subject, n_tokens=n_tokens, n_ctx=n_ctx, seed=seed)


def _spread(model: Any) -> Any:
    # The libraries' initialization is too small for activations of a useful range.
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.4, generator=generator)
            elif not name.endswith("bias"):
                parameter.fill_(1.0)
    return model.eval()
