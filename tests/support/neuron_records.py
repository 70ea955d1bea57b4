"""NeuronRecord JSON as OpenAI publishes it, of a neuron that fires on one word."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

_WORDS = (" the", " old", " stones", " sleep", " under", " water", " cold", " wide", "\n", " of")


def record(rng: random.Random, *, n_hits: int, word: str = " river", n: int = 12) -> dict[str, Any]:
    """A text in which the word stands ``n_hits`` times, the activation there near 5."""
    tokens = [rng.choice(_WORDS) for _ in range(n)]
    for place in rng.sample(range(n), n_hits):
        tokens[place] = word
    activations = [5.0 + rng.random() if t == word else -0.1 * rng.random() for t in tokens]
    return {"dataclass_name": "ActivationRecord", "tokens": tokens, "activations": activations}


def neuron_record(
    *, n_top: int = 10, n_random: int = 10, word: str = " river", seed: int = 0, **changes: object
) -> dict[str, Any]:
    """The record of neuron 3 of layer 7; a keyword argument replaces one of its keys."""
    rng = random.Random(seed)
    return {
        "dataclass_name": "NeuronRecord",
        "neuron_id": {"dataclass_name": "NeuronId", "layer_index": 7, "neuron_index": 3},
        "random_sample": [record(rng, n_hits=int(i % 4 == 0), word=word) for i in range(n_random)],
        "random_sample_by_quantile": None,
        "quantile_boundaries": None,
        "mean": float("nan"),
        "variance": 0.25,
        "skewness": None,
        "kurtosis": None,
        "most_positive_activation_records": [
            record(rng, n_hits=1 + i % 2, word=word) for i in range(n_top)
        ],
        **changes,
    }


def write_record(path: Path, found: object | None = None) -> Path:
    """The record as a file; bare NaN as Python writes it."""
    path.write_text(json.dumps(neuron_record() if found is None else found), encoding="utf-8")
    return path
