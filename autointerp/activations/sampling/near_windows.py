"""Windows that are near exemplars in meaning, by embeddings of their texts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.activations.sampling.window_sample import NEAR, SampledWindow, WindowSample
from autointerp.activations.sentence_encoder import SentenceEncoder
from autointerp.core.text import TextTokenizer
from autointerp.corpora import TokenCorpus


@dataclass(frozen=True, slots=True, eq=False)
class EmbeddedWindows:
    """Windows with their vectors; made once for all units."""

    windows: tuple[int, ...]
    """Ids in the corpus."""
    vectors: NDArray[np.float32]
    """Of length 1, shape (n_windows, width)."""


def embed_windows(
    encoder: SentenceEncoder, corpus: TokenCorpus, tokenizer: TextTokenizer, windows: Sequence[int]
) -> EmbeddedWindows:
    """The windows with the vectors of their texts."""
    texts = ["".join(tokenizer.pieces(corpus[window].token_ids)) for window in windows]
    return EmbeddedWindows(tuple(windows), encoder.embed(texts))


def near_windows(
    embedded: EmbeddedWindows, exemplars: EmbeddedWindows, n: int, *, exclude: Collection[int] = ()
) -> WindowSample:
    """The ``n`` windows most like any of the exemplars, nearest first.

    Whether the unit is silent there is not known yet: `silent_only` comes next. Nothing is left
    to chance, so a weight is 1: the windows stand for themselves alone.

    Args:
        embedded: the windows to choose among, exemplars allowed: they are never chosen.
        exemplars: at least one.
        n: how many.
        exclude: windows picked otherwise.
    """
    taken = {*exclude, *exemplars.windows}
    likeness = (embedded.vectors @ exemplars.vectors.T).max(axis=1)
    order = np.lexsort((np.asarray(embedded.windows), -likeness))
    free = [embedded.windows[i] for i in order if embedded.windows[i] not in taken]
    return WindowSample(tuple(SampledWindow(window, NEAR, 1.0) for window in free[:n]))
