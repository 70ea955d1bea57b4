"""Reading predicted levels out of lists of words, and finding the words' tokens in their texts.

A word stands for every token that holds a part of it. It is looked for as a whole word first and
as a part of words only where it is none, which is also how it is found in writing without
spaces. Listed once it means every place where it stands; listed as often as it stands, each place
in the order of the text; listed any other number of times nothing says which place is meant, and
the window cannot be read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from autointerp.llm import ChatReply
from autointerp.scorers.llm_judge import CUT_OFF
from autointerp.scorers.simulation.levels_reply import UnreadableLevelsError, whole_number

_OPENING = re.compile(r'"windows"\s*:\s*\[')
_BLANK = re.compile(r"\s*")
_DECODER = json.JSONDecoder(strict=False)

Span = tuple[int, int]
"""From the first character to the one behind the last."""


def read_words(
    reply: ChatReply, windows: Sequence[Sequence[str]], *, top: int
) -> list[tuple[float, ...] | str]:
    """For each window a level 0..top per token, or why it cannot be read.

    Read from ``{"windows": [[["word", level], ...], ...]}``. Lists belong to windows by their
    place, so another number of lists fails every window; of a reply that breaks off, the windows
    before the break are read.

    Args:
        reply: of the LLM.
        windows: the tokens of each window as they were shown, in the order of the question.
        top: the greatest level.
    """
    lists, broken = _lists(reply.text)
    if broken is not None and reply.finish_reason == "length":
        broken = CUT_OFF
    n = len(windows)
    if len(lists) > n or (broken is None and len(lists) < n):
        return [f"asked for {n} windows, found {len(lists)}"] * n
    outcomes: list[tuple[float, ...] | str] = []
    for value, tokens in zip(lists, windows, strict=False):
        try:
            outcomes.append(_levels(value, tokens, top))
        except UnreadableLevelsError as error:
            outcomes.append(str(error))
    return outcomes + [broken or ""] * (n - len(lists))


def _lists(text: str) -> tuple[list[object], str | None]:
    """What stands in the last list under "windows", and where it does not end, why."""
    openings = list(_OPENING.finditer(text))
    if not openings:
        return [], f'the reply is not JSON with a list under "windows": {text[:40]!r}'
    result: list[object] = []
    place = _behind_blank(text, openings[-1].end())
    if text.startswith("]", place):
        return result, None
    while True:
        try:
            value, place = _DECODER.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            return result, f"window {len(result) + 1} is not JSON: {error}"
        result.append(value)
        place = _behind_blank(text, place)
        if text.startswith("]", place):
            return result, None
        if not text.startswith(",", place):
            return result, f"the list ends behind window {len(result)}: {text[place:][:40]!r}"
        place = _behind_blank(text, place + 1)


def _behind_blank(text: str, place: int) -> int:
    match = _BLANK.match(text, place)
    return match.end() if match else place


def _levels(value: object, tokens: Sequence[str], top: int) -> tuple[float, ...]:
    text, cores = "".join(tokens), _cores(tokens)
    levels = [0] * len(tokens)
    for word, message in _listed(value, top).items():
        places = _places(word, text, cores)
        if not places:
            msg = f"{word!r:.40} does not stand in the text"
            raise UnreadableLevelsError(msg)
        if len(message) not in {1, len(places)}:
            msg = f"{word!r:.40} stands {len(places)} times and is listed {len(message)} times"
            raise UnreadableLevelsError(msg)
        for i, place in enumerate(places):
            for token in place:
                levels[token] = max(levels[token], message[i % len(message)])
    return tuple(map(float, levels))


def _listed(value: object, top: int) -> dict[str, list[int]]:
    """The levels of each word, in the order of the reply."""
    if not isinstance(value, list):
        msg = f"asked for a list of words, found {value!r:.40}"
        raise UnreadableLevelsError(msg)
    listed: dict[str, list[int]] = {}
    for pair in value:
        if not (isinstance(pair, list) and len(pair) == 2 and isinstance(pair[0], str)):
            msg = f"asked for pairs of word and level, found {pair!r:.40}"
            raise UnreadableLevelsError(msg)
        word = pair[0].strip() or pair[0]
        listed.setdefault(word, []).append(whole_number(pair[1], top, "level"))
    return listed


def _places(word: str, text: str, cores: Sequence[Span]) -> list[list[int]]:
    """The tokens of each place where the word stands, none where it has no token."""
    if not word:
        return []
    before = r"(?<!\w)" if re.match(r"\w", word) else ""
    behind = r"(?!\w)" if re.match(r"\w", word[-1]) else ""
    for pattern in (before + re.escape(word) + behind, re.escape(word)):
        spans = [match.span() for match in re.finditer(pattern, text)]
        result = [_touched(span, cores) for span in spans]
        if any(result):
            return [tokens for tokens in result if tokens]
    return []


def _touched(span: Span, cores: Sequence[Span]) -> list[int]:
    return [i for i, (start, end) in enumerate(cores) if start < span[1] and span[0] < end]


def _cores(tokens: Sequence[str]) -> list[Span]:
    """Where each token stands without the white space around it, which belongs to no word."""
    cores, place = [], 0
    for token in tokens:
        left = len(token) - len(token.lstrip()) if token.strip() else 0
        cores.append((place + left, place + left + len(token.strip() or token)))
        place += len(token)
    return cores
