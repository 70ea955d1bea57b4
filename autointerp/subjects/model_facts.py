"""What can be told of a Hugging Face model by looking at it."""

from __future__ import annotations

import math
from collections.abc import Set
from typing import Any

import torch
from torch import Tensor

from autointerp.core.errors import InputError
from autointerp.core.model_shape import ModelShape, shape_of_config

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
    """The first line of an error, with the next where that announces it; cut where it is long."""
    lines = [part.strip() for part in str(error).split("\n") if part.strip()]
    line = " ".join(lines[: 2 if lines and lines[0].endswith(":") else 1]) or type(error).__name__
    if isinstance(error, KeyError):
        line = f"nothing is known as {line}"
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST].rstrip()}..."


def class_of(model: Any) -> str:
    """The class of a model, and the one that its configuration names where that is another."""
    name = type(model).__name__
    config = getattr(model, "config", None)
    saved = next(iter(getattr(config, "architectures", None) or ()), name)
    return name if saved == name else f"{name} (saved as {saved})"


def shape_of_model(name: str, model: Any) -> ModelShape | None:
    """The sizes that a model's configuration tells; None where it does not."""
    config = getattr(getattr(model, "original_model", model), "config", None)
    try:
        return None if config is None else shape_of_config(name, config.to_dict())
    except InputError:
        return None


def embedding_rows(model: Any) -> int:
    """For how many token ids the model has a row, by its embedding or else its configuration."""
    model = getattr(model, "original_model", model)
    try:
        return int(model.get_input_embeddings().weight.shape[0])
    except (AttributeError, NotImplementedError, TypeError):
        config = getattr(model, "config", getattr(model, "cfg", None))
        sizes = (getattr(config, name, None) for name in ("vocab_size", "d_vocab"))
        return next((int(size) for size in sizes if size), 1)


def mlp_dtype(model: torch.nn.Module) -> torch.dtype | None:
    """The narrowest floating dtype of the MLPs' weights, else of all; None where there is none."""
    blocks = getattr(model, "blocks", None)
    mlps = [getattr(block, "mlp", None) for block in blocks] if blocks is not None else []
    mlps = [getattr(mlp, "original_component", mlp) for mlp in mlps]
    for parts in (mlps, [model]):
        weights = [
            p for part in parts if isinstance(part, torch.nn.Module) for p in part.parameters()
        ]
        dtypes = {p.dtype for p in weights if p.is_floating_point()}
        if dtypes:
            return min(dtypes, key=lambda dtype: (dtype.itemsize, str(dtype)))
    return None


def context_length(model: Any) -> int:
    """Positions that the configuration gives the model; very many where it does not say."""
    named = ("max_position_embeddings", "n_positions", "max_seq_len", "seq_length")
    given = [getattr(getattr(model, "config", None), name, None) for name in named]
    return min((n for n in given if isinstance(n, int) and n > 0), default=_UNKNOWN)


def sizes_of(model: Any) -> str:
    """The sizes in a configuration that have to fit each other, as they are written there."""
    named = ("hidden_size", "num_attention_heads", "num_key_value_heads", "head_dim")
    given = {name: getattr(getattr(model, "config", None), name, None) for name in named}
    sizes = ", ".join(f"{name} {size}" for name, size in given.items() if size is not None)
    return sizes or "no sizes are in it"


def floating_dtypes(model: torch.nn.Module) -> dict[str, str]:
    """The name of one parameter of each floating dtype."""
    result: dict[str, str] = {}
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point():
            result.setdefault(str(parameter.dtype).removeprefix("torch."), _plain(name))
    return result


def not_finite(model: torch.nn.Module, tokens: Set[int]) -> str | None:
    """What is wrong with the first parameter that holds NaN or infinity; None where none does.

    Rows of ids that are not tokens fill up a vocabulary, and may hold anything.
    """
    n_rows = embedding_rows(model)
    for name, parameter in model.named_parameters():
        # Narrower dtypes are quantized: their values mean nothing by themselves.
        if not parameter.is_floating_point() or parameter.dtype.itemsize < 2:
            continue
        values = parameter.detach()
        extremes = [float(value) for value in torch.aminmax(values)] if values.numel() else []
        if not all(map(math.isfinite, extremes)) and _in_use(values, n_rows, tokens):
            what = "NaN" if math.isnan(extremes[0]) else "infinity"
            return f"{what} in {_plain(name)}"
    return None


def _in_use(values: Tensor, n_rows: int, tokens: Set[int]) -> bool:
    """Whether values that are not finite stand anywhere but in rows of ids that are not tokens."""
    if n_rows not in values.shape:
        return True
    rows = (~torch.isfinite(values)).movedim(values.shape.index(n_rows), 0).reshape(n_rows, -1)
    return not tokens.isdisjoint(rows.any(dim=1).nonzero().flatten().tolist())


def _plain(name: str) -> str:
    """A parameter's name in its own model, without TransformerLens' wrapping."""
    return name.replace("_original_component.", "")
