"""Texts in which bars show where one token ends and the next begins within a word.

Numbers have none: their digits mostly are tokens of their own. A bar of the text itself is
written as its JSON escape, so that each ``|`` is one that was set.
"""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Sequence

from autointerp.core.text import quoted

BAR = "|"
_OWN_BAR = "\\u007c"
_PRIVATE_USE = range(0xE000, 0xF900)


def barred(tokens: Sequence[str]) -> str:
    """The text of the tokens as a JSON string with its bars.

    Tokens that share a character are to be put together before, see `core.characters`.
    """
    stand_in = _absent("".join(tokens))
    own = [token.replace(BAR, stand_in) for token in tokens]
    bars = [BAR if _has_bar(a, b) else "" for a, b in itertools.pairwise(tokens)]
    text = "".join(part for pair in itertools.zip_longest(own, bars, fillvalue="") for part in pair)
    return quoted(text).replace(stand_in, _OWN_BAR)


def splits_a_word(left: str, right: str) -> bool:
    """Whether the place between two tokens is within a word or a number."""
    return bool(left and right) and in_word(left[-1]) and in_word(right[0])


def _has_bar(left: str, right: str) -> bool:
    is_number = left[-1:].isdigit() and right[:1].isdigit()
    return splits_a_word(left, right) and not is_number


def in_word(character: str) -> bool:
    """Whether a character is a letter, a mark on one, a digit or an underscore."""
    return character == "_" or unicodedata.category(character)[0] in "LMN"


def _absent(text: str) -> str:
    """A character that is not in the text."""
    there = set(text)
    return next(c for c in map(chr, _PRIVATE_USE) if c not in there)
