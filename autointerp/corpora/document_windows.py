"""Documents as windows of tokens, a few of each document."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.core.seeds import derive_seed

WINDOWS_A_DOCUMENT = 8
"""Taken of each document while there are enough documents; fewer where that leaves a split without
windows."""

_GOLDEN = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True, eq=False)
class DocumentWindows:
    """Windows of one document, in the order in which they are to be taken."""

    document: str
    """`document_id` of the document."""
    source: str
    offsets: NDArray[np.int64]
    """0-based position of each window's first token in its document."""
    lengths: NDArray[np.int64]
    """Tokens of each window."""
    tokens: NDArray[np.int32]
    """The windows' tokens, one window after the other."""

    def first(self, n: int) -> DocumentWindows:
        """The first ``n`` windows alone; the memory of the others is freed."""
        if n >= len(self.offsets):
            return self
        offsets, lengths = self.offsets[:n].copy(), self.lengths[:n].copy()
        tokens = self.tokens[: int(lengths.sum())].copy()
        return DocumentWindows(self.document, self.source, offsets, lengths, tokens)

    def in_text_order(self) -> DocumentWindows:
        """These windows, sorted by offset."""
        order = np.argsort(self.offsets)
        starts = np.cumsum(self.lengths) - self.lengths
        pieces = [self.tokens[starts[i] : starts[i] + self.lengths[i]] for i in order]
        return DocumentWindows(
            self.document,
            self.source,
            self.offsets[order],
            self.lengths[order],
            np.concatenate(pieces),
        )


class WindowPool:
    """Windows of documents until they hold enough tokens.

    Of each document a few windows are taken, so that a few tokens come from many documents. When
    the documents run out, every document gives one more, and one more, until the tokens suffice.
    Windows that can no longer be needed are dropped as documents arrive, so memory follows the
    tokens asked for and not the documents' lengths.
    """

    def __init__(self, n_tokens: int, n_a_document: int = WINDOWS_A_DOCUMENT) -> None:
        self._n_tokens, self._n_a_document = n_tokens, n_a_document
        self._documents: list[DocumentWindows] = []
        self._by_rank = np.zeros(0, dtype=np.int64)
        self._cap: int | None = None
        self._n_held = 0
        self.n_read = 0
        """Tokens of all documents added."""

    @property
    def n_documents(self) -> int:
        """Documents added."""
        return len(self._documents)

    @property
    def is_full(self) -> bool:
        """Whether no further document is needed."""
        return int(self._by_rank[: self._n_a_document].sum()) >= self._n_tokens

    @property
    def n_missing(self) -> int:
        """Tokens that all windows together lack."""
        return max(0, self._n_tokens - self.n_read)

    @property
    def is_enough(self) -> bool:
        """Whether all windows together hold the tokens asked for."""
        return self.n_read >= self._n_tokens

    def add(self, windows: DocumentWindows) -> None:
        """Takes in one more document."""
        self.n_read += len(windows.tokens)
        stored = windows if self._cap is None else windows.first(self._cap)
        lengths = stored.lengths
        missing = max(0, len(lengths) - len(self._by_rank))
        self._by_rank = np.pad(self._by_rank, (0, missing))
        self._by_rank[: len(lengths)] += lengths
        self._hold(stored)
        if self._n_held > 2 * self._n_tokens:
            self._drop_unneeded()

    def chosen(self) -> list[DocumentWindows]:
        """The windows taken, up to the first that reaches the tokens asked for."""
        document = np.repeat(np.arange(self.n_documents), [len(d.lengths) for d in self._documents])
        rank = np.concatenate([np.arange(len(d.lengths)) for d in self._documents])
        lengths = np.concatenate([d.lengths for d in self._documents])
        order = np.lexsort((rank, document, np.maximum(rank, self._n_a_document - 1)))
        last = int(np.searchsorted(np.cumsum(lengths[order]), self._n_tokens))
        counts = np.bincount(document[order[: last + 1]], minlength=self.n_documents)
        return [d.first(n) for d, n in zip(self._documents, counts.tolist(), strict=True) if n]

    def _hold(self, windows: DocumentWindows) -> None:
        self._documents.append(windows)
        self._n_held += len(windows.tokens)

    def _drop_unneeded(self) -> None:
        # More documents can only lower the number of windows needed of each.
        needed = int(np.searchsorted(np.cumsum(self._by_rank), self._n_tokens)) + 1
        self._cap = max(needed, self._n_a_document)
        self._by_rank = self._by_rank[: self._cap]
        groups, self._documents, self._n_held = self._documents, [], 0
        for windows in groups:
            self._hold(windows.first(self._cap))


def cut_document(
    tokens: NDArray[np.int32], *, document: str, source: str, n_ctx: int, seed: int
) -> DocumentWindows:
    """The windows of a document's tokens; the last may be shorter. Needs at least one token."""
    n_windows = -(-len(tokens) // n_ctx)
    rng = np.random.default_rng(derive_seed(seed, "windows", document))
    offsets = spread_order(n_windows, rng) * n_ctx
    lengths = np.minimum(n_ctx, len(tokens) - offsets)
    pieces = [tokens[o : o + n] for o, n in zip(offsets, lengths, strict=True)]
    return DocumentWindows(document, source, offsets, lengths, np.concatenate(pieces))


def spread_order(n: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """0..n-1 in an order whose every beginning is spread evenly over the range.

    Multiples of the golden section from a random start, modulo 1. Each number is equally likely
    in each place.
    """
    # Fewer than 2n multiples reach all n cells: the widest gap of m points is below 2/m.
    points = (rng.random() + np.arange(3 * n) * _GOLDEN) % 1.0
    cells = np.minimum((points * n).astype(np.int64), n - 1)
    _, first = np.unique(cells, return_index=True)
    return cells[np.sort(first)]
