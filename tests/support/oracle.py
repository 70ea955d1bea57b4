"""Collected statistics computed the slow way, in float64, from activations kept whole."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray

from autointerp.activations.collection import canonical_batches
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus
from autointerp.subjects import SubjectModel


class Oracle:
    """Every activation of a hook point, by window."""

    def __init__(
        self, subject: SubjectModel, corpus: TokenCorpus, hook: str, *, batch_windows: int
    ) -> None:
        self.lines: dict[int, NDArray[np.float32]] = {}
        for _, _, ids in canonical_batches(corpus, batch_windows):
            tokens, lengths = corpus.batch(ids)
            bos = np.full((len(ids), 1), subject.tokenizer.bos_id)
            padded = torch.from_numpy(np.concatenate((bos, tokens), 1).astype(np.int64))
            with torch.inference_mode():
                _, cache = subject.bridge.run_with_cache(padded)
            for window, acts, length in zip(ids, cache[hook], lengths, strict=True):
                self.lines[window] = acts[1 : 1 + int(length)].float().numpy()
        self.corpus = corpus

    def ids(self, split: Split | None) -> list[int]:
        """Windows of a split, or of all."""
        ids: Iterable[int] = (
            range(len(self.corpus)) if split is None else (self.corpus.window_ids(split))
        )
        return list(ids)

    def rows(self, split: Split | None) -> NDArray[np.float64]:
        """Activations of all tokens, shape (token, unit)."""
        return np.concatenate([self.lines[i] for i in self.ids(split)]).astype(np.float64)

    def peaks(self, split: Split | None, side: int) -> NDArray[np.float64]:
        """Largest ``sign * a`` of each window, shape (window, unit)."""
        sign = 1.0 - 2.0 * side
        lines = [self.lines[i].astype(np.float64) for i in self.ids(split)]
        return np.array([(sign * line).max(0) for line in lines])
