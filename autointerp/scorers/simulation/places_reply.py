"""Reading where patterns apply, out of a reply that lists words with the numbers of patterns."""

from __future__ import annotations

from collections.abc import Sequence

from autointerp.core.records import MAX_LEVEL
from autointerp.llm import ChatReply
from autointerp.llm.answers import NoAnswerError
from autointerp.scorers.simulation.levels_reply import whole_number
from autointerp.scorers.simulation.listed_words import ShownText, read_windows

Strengths = tuple[tuple[float, ...], ...]
"""How well each of some patterns applies, from 0 to 1, shape (n_tokens, n_patterns)."""


def read_places(
    reply: ChatReply, texts: Sequence[ShownText], n_patterns: int, *, with_strengths: bool
) -> list[Strengths | str]:
    """For each text the strength of each pattern at every token of its window, or why it has none.

    Read from ``{"windows": [[["word", pattern, strength], ...], ...]}``, see `read_windows`; the
    strength and a part of the text that says which place is meant may stand behind.
    """

    def read(value: object, text: ShownText) -> Strengths:
        rows = [[0.0] * n_patterns for _ in text.tokens]
        for (word, pattern, within), strengths in _listed(value, n_patterns).items():
            places = text.places(word, len(strengths), within=within)
            for i, place in enumerate(places):
                level = strengths[i % len(strengths)]
                strength = level / MAX_LEVEL if with_strengths else float(level > 0)
                for token in place:
                    rows[token][pattern] = max(rows[token][pattern], strength)
        return text.spread([tuple(row) for row in rows])

    return read_windows(reply, texts, read)


def _listed(value: object, n_patterns: int) -> dict[tuple[str, int, str], list[int]]:
    """The strengths of each word, 0-based pattern and part of the text, in the reply's order."""
    if not isinstance(value, list):
        raise NoAnswerError(f"asked for a list of words, found {value!r:.40}")
    listed: dict[tuple[str, int, str], list[int]] = {}
    for entry in value:
        if not (isinstance(entry, list) and len(entry) > 1 and isinstance(entry[0], str)):
            raise NoAnswerError(f"asked for pairs of word and pattern, found {entry!r:.40}")
        word, pattern, *rest = entry
        within = rest.pop() if rest and isinstance(rest[-1], str) else ""
        if len(rest) > 1:
            raise NoAnswerError(f"asked for pairs of word and pattern, found {entry!r:.40}")
        strength = whole_number(rest[0], MAX_LEVEL, "strength") if rest else MAX_LEVEL
        number = whole_number(pattern, n_patterns, "pattern")
        if not number:
            raise NoAnswerError(f"there is no pattern 0: {entry!r:.40}")
        key = (word.strip() or word, number - 1, within)
        listed.setdefault(key, []).append(strength)
    return listed
