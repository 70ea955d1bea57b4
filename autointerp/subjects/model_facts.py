"""What can be told of a Hugging Face model by looking at it."""

from __future__ import annotations

from typing import Any

import torch

EXPECTED = "a causal (left-to-right) language model such as LlamaForCausalLM is expected"
NOT_RUN = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NotImplementedError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a model raises that cannot be run or wrapped."""

_LONGEST = 200
_UNKNOWN = 2**20


def first_words(error: Exception) -> str:
    """The first line of an error, cut where it is long."""
    line = next((part.strip() for part in str(error).split("\n") if part.strip()), "")
    line = line or type(error).__name__
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST].rstrip()}..."


def class_of(model: Any) -> str:
    """The class of a model, and the one that its configuration names where that is another."""
    name = type(model).__name__
    saved = next(iter(getattr(model.config, "architectures", None) or ()), name)
    return name if saved == name else f"{name} (saved as {saved})"


def embedding_rows(model: Any) -> int:
    """For how many token ids the model has a row, by its embedding or else its configuration."""
    try:
        return int(model.get_input_embeddings().weight.shape[0])
    except (AttributeError, NotImplementedError, TypeError):
        return int(getattr(model.config, "vocab_size", None) or 1)


def context_length(model: Any) -> int:
    """Positions that the configuration gives the model; very many where it does not say."""
    named = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
    given = [getattr(model.config, name, None) for name in named]
    return min((n for n in given if isinstance(n, int) and n > 0), default=_UNKNOWN)


def floating_dtypes(model: torch.nn.Module) -> dict[str, str]:
    """The name of one parameter of each floating dtype."""
    result: dict[str, str] = {}
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point():
            result.setdefault(str(parameter.dtype).removeprefix("torch."), name)
    return result
