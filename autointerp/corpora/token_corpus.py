"""A corpus as windows of tokens that know their documents and their split."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from autointerp.core.config import CorpusConfig
from autointerp.core.errors import InputError
from autointerp.core.one_line import quoted
from autointerp.core.seeds import derive_seed
from autointerp.core.text import Split, Window
from autointerp.corpora.document_windows import DocumentWindows

_SPLITS = tuple(Split)
MIN_WINDOWS = 4
"""Of each split: fewer are too few to explain from or to score on."""


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
    """SHA-256 over the documents and their splits, as hex."""
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

    def __repr__(self) -> str:
        return (
            f"TokenCorpus({quoted(self.id)}, {self.n_tokens:,} tokens, {self.n_windows:,} windows, "
            f"{len(self.documents):,} documents)"
        )

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
        """The split that a window belongs to."""
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
            raise InputError(
                f"the corpus {self.id} has no document {document_id!r}; "
                "use the document of one of its windows"
            )
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


def split_of_document(document: str, *, seed: int, explain: float, validation: float) -> Split:
    """The split of a document, from its id and the seed alone.

    `explain` and `validation` are shares of documents, 0..1; the rest is held out.
    """
    place = derive_seed(seed, "split", document) / 2**63
    if place < explain:
        return Split.EXPLAIN
    return Split.VALIDATION if place < explain + validation else Split.HELD_OUT


def build_corpus(
    documents: Sequence[DocumentWindows], config: CorpusConfig, *, has_more: bool = False
) -> TokenCorpus:
    """The corpus of those windows, split by document; `has_more` where some were left unread.

    Raises:
        InputError: a split would be too small to explain from or to score on.
    """
    splits = _by_split(documents, config)
    _check_splits(splits, config, has_more=has_more)
    in_order = {s: [document.in_text_order() for document in splits[s]] for s in splits}
    return _assemble(in_order, config)


def fills_splits(documents: Sequence[DocumentWindows], config: CorpusConfig) -> bool:
    """Whether each split has windows enough to explain from or to score on."""
    splits = _by_split(documents, config)
    return all(_n_windows(members) >= MIN_WINDOWS for members in splits.values())


def _by_split(
    documents: Sequence[DocumentWindows], config: CorpusConfig
) -> dict[Split, list[DocumentWindows]]:
    splits = {split: list[DocumentWindows]() for split in Split}
    for document in documents:
        split = split_of_document(
            document.document,
            seed=config.seed,
            explain=config.explain,
            validation=config.validation,
        )
        splits[split].append(document)
    return splits


def _assemble(splits: dict[Split, list[DocumentWindows]], config: CorpusConfig) -> TokenCorpus:
    ordered = [document for members in splits.values() for document in members]
    counts = [len(d.offsets) for d in ordered]
    tokens = np.concatenate([d.tokens for d in ordered])
    lengths = np.concatenate([d.lengths for d in ordered])
    offsets = np.concatenate([d.offsets for d in ordered])
    starts = np.concatenate([[0], np.cumsum(lengths)])
    document_of = np.repeat(np.arange(len(ordered), dtype=np.int32), counts)
    for array in (tokens, starts, offsets, document_of):
        array.setflags(write=False)
    first, second, third = accumulate(_n_windows(members) for members in splits.values())
    ids = tuple(d.document for d in ordered)
    lines = [f"{d.document} {split}" for split, members in splits.items() for d in members]
    return TokenCorpus(
        id=config.corpus,
        hash=_digest(
            tokens.astype("<i4").tobytes(),
            lengths.astype("<i4").tobytes(),
            document_of.astype("<i4").tobytes(),
            " ".join(ids).encode(),
            f"{first} {second} {third} {config.n_ctx}".encode(),
        ),
        split_hash=_digest("\n".join(sorted(lines)).encode()),
        n_ctx=config.n_ctx,
        seed=config.seed,
        tokens=tokens,
        starts=starts,
        offsets=offsets,
        document_of=document_of,
        documents=ids,
        sources={d.document: d.source for d in ordered},
        ends=(first, second, third),
    )


def _check_splits(
    splits: dict[Split, list[DocumentWindows]], config: CorpusConfig, *, has_more: bool
) -> None:
    if all(_n_windows(s) >= MIN_WINDOWS for s in splits.values()):
        return
    result = ", ".join(
        f"{split.replace('_', '-')} {_n_windows(members)} windows of {len(members)} documents"
        for split, members in splits.items()
    )
    n_documents = sum(map(len, splits.values()))
    if has_more:
        advice = "raise n_tokens or lower n_ctx: more documents are there to be read"
    elif n_documents > 1:
        advice = "raise n_tokens, lower n_ctx or use a corpus with more documents"
    else:
        advice = (
            "a document belongs to one split, so divide the file into documents, for example a "
            ".jsonl file with one chapter per line"
        )
    raise InputError(
        f"each split of {config.corpus} needs {MIN_WINDOWS} windows, but "
        f"{config.n_tokens} tokens in windows of {config.n_ctx} give: {result}; "
        f"{advice}"
    )


def _n_windows(documents: Iterable[DocumentWindows]) -> int:
    return sum(len(document.offsets) for document in documents)


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
