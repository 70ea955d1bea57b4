"""The same text as two models read it: which of their tokens end at the same place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.core.characters import character_runs, join_tokens
from autointerp.core.text import TextTokenizer
from autointerp.corpora import TokenCorpus
from autointerp.subjects import SubjectModel


@dataclass(frozen=True, slots=True)
class AlignedText:
    """One window of a corpus, for two models."""

    window: int
    document: int
    """Position of its document in the corpus."""
    first: tuple[int, ...]
    """Token ids of the first model, BOS excluded."""
    second: tuple[int, ...]
    at_first: NDArray[np.int64]
    """Positions of the first model's tokens that end where one of the second's ends, ascending."""
    at_second: NDArray[np.int64]
    """The positions of those."""


class TextPairs:
    """The windows of the first model's corpus beside what the second model reads of them."""

    def __init__(self, first: SubjectModel, second: SubjectModel, corpus: TokenCorpus) -> None:
        self._first, self._second, self._corpus = first.tokenizer, second.tokenizer, corpus
        self._at_most = second.max_n_ctx
        self.same_tokens = self._first.name == self._second.name
        """Whether the two models read the same tokens."""
        self.n_skipped = 0
        """Windows so far that the second model's tokenizer spells otherwise, which are left out."""

    def read(self, windows: Sequence[int]) -> Iterator[AlignedText]:
        """Those of the windows that both models can read."""
        for window in windows:
            start, stop = self._corpus.starts[window], self._corpus.starts[window + 1]
            ids = tuple(self._corpus.tokens[start:stop].tolist())
            aligned = self._aligned(ids)
            if aligned is None:
                self.n_skipped += 1
                continue
            document = int(self._corpus.document_of[window])
            yield AlignedText(int(window), document, ids, *aligned)

    def _aligned(
        self, ids: tuple[int, ...]
    ) -> tuple[tuple[int, ...], NDArray[np.int64], NDArray[np.int64]] | None:
        if self.same_tokens:
            places = np.arange(min(len(ids), self._at_most))
            return ids[: self._at_most], places, places
        text, ends = token_ends(self._first, ids)
        other = tuple(self._second.encode(text))
        spelled, other_ends = token_ends(self._second, other)
        if spelled != text:
            return None
        other, other_ends = other[: self._at_most], other_ends[: self._at_most]
        # Of tokens that share a character only the last ends anywhere.
        _, at, other_at = np.intersect1d(ends, other_ends, return_indices=True)
        there = ends[at] > 0
        return (other, at[there], other_at[there]) if there.any() else None


def token_ends(tokenizer: TextTokenizer, ids: Sequence[int]) -> tuple[str, NDArray[np.int64]]:
    """The text of tokens, and how many of its characters end with each; -1 within a character."""
    pieces = tokenizer.pieces(ids)
    ends = np.full(len(pieces), -1, dtype=np.int64)
    parts = []
    n = 0
    for run in character_runs(pieces):
        part = join_tokens(pieces[run.start : run.stop])
        parts.append(part)
        n += len(part)
        ends[run.stop - 1] = n
    return "".join(parts), ends
