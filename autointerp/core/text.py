"""Text as it travels: documents, splits, windows, and what is needed of a tokenizer."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Split(StrEnum):
    """Which side of the document split a text is on. Only the split makes the three sets."""

    EXPLAIN = "explain"
    VALIDATION = "validation"
    HELD_OUT = "held_out"


def document_id(text: str) -> str:
    """16 hex digits that depend on the text's words only, so near-identical texts share them.

    White space is folded and letter case ignored: two copies of one article that differ in
    line breaks are the same document to the split.
    """
    folded = " ".join(text.split()).casefold()
    return hashlib.sha256(folded.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Document:
    """One text of a corpus, before tokenization."""

    text: str
    source: str
    """Where it came from, for people: an article title, a file name with a line number."""


@dataclass(frozen=True, slots=True)
class Window:
    """Consecutive tokens of one document, without BOS or padding."""

    id: int
    """0-based position in the corpus; ids of one split are contiguous."""
    document: str
    """`document_id` of the document."""
    offset: int
    """0-based position of the first token in its document."""
    token_ids: tuple[int, ...]
    """Vocabulary ids, at least one."""
    split: Split


class TextTokenizer(Protocol):
    """What corpora and prompts need of a subject model's tokenizer."""

    @property
    def name(self) -> str:
        """Name and a digest of the vocabulary, for provenance."""
        ...

    @property
    def bos_id(self) -> int | None:
        """Id put before every window, or None where the model takes none."""
        ...

    def encode(self, text: str) -> list[int]:
        """Vocabulary ids of a text, without any special token added."""
        ...

    def pieces(self, token_ids: Sequence[int]) -> tuple[str, ...]:
        """One string per token, leading space kept; joined they give the text.

        A token that holds part of a character is shown with U+FFFD.
        """
        ...
