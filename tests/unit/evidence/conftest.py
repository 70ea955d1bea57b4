"""Tiny models of three architectures, their norms' gains made uneven."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny import tiny_gpt2, tiny_llama, tiny_subject, tiny_tokenizer
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM

from autointerp.subjects import SubjectModel


def tiny_neox() -> GPTNeoXForCausalLM:
    config = GPTNeoXConfig(
        vocab_size=len(tiny_tokenizer()),
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=128,
        bos_token_id=0,
        eos_token_id=0,
        attn_implementation="eager",
    )
    generator = torch.Generator().manual_seed(1)
    model = GPTNeoXForCausalLM(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.4, generator=generator)
    return model


def uneven(model: Any) -> Any:
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.ndim == 1:
                low = 0.5 if name.endswith("weight") else -0.5
                parameter.uniform_(low, 1.5, generator=generator)
    return model


MODELS = {"llama": tiny_llama, "gpt2": tiny_gpt2, "neox": tiny_neox}


@pytest.fixture(scope="module", params=list(MODELS))
def hf_model(request: pytest.FixtureRequest) -> Any:
    return uneven(MODELS[request.param]())


@pytest.fixture(scope="module")
def subject(hf_model: Any) -> SubjectModel:
    return tiny_subject(hf_model)


@pytest.fixture(scope="module")
def llama() -> SubjectModel:
    return tiny_subject(uneven(tiny_llama(n_layers=2)))
