"""How a scripted LLM that has a level for every token lists the active words of a text.

A word is as active as its most active token. One that stands several times is listed once where
it is equally active everywhere, and else each time.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Sequence
from typing import Protocol

__all__ = ["active_words", "listed_words"]

_WORD = re.compile(r"\w+|[^\w\s]|\s")
_TEXT = re.compile(r"^\d+: (\".*\")$", re.MULTILINE)


class _Judge(Protocol):
    @property
    def split(self) -> Callable[[str], Sequence[str]]: ...

    def opinions(self, explanation: str, tokens: Sequence[str], kind: str) -> list[list[int]]: ...


def active_words(llm: _Judge, asked: str, _about: str) -> str:
    """The reply to a question for the active words of numbered texts."""
    explanation = re.findall(r"^Neuron: (.*)$", asked, re.MULTILINE)[0]
    windows = []
    for text in map(json.loads, _TEXT.findall(asked)):
        tokens = llm.split(text)
        windows.append(listed_words(tokens, llm.opinions(explanation, tokens, "levels")[0]))
    return json.dumps({"windows": windows}, ensure_ascii=False)


def listed_words(tokens: Sequence[str], levels: Sequence[int]) -> list[tuple[str, int]]:
    """Pairs of word and level, in the order in which the words first stand."""
    ends = list(itertools.accumulate(map(len, tokens), initial=0))
    words: dict[str, list[int]] = {}
    for match in _WORD.finditer("".join(tokens)):
        own = [
            level
            for token, level, start, end in zip(tokens, levels, ends, ends[1:], strict=False)
            if start < match.end() and match.start() < end
            # White space in front of a word is no word of its own.
            if match[0].strip() or not token.strip()
        ]
        if own:
            words.setdefault(match[0], []).append(max(own))
    listed = []
    for word, said in words.items():
        if any(said):
            listed += [(word, level) for level in (said if len(set(said)) > 1 else said[:1])]
    return listed
