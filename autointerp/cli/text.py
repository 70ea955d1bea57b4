"""Text from models, corpora and files, made harmless before it reaches a terminal."""

from __future__ import annotations

import unicodedata

_NAMED = {"\n": "↵", "\t": "⇥"}
# Control and format characters (escape sequences, text direction), surrogates, unassigned and
# private ones, line and paragraph separators.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"})


def visible(text: str) -> str:
    """The text on one line, every character that a terminal would obey written out."""
    return "".join(_NAMED.get(c) or _written_out(c) for c in text)


def visible_token(token: str) -> str:
    """The same for one token; a token of spaces alone is shown as dots, an empty one as ∅."""
    if not token:
        return "∅"
    if not token.strip(" "):
        return "·" * len(token)
    return visible(token)


def _written_out(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN:
        return character
    return character.encode("unicode_escape").decode("ascii")
