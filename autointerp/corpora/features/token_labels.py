"""Which tokens of a text carry a feature, from the characters that do."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from autointerp.corpora.features.tokenized_text import TokenizedText

IGNORED, NEGATIVE, POSITIVE, HARD = -1, 0, 1, 2
"""Of a token: no class, the feature is not there, it is there, and not there where it nearly is."""

Span = tuple[int, int] | tuple[int, int, int]
"""A half-open range of characters of a text, and the character with which begins what makes it so
where that is before the range."""
Spans = Iterable[Span]


@dataclass(frozen=True, slots=True, eq=False)
class TokenLabels:
    """The classes of a text's tokens."""

    classes: NDArray[np.int8]
    """`IGNORED`, `NEGATIVE`, `POSITIVE` or `HARD` of each token, shape (n_tokens,)."""
    begins: NDArray[np.int64]
    """Position of the first token of what makes each token's class; its own where nothing does."""

    def seen_in_windows(self, n_ctx: int) -> NDArray[np.int8]:
        """The classes in windows of so many tokens from the text's beginning.

        What begins in an earlier window cannot be told in a later one, so that the later tokens
        of a span across windows have no class.
        """
        windows = np.arange(len(self.classes)) // n_ctx
        return np.where(self.begins // n_ctx < windows, np.int8(IGNORED), self.classes)


def unlabelled(text: TokenizedText, value: int) -> TokenLabels:
    """Labels that are all the same, without spans."""
    n = text.n_tokens
    return TokenLabels(np.full(n, value, dtype=np.int8), np.arange(n))


def labels_of_spans(
    text: TokenizedText,
    *,
    positive: Spans,
    hard: Spans = (),
    ignored: Spans = (),
    at_end: bool = False,
) -> TokenLabels:
    """The labels of spans of characters; where they overlap, positive goes before ignored, hard.

    With ``at_end`` only the last token of a span has its class, and the others none: what the
    span is can be told no sooner.
    """
    labels = unlabelled(text, NEGATIVE)
    for spans, value in ((hard, HARD), (ignored, IGNORED), (positive, POSITIVE)):
        for start, end, *before in spans:
            tokens = text.tokens_of(start, end)
            if not tokens:
                continue
            every = slice(tokens.start, tokens.stop)
            first = [text.tokens_of(place, place + 1).start for place in before]
            labels.begins[every] = min([tokens.start, *first])
            labels.classes[every] = IGNORED if at_end else value
            labels.classes[tokens[-1]] = value
    # A token of no character stands nowhere.
    labels.classes[text.starts == text.ends] = IGNORED
    return labels
