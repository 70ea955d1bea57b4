"""A language model built by hand whose neurons follow known rules.

One block of a GPT-2. Every token belongs to a class; attention copies the class of the previous
token; the MLP reads class, previous class and position as if they were written beside each
other. Each coordinate is stored twice with opposite signs, so that the mean is 0, and every
position has the same norm, so that LayerNorm only rescales, always by the same number.

Neurons of ``blocks.0.mlp.hook_post``:

0. a token set: months at 1, rivers at 0.55;
1. a bigram: "bank" directly after "river" words;
2. a position: the first token of a window at 1, the second at 0.55;
3. dead;
4. noise, a fixed number for each pair of vocabulary token and position.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tiny import tiny_tokenizer
from transformers import GPT2Config, GPT2LMHeadModel

from autointerp.subjects import SubjectModel, wrap_subject

HOOK = "blocks.0.mlp.hook_post"
N_CTX = 64
"""Longest window, BOS excluded."""
MONTHS = ("May", "June", "July")
RIVERS = ("Rhine", "Nile")
BANK = "bank"
OTHERS = ("the", "a", "of", "and", "water", "stone", "cold", "wide", "ran", "slept", "under", "old")

_STRONG, _WEAK = 1.0, 0.55
_SHARPNESS = 80.0
_OTHER, _MONTH, _RIVER, _BANK = range(4)
_N_CLASSES, _N_NOISE, _N_POSITIONS = 4, 24, N_CTX + 1
# Where each part of the residual stream begins.
_CLASS, _NOISE = 0, _N_CLASSES
_POSITION = _NOISE + _N_NOISE
_PREVIOUS = _POSITION + _N_POSITIONS
_HALF = _PREVIOUS + _N_CLASSES
# After LayerNorm: four parts of norm 1, each stored twice, over 2 * _HALF coordinates.
_SCALE = float(np.sqrt(2 * _HALF / (2 * 4)))


def planted_subject() -> SubjectModel:
    """The wrapped model, under the name ``planted``."""
    return wrap_subject(_model(), _tokenizer(), name="planted", device="cpu")


def write_planted(folder: Path) -> Path:
    """The folder, with the model and its tokenizer as transformers reads them."""
    _model().save_pretrained(folder)
    _tokenizer().save_pretrained(folder)
    return folder


def planted_texts(n: int, *, n_words: int = 200, seed: int = 0) -> list[str]:
    """Documents in which every rule applies now and then."""
    rng = random.Random(seed)
    texts = []
    for number in range(n):
        words = [f"{number}"]
        while len(words) < n_words:
            draw = rng.random()
            if draw < 0.05:
                words.append(rng.choice(MONTHS))
            elif draw < 0.10:
                words.append(rng.choice(RIVERS))
            elif draw < 0.14:
                words += [rng.choice(RIVERS), BANK]
            elif draw < 0.17:
                words.append(BANK)
            else:
                words.append(rng.choice(OTHERS))
        texts.append(" ".join(words))
    return texts


def rule(neuron: int, token_strings: Sequence[str]) -> list[float]:
    """The true activation of a neuron at each token of one window, BOS excluded."""
    classes = [_class_of(token) for token in token_strings]
    before = [_OTHER, *classes[:-1]]
    places = range(1, len(classes) + 1)
    if neuron == 0:
        return [{_MONTH: _STRONG, _RIVER: _WEAK}.get(c, 0.0) for c in classes]
    if neuron == 1:
        pairs = zip(before, classes, strict=True)
        return [_STRONG if pair == (_RIVER, _BANK) else 0.0 for pair in pairs]
    if neuron == 2:
        return [{1: _STRONG, 2: _WEAK}.get(place, 0.0) for place in places]
    if neuron == 3:
        return [0.0] * len(classes)
    codes, by_token, by_position = _noise()
    ids = [_ids()[token] for token in token_strings]
    return [
        max(0.0, float(codes[i] @ by_token) + by_position[place] - 1.5)
        for i, place in zip(ids, places, strict=True)
    ]


def _tokenizer() -> Any:
    return tiny_tokenizer((*MONTHS, *RIVERS, BANK, *OTHERS))


def _ids() -> dict[str, int]:
    tokenizer = _tokenizer()
    return {tokenizer.decode([i]): i for i in range(len(tokenizer))}


def _class_of(token: str) -> int:
    word = token.strip()
    if word in MONTHS:
        return _MONTH
    if word in RIVERS:
        return _RIVER
    return _BANK if word == BANK else _OTHER


def _noise() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """(code of each token, each of norm 1; what the neuron reads of them; and of positions)."""
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(len(_tokenizer()), _N_NOISE))
    codes /= np.linalg.norm(codes, axis=1, keepdims=True)
    return codes, 5.0 * rng.normal(size=_N_NOISE) / 2, rng.normal(size=_N_POSITIONS)


def _model() -> GPT2LMHeadModel:
    tokenizer = _tokenizer()
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_embd=2 * _HALF,
        n_layer=1,
        n_head=1,
        n_inner=5,
        n_positions=_N_POSITIONS,
        layer_norm_epsilon=1e-12,
        activation_function="relu",
        bos_token_id=0,
        eos_token_id=0,
        attn_implementation="eager",
    )
    model = GPT2LMHeadModel(config).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(1.0 if "ln_" in name and name.endswith("weight") else 0.0)
        _write_embeddings(model.transformer, tokenizer)
        _write_attention(model.transformer.h[0].attn)
        _write_neurons(model.transformer.h[0].mlp)
    return model


def _twice(rows: torch.Tensor) -> torch.Tensor:
    return torch.cat((rows, -rows), dim=-1)


def _write_embeddings(transformer: Any, tokenizer: Any) -> None:
    tokens = torch.zeros(len(tokenizer), _HALF)
    for i in range(len(tokenizer)):
        tokens[i, _CLASS + _class_of(tokenizer.decode([i]))] = 1.0
    tokens[:, _NOISE:_POSITION] = torch.from_numpy(_noise()[0])
    positions = torch.zeros(_N_POSITIONS, _HALF)
    positions[:, _POSITION:_PREVIOUS] = torch.eye(_N_POSITIONS)
    transformer.wte.weight.copy_(_twice(tokens))
    transformer.wpe.weight.copy_(_twice(positions))


def _write_attention(attention: Any) -> None:
    width = 2 * _HALF
    query, key, value = attention.c_attn.weight.split(width, dim=1)
    # Three parts of norm 1 before attention, so LayerNorm multiplies by this.
    scale = float(np.sqrt(width / (2 * 3)))
    sharpness = _SHARPNESS * float(np.sqrt(width)) / scale**2
    for position in range(1, _N_POSITIONS):
        query[_POSITION + position, position] = sharpness
        key[_POSITION + position - 1, position] = 1.0
    for place in range(_N_CLASSES):
        value[_CLASS + place, place] = 1.0 / scale
        attention.c_proj.weight[place, _PREVIOUS + place] = 1.0
        attention.c_proj.weight[place, _HALF + _PREVIOUS + place] = -1.0


def _write_neurons(mlp: Any) -> None:
    read = torch.zeros(_HALF, 5, dtype=torch.float64)
    bias = torch.tensor([-1.0, -3.0, -1.0, -1.0, -1.5])
    read[_CLASS + _MONTH, 0] = 1.0 + _STRONG
    read[_CLASS + _RIVER, 0] = 1.0 + _WEAK
    read[_CLASS + _BANK, 1] = 2.0
    read[_PREVIOUS + _RIVER, 1] = 2.0
    read[_POSITION + 1, 2] = 1.0 + _STRONG
    read[_POSITION + 2, 2] = 1.0 + _WEAK
    _, by_token, by_position = _noise()
    read[_NOISE:_POSITION, 4] = torch.from_numpy(by_token)
    read[_POSITION:_PREVIOUS, 4] = torch.from_numpy(by_position)
    mlp.c_fc.weight[:_HALF].copy_(read / _SCALE)
    mlp.c_fc.bias.copy_(bias)
