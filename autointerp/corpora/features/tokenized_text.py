"""A text with the characters of which each of its tokens is made."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.core.characters import character_runs, join_tokens
from autointerp.core.text import TextTokenizer


@dataclass(frozen=True, slots=True, eq=False)
class TokenizedText:
    """A document, or a part of a long one."""

    text: str
    ids: NDArray[np.int32]
    """Vocabulary ids, shape (n_tokens,)."""
    starts: NDArray[np.int64]
    """0-based character with which each token begins, ascending. Tokens that hold parts of one
    character have all of it."""
    ends: NDArray[np.int64]
    """One past the last character of each token."""
    n_ctx: int
    """Tokens a window: a model reads the text in pieces of so many."""
    corpus: str = ""
    """Name of the corpus that it is from, where there are several."""

    @property
    def n_tokens(self) -> int:
        """How many tokens there are."""
        return len(self.ids)

    def tokens_of(self, start: int, end: int) -> range:
        """Positions of the tokens that share a character with ``text[start:end]``.

        White space at the ends of those characters counts only where there is nothing else: many
        tokens begin with the blank before a word.
        """
        inside = self.text[start:end]
        if not inside.isspace():
            start += len(inside) - len(inside.lstrip())
            end -= len(inside) - len(inside.rstrip())
        if end <= start:
            return range(0)
        first = int(np.searchsorted(self.ends, start, side="right"))
        return range(first, int(np.searchsorted(self.starts, end, side="left")))


def tokenized(
    text: str, tokenizer: TextTokenizer, *, n_ctx: int, corpus: str = ""
) -> TokenizedText | None:
    """The text with its tokens; None where these spell another text."""
    ids = tokenizer.encode(text)
    pieces = tokenizer.pieces(ids)
    starts, ends = np.zeros((2, len(ids)), dtype=np.int64)
    parts, n = [], 0
    for run in character_runs(pieces):
        part = join_tokens(pieces[run.start : run.stop])
        starts[run.start : run.stop], ends[run.start : run.stop] = n, n + len(part)
        parts.append(part)
        n += len(part)
    spelled = "".join(parts)
    if spelled != text:
        # SentencePiece puts a blank in front of every text.
        if spelled != f" {text}":
            return None
        starts, ends = np.maximum(starts - 1, 0), np.maximum(ends - 1, 0)
    return TokenizedText(text, np.asarray(ids, dtype=np.int32), starts, ends, n_ctx, corpus)
