"""Tokens that take the place of others: some of the same kind, and strangers."""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence

from autointerp.core.records import TokenMeans
from autointerp.core.text import TextTokenizer

_N_DRAWN, _FEWEST = 400, 10
_AT_ONCE = 16
"""Tokens that are looked up at a time: most often one of the first few is of the form."""


class Replacements:
    """Draws replacements from the tokens that were seen in explain text."""

    def __init__(
        self,
        token_means: TokenMeans,
        tokenizer: TextTokenizer,
        *,
        avoided: Collection[int],
        seed: int,
    ) -> None:
        """Draws by the seed; none of the avoided ids, which are the exemplars', is a stranger."""
        ids, _, counts = token_means.columns()
        self._counts = dict(zip(ids, counts, strict=True))
        self._by_count = sorted(ids, key=lambda token: (self._counts[token], token))
        self._ranks = [self._counts[token] for token in self._by_count]
        self._tokenizer = tokenizer
        self._random = random.Random(seed)
        self._strangers = self._words(avoided)

    def strangers(self, tokens: Sequence[int]) -> tuple[int, ...]:
        """As many words that have nothing to do with the exemplars; empty where there are none."""
        free = [word for word in self._strangers if word not in tokens]
        if len(free) >= len(tokens):
            return tuple(self._random.sample(free, len(tokens)))
        return tuple(self._random.choices(free, k=len(tokens))) if free else ()

    def same_kind(self, tokens: Sequence[int]) -> tuple[int, ...]:
        """For each another of the same form, about as frequent; empty where one has none."""
        alike = [self._alike(token) for token in tokens]
        return tuple(token for token in alike if token is not None) if None not in alike else ()

    def _alike(self, token: int) -> int | None:
        count = self._counts.get(token, 1)
        low, high = bisect_left(self._ranks, count / 2), bisect_right(self._ranks, 2 * count)
        near = self._random.sample(self._by_count[low:high], min(_N_DRAWN, high - low))
        [wanted] = self._forms([token])
        for start in range(0, len(near), _AT_ONCE):
            part = near[start : start + _AT_ONCE]
            for other, form in zip(part, self._forms(part), strict=True):
                if form == wanted and other != token:
                    return other
        return None

    def _words(self, avoided: Collection[int]) -> list[int]:
        # Of the more frequent half: the rarest tokens are hardly ever words.
        common = self._by_count[len(self._by_count) // 2 :]
        drawn = self._random.sample(common, min(_N_DRAWN, len(common)))
        free = [token for token in drawn if token not in avoided]
        forms = self._forms(free)
        for wanted in ((True, "word"), (False, "word")):
            words = [token for token, form in zip(free, forms, strict=True) if form == wanted]
            if len(words) >= _FEWEST:
                return words
        return free

    def _forms(self, tokens: Sequence[int]) -> list[tuple[bool, str]]:
        return [_form(piece) for piece in self._tokenizer.pieces(tokens)]


def _form(piece: str) -> tuple[bool, str]:
    """(whether a space is in front, what it is made of)."""
    body = piece.strip()
    if body.isdigit():
        kind = "number"
    elif body.isalpha():
        kind = "name" if body[:1].isupper() else "word"
    else:
        kind = "sign"
    return piece[:1].isspace(), kind
