"""A corpus as windows of tokens that know their documents and their side of the split."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.core.errors import InputError
from autointerp.core.text import Split, Window

_SPLITS = tuple(Split)


@dataclass(frozen=True, slots=True, eq=False)
class TokenCorpus:
    """Windows of tokens: explain windows first, then validation, then held-out ones.

    Windows are numbered from 0. BOS is not part of a window.
    """

    id: str
    """The spec that loads it again, every part written out."""
    hash: str
    """SHA-256 over tokens, lengths, document ids, split and window size, as hex."""
    split_hash: str
    """SHA-256 over the documents and their sides, as hex."""
    n_ctx: int
    """Tokens a window at most."""
    seed: int
    tokens: NDArray[np.int32]
    """Vocabulary ids of all windows, one after the other, shape (n_tokens,)."""
    starts: NDArray[np.int64]
    """Where each window starts in `tokens`, and their number at the end, shape (n_windows + 1,)."""
    offsets: NDArray[np.int64]
    """0-based position of each window's first token in its document, shape (n_windows,)."""
    document_of: NDArray[np.int32]
    """Position in `documents` of each window's document, shape (n_windows,)."""
    documents: tuple[str, ...]
    """`document_id` of each document, in the order of their windows."""
    sources: Mapping[str, str]
    """Where each document came from: a title, a path; by document id."""
    ends: tuple[int, int, int]
    """One past the last window id of each split."""

    @property
    def n_tokens(self) -> int:
        """Tokens of all windows."""
        return len(self.tokens)

    @property
    def n_windows(self) -> int:
        """Windows of all splits."""
        return len(self.offsets)

    def __len__(self) -> int:
        return self.n_windows

    def __getitem__(self, window_id: int) -> Window:
        self._check(window_id)
        start, stop = self.starts[window_id], self.starts[window_id + 1]
        return Window(
            id=int(window_id),
            document=self.documents[self.document_of[window_id]],
            offset=int(self.offsets[window_id]),
            token_ids=tuple(self.tokens[start:stop].tolist()),
            split=self.split_of(window_id),
        )

    def __iter__(self) -> Iterator[Window]:
        return (self[i] for i in range(self.n_windows))

    def window_ids(self, split: Split) -> range:
        """Ids of the windows of a split."""
        i = _SPLITS.index(split)
        return range(self.ends[i - 1] if i else 0, self.ends[i])

    def split_of(self, window_id: int) -> Split:
        """The side of a window."""
        self._check(window_id)
        return _SPLITS[bisect_right(self.ends, window_id)]

    def n_documents(self, split: Split) -> int:
        """Documents of a split."""
        ids = self.window_ids(split)
        return len(np.unique(self.document_of[ids.start : ids.stop]))

    def source(self, document_id: str) -> str:
        """Where a document came from, for people.

        Raises:
            InputError: the corpus has no such document.
        """
        if document_id not in self.sources:
            msg = (
                f"the corpus {self.id} has no document {document_id!r}; "
                "use the document of one of its windows"
            )
            raise InputError(msg)
        return self.sources[document_id]

    def batch(self, ids: Sequence[int]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """Tokens, shape (len(ids), n_ctx), zero where a window has ended, and their lengths."""
        wanted = np.asarray(ids, dtype=np.int64).reshape(-1)
        for edge in (wanted.min(), wanted.max()) if len(wanted) else ():
            self._check(int(edge))
        starts = self.starts[wanted]
        lengths = (self.starts[wanted + 1] - starts).astype(np.int32)
        positions = np.arange(self.n_ctx)
        inside = positions < lengths[:, None]
        tokens = np.zeros(inside.shape, dtype=np.int32)
        tokens[inside] = self.tokens[(starts[:, None] + positions)[inside]]
        return tokens, lengths

    def _check(self, window_id: int) -> None:
        if not 0 <= window_id < self.n_windows:
            msg = f"window {window_id} is not among the {self.n_windows} windows of {self.id}"
            raise IndexError(msg)
