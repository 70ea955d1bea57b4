"""Documents' windows put together into a corpus."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import accumulate

import numpy as np

from autointerp.core.config import CorpusConfig
from autointerp.core.errors import InputError
from autointerp.core.text import Split
from autointerp.corpora.corpus import TokenCorpus
from autointerp.corpora.split import split_of_document
from autointerp.corpora.windows import DocumentWindows

_MIN_WINDOWS = 4


def build_corpus(documents: Sequence[DocumentWindows], config: CorpusConfig) -> TokenCorpus:
    """The corpus of those windows, split by document.

    Raises:
        InputError: a split would be too small to explain from or to score on.
    """
    sides = {split: list[DocumentWindows]() for split in Split}
    for document in documents:
        split = split_of_document(
            document.document,
            seed=config.seed,
            explain=config.explain,
            validation=config.validation,
        )
        sides[split].append(document.in_text_order())
    _check_sides(sides, config)
    return _assemble(sides, config)


def _assemble(sides: dict[Split, list[DocumentWindows]], config: CorpusConfig) -> TokenCorpus:
    ordered = [document for side in sides.values() for document in side]
    counts = [len(d.offsets) for d in ordered]
    tokens = np.concatenate([d.tokens for d in ordered])
    lengths = np.concatenate([d.lengths for d in ordered])
    offsets = np.concatenate([d.offsets for d in ordered])
    starts = np.concatenate([[0], np.cumsum(lengths)])
    document_of = np.repeat(np.arange(len(ordered), dtype=np.int32), counts)
    for array in (tokens, starts, offsets, document_of):
        array.setflags(write=False)
    first, second, third = accumulate(_n_windows(side) for side in sides.values())
    ids = tuple(d.document for d in ordered)
    lines = [f"{d.document} {split}" for split, side in sides.items() for d in side]
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


def _check_sides(sides: dict[Split, list[DocumentWindows]], config: CorpusConfig) -> None:
    if all(_n_windows(s) >= _MIN_WINDOWS for s in sides.values()):
        return
    found = ", ".join(
        f"{split.replace('_', '-')} {_n_windows(side)} windows of {len(side)} documents"
        for split, side in sides.items()
    )
    msg = (
        f"each split of {config.corpus} needs {_MIN_WINDOWS} windows, but "
        f"{config.n_tokens} tokens in windows of {config.n_ctx} give: {found}; "
        "raise n_tokens, lower n_ctx or use a corpus with more documents"
    )
    raise InputError(msg)


def _n_windows(side: Iterable[DocumentWindows]) -> int:
    return sum(len(document.offsets) for document in side)


def _digest(*parts: bytes) -> str:
    digest = hashlib.sha256()
    for part in parts:
        digest.update(len(part).to_bytes(8, "big"))
        digest.update(part)
    return digest.hexdigest()
