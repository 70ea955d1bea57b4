"""From the name of a corpus to its windows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Protocol, cast

from pydantic import ValidationError

from autointerp.core.config import CorpusConfig
from autointerp.core.errors import InputError
from autointerp.core.progress import Progress, SilentProgress
from autointerp.core.text import TextTokenizer, document_id
from autointerp.core.unit_spec import shown_value
from autointerp.corpora.document_windows import (
    WINDOWS_A_DOCUMENT,
    DocumentWindows,
    WindowPool,
    cut_document,
)
from autointerp.corpora.kept_documents import KeptDocuments
from autointerp.corpora.long_documents import LONG_DOCUMENT, cut_long_document
from autointerp.corpora.sources import PartialSource, Share, TextSource, open_source, parse_spec
from autointerp.corpora.token_corpus import TokenCorpus, build_corpus, fills_splits

_WINDOWS_A_DOCUMENT = (WINDOWS_A_DOCUMENT, 4, 2, 1)
"""Tried in turn, until each split has windows."""
# Half of a UTF-16 pair; tokenizers refuse text that holds one.
_SURROGATE = re.compile(r"[\ud800-\udfff]")


class HasTokenizer(Protocol):
    """Something that carries a tokenizer: a subject model."""

    @property
    def tokenizer(self) -> TextTokenizer:
        """The tokenizer."""


def load_corpus(  # noqa: PLR0913 - a convenience for notebooks
    spec: str,
    tokenizer: TextTokenizer | HasTokenizer,
    *,
    n_tokens: int = 65_536,
    n_ctx: int = 64,
    seed: int = 0,
    explain: float = 0.5,
    validation: float = 0.1,
    progress: Progress | None = None,
) -> TokenCorpus:
    """Windows of a corpus, split by document.

    Windows never cross a document. A few windows of each document are taken, spread over it,
    and more only when the documents run out, fewer only where a split would else get next to none.
    Copies of a document are read once, and documents without text (empty, null) are passed over. A
    document of more than 200,000 characters is cut at white space, and as much of it tokenized as
    is needed.

    Args:
        spec: ``wiki``, ``python``, a ``.txt``, ``.jsonl``, ``.parquet`` or ``.arrow`` file or a
            folder of them with ``:field`` behind it where that is not ``text``, a folder that
            ``datasets.save_to_disk`` wrote (``FOLDER[:split[:field]]``),
            ``hf:NAME[:split[:field]]``, or a mixture ``wiki=0.7,python=0.3`` with shares of
            tokens. Before a name, ``partial:`` keeps what was read of a source that cannot be
            read to its end.
        tokenizer: a subject model or its tokenizer.
        n_tokens: tokens to read, BOS excluded; the last window may go up to ``n_ctx`` - 1 beyond.
        n_ctx: tokens a window.
        seed: decides the order of documents, the windows taken and the split.
        explain: share of documents that explainers read.
        validation: share of documents that choose among explanations; the rest is held out.
        progress: told how many tokens are read.

    Raises:
        InputError: the corpus cannot be read, or is too small for what was asked.
        UpstreamError: the Hugging Face hub could not be reached.
    """
    config = _checked(
        corpus=spec,
        n_tokens=n_tokens,
        n_ctx=n_ctx,
        seed=seed,
        explain=explain,
        validation=validation,
    )
    return _load(config, tokenizer, progress, None)


def load_corpus_texts(
    config: CorpusConfig,
    tokenizer: TextTokenizer | HasTokenizer,
    *,
    progress: Progress | None = None,
) -> tuple[TokenCorpus, Mapping[str, tuple[str, str]]]:
    """As `load_corpus`, with the text of every document and the source that it was read from.

    Raises:
        InputError, UpstreamError: as `load_corpus`.
    """
    texts: dict[str, tuple[str, str]] = {}
    return _load(config, tokenizer, progress, texts), texts


def _load(
    config: CorpusConfig,
    tokenizer: TextTokenizer | HasTokenizer,
    progress: Progress | None,
    texts: dict[str, tuple[str, str]] | None,
) -> TokenCorpus:
    shares = parse_spec(config.corpus)
    sources = [open_source(share.name) for share in shares]
    goals = [round(goal * config.n_tokens) for goal in accumulate(s.weight for s in shares)]
    named = config.model_copy(update={"corpus": _spelled_out(sources, shares)})
    text_tokenizer, progress = _text_tokenizer(tokenizer), progress or SilentProgress()
    kept = KeptDocuments(text_tokenizer, config, progress)
    for n_windows in _WINDOWS_A_DOCUMENT:
        reader = _Reader(kept, config, n_windows, texts)
        documents = [
            windows
            for source, goal in zip(sources, goals, strict=True)
            for windows in reader.read(source, up_to=goal)
        ]
        # Where the documents ran out, all of them are here already.
        if not reader.left_documents or fills_splits(documents, named):
            break
    for note in reader.notes():
        progress.note(note)
    return build_corpus(documents, named, has_more=reader.left_documents)


class _Reader:
    """Reads sources one after the other; a document that stands in two of them is read once."""

    def __init__(
        self,
        kept: KeptDocuments,
        config: CorpusConfig,
        n_windows: int,
        texts: dict[str, tuple[str, str]] | None,
    ) -> None:
        """Puts the text of each document that is taken, and its source's name, into ``texts``."""
        self._kept, self._config, self._n_windows = kept, config, n_windows
        self._texts = texts
        kept.begin()
        self._seen: set[str] = set()
        self._broken: list[str] = []
        self._n_taken = 0
        self._n_copies = 0
        self._n_empty = 0
        self.left_documents = False
        """Whether a source has documents of which nothing was taken."""

    def notes(self) -> Iterator[str]:
        """What a person should know of how the text was read."""
        if self._n_windows < WINDOWS_A_DOCUMENT:
            are = "1 window of each document is"
            if self._n_windows > 1:
                are = f"{self._n_windows} windows of each document are"
            yield (
                f"{are} taken at most, in place of {WINDOWS_A_DOCUMENT}, so that few tokens give "
                "each split some documents"
            )
        yield from self._broken
        if self._n_empty:
            were = "document was" if self._n_empty == 1 else "documents were"
            yield f"{self._n_empty:,} {were} passed over: without text (empty, null)"

    def read(self, source: TextSource, *, up_to: int) -> list[DocumentWindows]:
        """Windows of a source until ``up_to`` tokens are taken of all sources together."""
        asked = up_to - self._n_taken
        if asked < 1:
            raise InputError(
                f"the share of {source.name} in {self._config.n_tokens} tokens is less than one "
                f"window of {self._config.n_ctx}; raise n_tokens or the weight of {source.name}"
            )
        pool, self._n_copies = WindowPool(asked, self._n_windows), 0
        for document in self._kept.of(source):
            text = valid_text(document.text)
            is_taken = self._add(pool, text, valid_text(document.source))
            if is_taken and self._texts is not None:
                self._texts[document_id(text)] = text, source.name
            if pool.is_full:
                self.left_documents = True
                break
        if isinstance(source, PartialSource) and source.broken:
            self._broken.append(f"{source.broken}; the {pool.n_read:,} tokens read are used")
        else:
            self._check_enough(pool, source.name, asked)
        chosen = pool.chosen()
        self._n_taken += sum(len(windows.tokens) for windows in chosen)
        return chosen

    def _add(self, pool: WindowPool, text: str, source: str) -> bool:
        if not text.strip():
            self._n_empty += 1
            return False
        document = document_id(text)
        if document in self._seen:
            self._n_copies += 1
            return False
        self._seen.add(document)
        windows = self._windows(text, document, source, missing=pool.n_missing)
        if windows is not None:
            pool.add(windows)
            self._kept.take(document)
        return windows is not None

    def _windows(
        self, text: str, document: str, source: str, *, missing: int
    ) -> DocumentWindows | None:
        n_ctx, seed = self._config.n_ctx, self._config.seed
        if len(text) > LONG_DOCUMENT:
            return cut_long_document(
                text,
                self._kept.tokens,
                document=document,
                source=source,
                n_ctx=n_ctx,
                seed=seed,
                n_tokens=missing,
            )
        tokens = self._kept.tokens(text)
        if not len(tokens):
            return None
        return cut_document(tokens, document=document, source=source, n_ctx=n_ctx, seed=seed)

    def _check_enough(self, pool: WindowPool, name: str, asked: int) -> None:
        if pool.is_enough:
            return
        copies = f" and {self._n_copies} copies of documents" if self._n_copies else ""
        if pool.n_documents or copies:
            msg = (
                f"asked for {asked} tokens of {name}, but it has {pool.n_read} in "
                f"{pool.n_documents} documents{copies}; lower n_tokens or use a larger corpus"
            )
        else:
            msg = f"the corpus {name} is empty: no text was found in it; give documents with text"
        raise InputError(msg)


