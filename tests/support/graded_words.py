"""How a scripted LLM that has a level for every token lists the active words of a text.

It names what an active token holds of a word, or the word where that could be misunderstood. What
stands several times is listed once where it is equally active everywhere, and else each time.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

_WORD = re.compile(r"\w+")
_TEXT = re.compile(r"^\d+: (\".*\")$", re.MULTILINE)


class _Judge(Protocol):
    @property
    def split(self) -> Callable[[str], Sequence[str]]: ...

    def opinions(self, explanation: str, tokens: Sequence[str], kind: str) -> list[list[int]]: ...


def active_words(llm: _Judge, asked: str, _about: str) -> str:
    """The reply to a question for the active words of numbered texts."""
    explanation = re.findall(r"^Neuron: (.*)$", asked, re.MULTILINE)[0]
    windows = []
    for line in _TEXT.findall(asked):
        tokens = llm.split(json.loads(line.replace("|", "")))
        windows.append(listed_words(tokens, llm.opinions(explanation, tokens, "levels")[0]))
    return json.dumps({"windows": windows}, ensure_ascii=False)


def sense_places(llm: _Judge, asked: str, _about: str) -> str:
    """The reply to a question for the places of numbered patterns."""
    patterns = re.findall(r"^Pattern \d+: (.*)$", asked, re.MULTILINE)
    windows = []
    for line in _TEXT.findall(asked):
        tokens = llm.split(json.loads(line.replace("|", "")))
        windows.append(
            [
                (word, number, strength)
                for number, pattern in enumerate(patterns, 1)
                for word, strength in listed_words(
                    tokens, llm.opinions(pattern, tokens, "levels")[0]
                )
            ]
        )
    return json.dumps({"windows": windows}, ensure_ascii=False)


def listed_words(tokens: Sequence[str], levels: Sequence[int]) -> list[tuple[str, int]]:
    """Pairs of word, or part of one, and level, in the order of the text."""
    text, spans = "".join(tokens), _spans(tokens)
    names: dict[str, list[list[int]]] = {}
    for token, (start, end) in enumerate(spans):
        if not levels[token]:
            continue
        places = _places(text[start:end], text, spans)
        if any(token in place for place in places):
            names[text[start:end]] = places
            continue
        # As a part it would be taken for the same string where it stands alone.
        word = next(w[0] for w in _WORD.finditer(text) if w.start() < end and start < w.end())
        names[word] = _places(word, text, spans)
    listed = []
    for name, places in names.items():
        said = [max(levels[token] for token in place) for place in places]
        listed += [(name, level) for level in (said if len(set(said)) > 1 else said[:1])]
    return listed


def _spans(tokens: Sequence[str]) -> list[tuple[int, int]]:
    """Where tokens stand without the white space around them."""
    ends = itertools.accumulate(map(len, tokens), initial=0)
    cores = [token.strip() or token for token in tokens]
    return [
        (start + token.index(core), start + token.index(core) + len(core))
        for start, token, core in zip(ends, tokens, cores, strict=False)
    ]


def _places(name: str, text: str, spans: Sequence[tuple[int, int]]) -> list[list[int]]:
    """Tokens of each place where the name stands alone or, where it never does, within words."""
    found = [(at, at + len(name)) for at in _starts(name, text)]
    alone = [span for span in found if not _within_a_word(text, *span)]
    for some in (alone, found):
        places = [[i for i, (s, e) in enumerate(spans) if s < b and a < e] for a, b in some]
        if any(places):
            return [place for place in places if place]
    return []


def _starts(name: str, text: str) -> Iterator[int]:
    at = text.find(name)
    while at >= 0:
        yield at
        at = text.find(name, at + len(name))


def _within_a_word(text: str, start: int, end: int) -> bool:
    around = text[max(0, start - 1) : start + 1], text[end - 1 : end + 1]
    return any(len(pair) == 2 and re.fullmatch(r"\w\w", pair) for pair in around)
