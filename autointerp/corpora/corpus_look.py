"""What a corpus holds, before a job reads it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from autointerp.core.config import CorpusConfig
from autointerp.core.errors import InputError
from autointerp.core.seeds import derive_seed
from autointerp.core.text import Document, Split, TextTokenizer, document_id
from autointerp.corpora.file_source import FileSource
from autointerp.corpora.languages import language_of
from autointerp.corpora.sources import TextSource, open_source, parse_spec
from autointerp.corpora.token_corpus import split_of_document

_MOST_CHARACTERS = 4_000_000
"""Read of a source at most."""
_CHARACTERS_A_TOKEN = 64
"""More than tokens of text have: of a long document no more is tokenized."""
BYTES_A_TOKEN = 4.0
"""Of UTF-8, where no tokenizer counts: what those of recent models come to on English prose."""


@dataclass(slots=True)
class SplitLook:
    """One split of what was read."""

    n_documents: int = 0
    n_windows: int = 0
    n_tokens: int = 0


@dataclass(slots=True)
class SourceLook:
    """One source of a corpus."""

    name: str
    """With every part written out."""
    n_documents: int | None
    """Of the whole source, empty ones included; None where it is longer than what was read."""
    n_read: int = 0
    """Documents that were looked at."""
    n_empty: int = 0
    """Of these, without text: empty, blank or null."""
    n_copies: int = 0
    """Of these, the same words as an earlier one's."""
    n_characters: int = 0
    of_last: float = 1.0
    """Share of the last document's characters that was read."""
    splits: dict[Split, SplitLook] = field(default_factory=lambda: {s: SplitLook() for s in Split})
    """Without empty ones and copies."""
    languages: Counter[str] = field(default_factory=Counter)
    """Characters by language or script."""

    @property
    def is_whole(self) -> bool:
        """Whether every document was looked at, to its end."""
        return self.n_read == self.n_documents and self.of_last == 1

    @property
    def n_tokens(self) -> int:
        """Of all that was read."""
        return sum(split.n_tokens for split in self.splits.values())

    @property
    def all_tokens(self) -> int | None:
        """Of the whole source, by what was read of it; None where its length is not known."""
        if self.n_documents is None:
            return None
        return round(self.n_tokens * self.n_documents / max(1e-9, self.n_read - 1 + self.of_last))

    @property
    def shares(self) -> Mapping[str, float]:
        """Share of the characters of each language, the greatest first."""
        total = max(1, self.languages.total())
        return {name: n / total for name, n in self.languages.most_common()}


def look_at_corpus(config: CorpusConfig, tokenizer: TextTokenizer | None) -> tuple[SourceLook, ...]:
    """Each source of a corpus; tokens are estimated from bytes where there is no tokenizer.

    Of a long source the first four million characters in the order of the seed are read.

    Raises:
        InputError: a source cannot be read, or holds no text.
        UpstreamError: the Hugging Face hub could not be reached.
    """
    return tuple(
        _look(open_source(share.name), config, tokenizer) for share in parse_spec(config.corpus)
    )


def some_windows(config: CorpusConfig, tokenizer: TextTokenizer) -> list[list[int]]:
    """Windows of about as many tokens as asked for, at most four of a document.

    Raises:
        InputError: a source cannot be read, or holds no text.
        UpstreamError: the Hugging Face hub could not be reached.
    """
    windows: list[list[int]] = []
    n_ctx, n_tokens = config.n_ctx, 0
    goal = 0.0
    for share in parse_spec(config.corpus):
        goal += share.weight * config.n_tokens
        for document in _documents(open_source(share.name), config):
            if n_tokens >= goal:
                break
            text = document.text[: 4 * n_ctx * _CHARACTERS_A_TOKEN]
            ids = tokenizer.encode(text)[: 4 * n_ctx]
            windows += [ids[start : start + n_ctx] for start in range(0, len(ids), n_ctx)]
            n_tokens += len(ids)
    if not windows:
        raise InputError(f"the corpus {config.corpus} is empty: no text was found in it")
    return windows


def _documents(source: TextSource, config: CorpusConfig) -> Iterator[Document]:
    return source.documents(np.random.default_rng(derive_seed(config.seed, "documents")))


def _look(source: TextSource, config: CorpusConfig, tokenizer: TextTokenizer | None) -> SourceLook:
    known = len(source) if isinstance(source, FileSource) else None
    look, seen = SourceLook(source.name, known), set[str]()
    for document in _documents(source, config):
        if look.n_characters >= _MOST_CHARACTERS:
            break
        look.n_read += 1
        _add(look, document.text, seen, config, tokenizer)
    else:
        look.n_documents = look.n_read
    if not look.n_characters:
        raise InputError(f"the corpus {source.name} is empty: no text was found in it")
    return look


def _add(
    look: SourceLook,
    text: str,
    seen: set[str],
    config: CorpusConfig,
    tokenizer: TextTokenizer | None,
) -> None:
    # A document is known, and its split told, by all of its text.
    document = document_id(text)
    left = _MOST_CHARACTERS - look.n_characters
    look.of_last = min(1.0, left / max(1, len(text)))
    text = text[:left]
    look.n_characters += len(text)
    if not text.strip():
        look.n_empty += 1
        return
    if document in seen:
        look.n_copies += 1
        return
    seen.add(document)
    look.languages[language_of(text)] += len(text)
    if tokenizer is None:
        n_tokens = max(1, round(len(text.encode("utf-8", "replace")) / BYTES_A_TOKEN))
    else:
        n_tokens = len(tokenizer.encode(text))
    name = split_of_document(
        document, seed=config.seed, explain=config.explain, validation=config.validation
    )
    split = look.splits[name]
    split.n_documents += 1
    split.n_tokens += n_tokens
    split.n_windows += -(-n_tokens // config.n_ctx)