def valid_text(text: str) -> str:
    """The text as tokenizers take it: halves of a surrogate pair are replaced."""
    return _SURROGATE.sub("\ufffd", text)


def _checked(**values: object) -> CorpusConfig:
    try:
        return CorpusConfig.model_validate(values)
    except ValidationError as error:
        result = "; ".join(
            f"{'.'.join(map(str, e['loc']))}: {e['msg']}, found {shown_value(e['input'])}"
            if e["loc"]
            else e["msg"]
            for e in error.errors()
        )
        raise InputError(f"invalid corpus settings: {result}") from error


def _text_tokenizer(tokenizer: TextTokenizer | HasTokenizer) -> TextTokenizer:
    # A tokenizer may wrap another one and have an attribute of that name too.
    result = tokenizer if hasattr(tokenizer, "pieces") else getattr(tokenizer, "tokenizer", None)
    if not hasattr(result, "pieces"):
        raise InputError(
            f"a corpus needs a subject model or its tokenizer, found {type(tokenizer).__name__}; "
            "give what load_subject or wrap_subject returns"
        )
    return cast(TextTokenizer, result)


def _spelled_out(sources: list[TextSource], shares: tuple[Share, ...]) -> str:
    if len(sources) == 1:
        return sources[0].name
    pairs = zip(sources, shares, strict=True)
    return ",".join(f"{source.name}={share.weight:.6g}" for source, share in pairs)
