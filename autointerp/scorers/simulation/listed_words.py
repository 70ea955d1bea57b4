"""Reading replies that name words of several texts, and finding those words in the texts.

A word stands for every token that holds a part of it. It is looked for as a whole word first and
as a part of words only where it is none, which is also how it is found in writing without
spaces. Listed once it means every place where it stands; listed as often as it stands, each place
in the order of the text; listed any other number of times nothing says which place is meant, and
the window cannot be read.

Where bars were shown, a part between them goes before other parts of words, and ``Br|`` or
``|itish``, with the bar beside it, is that part and never a whole word.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from autointerp.core.characters import character_runs, join_tokens
from autointerp.core.text import quoted
from autointerp.core.token_bars import BAR, barred, splits_a_word
from autointerp.llm import ChatReply
from autointerp.llm.answers import CUT_OFF, NoAnswerError, answer_of
from autointerp.llm.json_in_text import strict_json

T = TypeVar("T")
Span = tuple[int, int]
"""From the first character to the one behind the last."""

_OPENING = re.compile(r'"windows"\s*:\s*\[')
_BLANK = re.compile(r"\s*")
_DECODER = json.JSONDecoder(strict=False)


@dataclass(frozen=True, slots=True)
class ShownText:
    """The text of a window as it is sent, so that words are looked for in what was shown."""

    tokens: tuple[str, ...]
    """Those that share a character are one."""
    runs: tuple[range, ...]
    """For each of them the 0-based positions of the window's tokens."""
    with_bars: bool

    @classmethod
    def of(cls, tokens: Sequence[str], *, with_bars: bool = False) -> ShownText:
        """The text of a window's tokens."""
        runs = character_runs(tokens)
        shown = (json.loads(quoted(join_tokens(tokens[r.start : r.stop]))) for r in runs)
        return cls(tuple(shown), runs, with_bars)

    @property
    def text(self) -> str:
        """The text without bars."""
        return "".join(self.tokens)

    @property
    def line(self) -> str:
        """The text as prompts hold it."""
        return barred(self.tokens) if self.with_bars else quoted(self.text)

    def spread(self, values: Sequence[T]) -> tuple[T, ...]:
        """Values of its tokens as values of the window's tokens."""
        return tuple(value for value, run in zip(values, self.runs, strict=True) for _ in run)

    def places(self, word: str, n_listed: int, *, within: str = "") -> list[list[int]]:
        """The tokens of each place that is meant by a word which is listed so often.

        A longer part of the text says which of several places is meant.

        Raises:
            NoAnswerError: it does not stand there, or nothing says which place is meant.
        """
        cores = _cores(self.tokens)
        spans = next(filter(None, (_on_tokens(s, cores) for s in self._spans(word))), [])
        if not spans:
            raise NoAnswerError(f"{word!r:.40} does not stand in the text")
        if within and len(spans) > 1:
            around = self._stretches(within)
            spans = [s for s in spans if any(a <= s[0] and s[1] <= b for a, b in around)]
            if not spans:
                raise NoAnswerError(f"{word!r:.40} does not stand in a part {within!r:.60}")
        if n_listed not in {1, len(spans)}:
            msg = f"{word!r:.40} stands {len(spans)} times and is listed {n_listed} times"
            raise NoAnswerError(msg)
        return [_touched(span, cores) for span in spans]

    def _spans(self, word: str) -> Sequence[list[Span]]:
        """Where a word stands, the most literal reading first."""
        name = self._name(word)
        if not name:
            return []
        text, escaped = self.text, re.escape(name)
        before = r"(?<!\w)" if re.match(r"\w", name) else ""
        behind = r"(?!\w)" if re.match(r"\w", name[-1]) else ""
        whole, anywhere = (
            [match.span() for match in re.finditer(pattern, text)]
            for pattern in (before + escaped + behind, escaped)
        )
        if not self.with_bars:
            return whole, anywhere
        bars = self._bars()
        starts = [match.start() for match in re.finditer(f"(?={escaped})", text)]
        pieces = [(s, s + len(name)) for s in starts if {s, s + len(name)} & bars]
        pieces = [s for s in pieces if all(i in bars or not _within(text, i) for i in s)]
        if name == word:
            return whole, pieces, anywhere
        left, right = word.startswith(BAR), word.endswith(BAR)
        exact = [(s, e) for s, e in pieces if (s in bars) == left and (e in bars) == right]
        return exact, pieces, whole, anywhere

    def _name(self, word: str) -> str:
        """The word without the bars that the text does not hold."""
        known = not self.with_bars or BAR not in word or word in self.text
        return word if known else word.replace(BAR, "")

    def _bars(self) -> set[int]:
        """Characters before which a bar stands."""
        ends = itertools.accumulate(map(len, self.tokens))
        pairs = itertools.pairwise(self.tokens)
        return {end for end, pair in zip(ends, pairs, strict=False) if splits_a_word(*pair)}

    def _stretches(self, part: str) -> list[Span]:
        words = map(re.escape, self._name(part).split())
        return [match.span() for match in re.finditer(r"\s+".join(words), self.text)]


def read_windows(
    reply: ChatReply, texts: Sequence[ShownText], read: Callable[[object, ShownText], T]
) -> list[T | str]:
    """For each text what its list says, or why it cannot be read.

    Read from ``{"windows": [[...], ...]}``. Lists belong to texts by their place, so another
    number of lists fails every text; of a reply that breaks off, the texts before the break are
    read. Reading a list raises `NoAnswerError`.
    """
    try:
        lists, broken = _lists(strict_json(answer_of(reply)))
    except NoAnswerError as error:
        return [str(error)] * len(texts)
    if broken is not None and reply.finish_reason == "length":
        broken = CUT_OFF
    n = len(texts)
    if len(lists) > n or (broken is None and len(lists) < n):
        return [f"asked for {n} windows, found {len(lists)}"] * n
    outcomes: list[T | str] = []
    for value, text in zip(lists, texts, strict=False):
        try:
            outcomes.append(read(value, text))
        except NoAnswerError as error:
            outcomes.append(str(error))
    return outcomes + [broken or ""] * (n - len(lists))


def _lists(text: str) -> tuple[list[object], str | None]:
    """What stands in the last list under "windows", and where it does not end, why."""
    openings = list(_OPENING.finditer(text))
    if not openings:
        return [], f'the reply is not JSON with a list under "windows": {text.strip()[:40]!r}'
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


def _within(text: str, place: int) -> bool:
    """Whether a place is between two characters of a word."""
    return re.fullmatch(r"\w\w", text[max(0, place - 1) : place + 1]) is not None


def _on_tokens(spans: Sequence[Span], cores: Sequence[Span]) -> list[Span]:
    return [span for span in spans if _touched(span, cores)]


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
