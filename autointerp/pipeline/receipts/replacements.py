"""Tokens that take the place of others: some of the same kind, and strangers."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Collection, Sequence

from autointerp.core.records import TokenMeans
from autointerp.core.text import TextTokenizer

_N_NEAR, _N_DRAWN = 200, 400


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
        # Rarest first: neighbours are about as frequent.
        self._by_count = sorted(ids, key=lambda token: (self._counts[token], token))
        self._ranks = [self._counts[token] for token in self._by_count]
        self._tokenizer = tokenizer
        self._random = random.Random(seed)
        self._strangers = self._words(avoided)

    def stranger(self, token: int) -> int | None:
        """A word that has nothing to do with the exemplars; None where there is none."""
        others = [one for one in self._strangers if one != token]
        return self._random.choice(others) if others else None

    def same_kind(self, token: int) -> int | None:
        """Another token of the same form, about as frequent; None where there is none."""
        place = bisect_left(self._ranks, self._counts.get(token, 1))
        near = self._by_count[max(0, place - _N_NEAR // 2) : place + _N_NEAR // 2]
        forms = self._forms(near)
        [own] = self._forms([token])
        alike = [one for one, form in zip(near, forms, strict=True) if form == own and one != token]
        return self._random.choice(alike) if alike else None

    def _words(self, avoided: Collection[int]) -> list[int]:
        # Words that are seen more than once are words; a part of them is enough to draw from.
        common = self._by_count[len(self._by_count) // 2 :]
        drawn = self._random.sample(common, min(_N_DRAWN, len(common)))
        free = [token for token in drawn if token not in avoided]
        forms = self._forms(free)
        for wanted in ((True, "word"), (False, "word")):
            words = [token for token, form in zip(free, forms, strict=True) if form == wanted]
            if len(words) > 1:
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
