"""Windows of documents that are too long to be tokenized as a whole.

Such a document is cut at white space before it is tokenized, and only as many parts, spread over
it, go through the tokenizer as the tokens asked for need. Time and memory follow these.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from autointerp.core.seeds import derive_seed
from autointerp.corpora.document_windows import (
    WINDOWS_A_DOCUMENT,
    DocumentWindows,
    cut_document,
    spread_order,
)

LONG_DOCUMENT = 200_000
"""Characters from which on a document is read in parts."""

_PART = 16_384
# How far behind its place a cut looks for white space, which then begins the next part.
_LOOK_AHEAD = 1_024
_BLANK = re.compile(r"(?<=\S)\s")
# More than any part has tokens: it keeps the windows' offsets apart and in order.
_PART_OFFSET = 2**17


def cut_long_document(
    text: str,
    encode: Callable[[str], NDArray[np.int32]],
    *,
    document: str,
    source: str,
    n_ctx: int,
    seed: int,
    n_tokens: int,
) -> DocumentWindows | None:
    """Windows of so many tokens of a document at least, or of all it has; None without any.

    The offset of a window counts every part before its own as 2**17 tokens, since how many there
    are is not known.
    """
    rng = np.random.default_rng(derive_seed(seed, "parts", document))
    parts: list[DocumentWindows] = []
    n_read = 0
    for number in spread_order(-(-len(text) // _PART), rng).tolist():
        if n_read >= n_tokens and len(parts) >= WINDOWS_A_DOCUMENT:
            break
        tokens = encode(_part(text, number))
        if not len(tokens):
            continue
        name = f"{document} {number}"
        part = cut_document(tokens, document=name, source=source, n_ctx=n_ctx, seed=seed)
        part.offsets[:] += number * _PART_OFFSET
        parts.append(part)
        n_read += len(tokens)
    return _in_turn(parts, document, source) if parts else None


def part_at(text: str, offset: int) -> tuple[str, int]:
    """The part of a long document in which a window's offset lies, and its place in that."""
    number, place = divmod(offset, _PART_OFFSET)
    return _part(text, number), place


def _part(text: str, number: int) -> str:
    return text[_cut(text, number) : _cut(text, number + 1)]


def _cut(text: str, number: int) -> int:
    place = number * _PART
    if number == 0 or place >= len(text):
        return min(place, len(text))
    blank = _BLANK.search(text, place, place + _LOOK_AHEAD)
    return blank.start() if blank else place


def _in_turn(parts: list[DocumentWindows], document: str, source: str) -> DocumentWindows:
    """The first window of each part, then the second of each, and so on."""
    ranks = np.concatenate([np.arange(len(part.lengths)) for part in parts])
    order = np.argsort(ranks, kind="stable")
    lengths = np.concatenate([part.lengths for part in parts])
    tokens = np.split(np.concatenate([part.tokens for part in parts]), np.cumsum(lengths)[:-1])
    return DocumentWindows(
        document,
        source,
        np.concatenate([part.offsets for part in parts])[order],
        lengths[order],
        np.concatenate([tokens[i] for i in order]),
    )
