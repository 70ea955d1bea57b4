"""The text around a window, from its corpus read again."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from autointerp.core.characters import join_tokens
from autointerp.core.one_line import shortened
from autointerp.core.seeds import derive_seed
from autointerp.core.text import Document, TextTokenizer, document_id
from autointerp.corpora.corpus_loading import valid_text
from autointerp.corpora.long_documents import LONG_DOCUMENT, part_at
from autointerp.corpora.sources import open_source, parse_spec

MOST_CHARACTERS = 200_000_000
"""Of a corpus that are read in search of a document: somebody waits."""


@dataclass(frozen=True, slots=True)
class SoughtWindow:
    """A window of a document, as a record keeps it."""

    corpus: str
    """Spec of the corpus."""
    seed: int
    """Of the order in which documents are read: that of the corpus finds it soonest."""
    document: str
    """`document_id` of its document."""
    source: str
    """Title or path of that; empty where the record, an earlier version's, does not say."""
    offset: int
    """0-based position of its first token in the document."""
    token_ids: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TextAround:
    """What stands before and after a window."""

    before: str
    window: str
    after: str
    n_before: int
    """Tokens of the document before what is shown; of a very long one, of its part."""
    n_after: int


@dataclass(frozen=True, slots=True)
class LostDocument:
    """Why the text around a window cannot be shown."""

    has_changed: bool
    """Whether a text is there, but another one; else nothing is."""
    reason: str


def text_around(
    sought: SoughtWindow,
    tokenizer: TextTokenizer,
    *,
    n_tokens: int = 400,
    most_characters: int = MOST_CHARACTERS,
) -> TextAround | LostDocument:
    """So many tokens before the window and after it, or why not.

    Raises:
        InputError: the corpus cannot be read: it does not exist, or what it needs is missing.
        UpstreamError: the Hugging Face hub could not be reached.
    """
    n_read, has_source = 0, False
    for document in _documents(sought):
        text = valid_text(document.text)
        if document_id(text) == sought.document:
            return _cut(text, sought, tokenizer, n_tokens)
        has_source |= bool(sought.source) and valid_text(document.source) == sought.source
        n_read += len(text)
        if n_read >= most_characters:
            break
    where, name = shortened(sought.corpus), sought.source or sought.document
    if has_source:
        return LostDocument(
            True, f"{shortened(name)} is still in the corpus {where}, but its text is another now"
        )
    if n_read >= most_characters:
        read = f"is not among the first {n_read:,} characters of the corpus {where}"
        return LostDocument(False, f"{shortened(name)} {read}, and no more are read for one window")
    return LostDocument(False, f"{shortened(name)} is not in the corpus {where} any more")


def _documents(sought: SoughtWindow) -> Iterator[Document]:
    for share in parse_spec(sought.corpus):
        rng = np.random.default_rng(derive_seed(sought.seed, "documents"))
        yield from open_source(share.name).documents(rng)


def _cut(
    text: str, sought: SoughtWindow, tokenizer: TextTokenizer, n_tokens: int
) -> TextAround | LostDocument:
    part, offset = (text, sought.offset)
    if len(text) > LONG_DOCUMENT:
        part, offset = part_at(text, offset)
    tokens = tokenizer.encode(part)
    end = offset + len(sought.token_ids)
    if tuple(tokens[offset:end]) != sought.token_ids:
        return LostDocument(
            True,
            f"{shortened(sought.source or sought.document)} is still in the corpus "
            f"{shortened(sought.corpus)}, but other tokens stand where the window was: its spaces "
            "or the tokenizer have changed",
        )
    start, stop = max(0, offset - n_tokens), min(len(tokens), end + n_tokens)
    before, window, after = (
        _joined(tokenizer, tokens[a:b]) for a, b in ((start, offset), (offset, end), (end, stop))
    )
    return TextAround(before, window, after, start, len(tokens) - stop)


def _joined(tokenizer: TextTokenizer, tokens: Sequence[int]) -> str:
    return join_tokens(tokenizer.pieces(tokens))
