"""Documents of sources and their tokens, kept while fewer windows of each may yet be taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import tee

import numpy as np
from numpy.typing import NDArray

from autointerp.core.config import CorpusConfig
from autointerp.core.progress import Progress
from autointerp.core.seeds import derive_seed
from autointerp.core.text import Document, Split, TextTokenizer
from autointerp.corpora.sources import TextSource
from autointerp.corpora.token_corpus import MIN_WINDOWS, split_of_document


class KeptDocuments:
    """Reads sources and tokenizes their text, once, however often a reader begins anew.

    Each document that is taken gives a window at least. So nothing needs to be kept any longer
    when each split has documents enough.
    """

    def __init__(self, tokenizer: TextTokenizer, config: CorpusConfig, progress: Progress) -> None:
        self._tokenizer, self._config, self._progress = tokenizer, config, progress
        self._n_unread = config.n_tokens
        self._again: dict[TextSource, Iterator[Document]] = {}
        self._tokens: dict[str, NDArray[np.int32]] = {}
        self._n_taken = Counter[Split]()
        self._are_kept = True
        progress.start("text", config.n_tokens, "tokens")

    def of(self, source: TextSource) -> Iterator[Document]:
        """The documents of a source, from its beginning."""
        documents = self._again.pop(source, None)
        if documents is None:
            rng = np.random.default_rng(derive_seed(self._config.seed, "documents"))
            documents = source.documents(rng)
        if self._are_kept:
            documents, self._again[source] = tee(documents)
        return documents

    def tokens(self, text: str) -> NDArray[np.int32]:
        """The tokens of a document, or of a part of a long one."""
        known = self._tokens.get(text)
        if known is not None:
            return known
        tokens = np.asarray(self._tokenizer.encode(text), dtype=np.int32)
        n_shown = min(len(tokens), self._n_unread)
        self._n_unread -= n_shown
        self._progress.advance("text", n_shown)
        if self._are_kept:
            self._tokens[text] = tokens
        return tokens

    def begin(self) -> None:
        """No document is taken any more."""
        self._n_taken.clear()

    def take(self, document: str) -> None:
        """A document of this id is taken."""
        config = self._config
        split = split_of_document(
            document, seed=config.seed, explain=config.explain, validation=config.validation
        )
        self._n_taken[split] += 1
        if self._n_taken[split] == MIN_WINDOWS and all(
            self._n_taken[s] >= MIN_WINDOWS for s in Split
        ):
            self._are_kept = False
            self._again.clear()
            self._tokens.clear()
