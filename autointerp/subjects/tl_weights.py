"""Weights of models in TransformerLens' layout: read, renamed, and put into a model.

PyTorch's files are read by its unpickler of tensors alone, which runs no code.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from autointerp.core.errors import InputError
from autointerp.core.files import git_pointer
from autointerp.subjects.model_facts import first_words

_READ_ERRORS = (
    EOFError, KeyError, OSError, RuntimeError, SafetensorError, UnpicklingError, ValueError,
)  # fmt: skip


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a file by name.

    Raises:
        InputError: it is damaged, or holds anything else.
    """
    try:
        with warnings.catch_warnings():
            # PyTorch warns of pickles of other versions before it refuses what they hold.
            warnings.simplefilter("ignore")
            read = (
                load_file(path)
                if path.suffix == ".safetensors"
                else torch.load(path, map_location="cpu", weights_only=True)
            )
    except _READ_ERRORS as error:
        # PyTorch's own words advise to run what is in the file.
        unknown = isinstance(error, UnpicklingError) or not str(error)
        why = "it is damaged, or holds more than tensors" if unknown else first_words(error)
        refusal = f"{path} has no weights that can be read without running code: {why}"
        left = git_pointer(path)
        raise InputError(refusal if left is None else f"{path.parent}: {left}") from error
    if not isinstance(read, Mapping) or not all(isinstance(t, Tensor) for t in read.values()):
        raise InputError(
            f"{path} does not hold a state dict (tensors by name); save model.state_dict()"
        )
    return dict(read)


def converted_weights(
    tensors: dict[str, Tensor], written: Mapping[str, Any], config: Any, tl_legacy: Any
) -> dict[str, Tensor]:
    """The tensors as TransformerBridge names them, whatever age of the layout they have."""
    if "tok_emb.weight" in tensors:
        tensors = tl_legacy._convert_mingpt_weights(tensors, config)
    elif written.get("architecture") == "neel-solu-old" or any(".norm" in n for n in tensors):
        tensors = tl_legacy._convert_neel_solu_old_weights(tensors, config)
    if not any(name.endswith((".W_E", ".W_U")) for name in tensors):
        return tensors
    if config.positional_embedding_type == "rotary" and not written.get("rotary_adjacent_pairs"):
        tensors = _in_adjacent_pairs(tensors, config.rotary_dim or config.d_head)
    converted: dict[str, Tensor] = tl_legacy.convert_tl_checkpoint(tensors, config)
    # Several of these models have no bias behind the unembedding.
    converted.setdefault("unembed.bias", torch.zeros(config.d_vocab))
    return converted


def put_weights(tensors: Mapping[str, Tensor], bridge: Any, path: Path) -> None:
    """Copies the tensors of a file into a model of the configuration beside it.

    Raises:
        InputError: names or shapes are those of another configuration.
    """
    own = {**bridge.original_model.state_dict(), **bridge.state_dict()}
    shapes = {_plain(name): tuple(tensor.shape) for name, tensor in own.items()}
    differing = [
        f"{_plain(name)} of shape {tuple(tensor.shape)} in place of {shapes[_plain(name)]}"
        for name, tensor in tensors.items()
        if shapes.get(_plain(name), tuple(tensor.shape)) != tuple(tensor.shape)
    ]
    if differing:
        raise _another(path, f"has {_listed(differing)}")
    loaded = bridge.load_state_dict(tensors, strict=False)
    lacking, unknown = (
        sorted(set(map(_plain, names))) for names in (loaded.missing_keys, loaded.unexpected_keys)
    )
    if lacking:
        raise _another(path, f"lacks {_listed(lacking)}")
    if unknown:
        raise _another(path, f"has {_listed(unknown)}, which that model lacks")


def _plain(name: str) -> str:
    """The name of a tensor without what TransformerBridge writes into it."""
    return name.replace("._original_component", "")


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def _another(path: Path, what: str) -> InputError:
    return InputError(
        f"{path} is of another model than config.json beside it: it {what}; copy both of one model"
    )


def _in_adjacent_pairs(tensors: dict[str, Tensor], n_rotated: int) -> dict[str, Tensor]:
    """Queries and keys in another order, the same in both, which leaves attention as it is.

    HookedTransformer turns coordinate i with i + half; TransformerLens' present models turn
    neighbours.
    """
    halves = torch.arange(n_rotated).reshape(2, -1).T.flatten()
    result = dict(tensors)
    for name, tensor in tensors.items():
        if name.rpartition(".")[2].lstrip("_") in ("W_Q", "W_K", "b_Q", "b_K"):
            rest = torch.arange(n_rotated, tensor.shape[-1])
            result[name] = tensor[..., torch.cat([halves, rest])].clone()
    return result
