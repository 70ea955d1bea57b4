"""Tokens in a row with how active each is, on one scale from 0 to the unit's peak."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from html import escape
from itertools import groupby

from markupsafe import Markup

from autointerp.core.characters import character_runs, join_tokens
from autointerp.core.records import MAX_LEVEL

_BEFORE, _TOKENS = 11, 16
_SHOWN = {"\n": "↵", "\t": "⇥", "\r": "␍"}
_OPENINGS = ("<i>", *(f"<i class=a{level}>" for level in range(1, MAX_LEVEL + 1)))
_AT_PEAK = ("<i class=peak>", *(f'<i class="a{n} peak">' for n in range(1, MAX_LEVEL + 1)))
_END = "</i>"
_SPANS = ("<span class=out>", "<span>", "<span class=behind>", '<span class="out behind">')


@dataclass(frozen=True, slots=True)
class WindowRows:
    """A window as a page shows it: what is real, and what is predicted where it is.

    A row is made of ``span``: those of class ``out`` are none of the sixteen tokens around the
    peak, those of class ``behind`` stand behind it, where a causal model has not read them yet. In
    them is an ``i`` a token, or for several that share a character, with its level as a class.
    """

    real: Markup
    predicted: Markup
    """Empty where nothing is. An ``i`` may be several tokens, ``data-n`` of them."""
    facts: Mapping[str, str]
    """By attribute, a value for each ``i`` of the real row: ``ids``, ``real``, ``predicted``;
    ``first``, the position of the first in its document; and ``window``, its number."""


@dataclass(frozen=True, slots=True)
class WindowTokens:
    """A window as its rows are made from it."""

    tokens: Sequence[str]
    token_ids: Sequence[int]
    offset: int
    """0-based position of the first token in its document."""
    real: Sequence[float]
    """Activation of the side, model units."""
    predicted: Sequence[float] | None = None
    window: int | None = None
    """Id of the window in its corpus, where that can be asked for."""

    def rows(self, *, peak: float) -> WindowRows:
        """Its rows, on one scale from 0 to the peak; levels are rounded to the nearest."""
        runs = character_runs(self.tokens)
        texts, ids = self.tokens, [str(token) for token in self.token_ids]
        real, predicted = self.real, self.predicted
        if len(runs) < len(texts):
            texts = [join_tokens(self.tokens[run.start : run.stop]) for run in runs]
            ids = ["+".join(ids[run.start : run.stop]) for run in runs]
            real = _of_runs(real, runs)
            predicted = None if predicted is None else _of_runs(predicted, runs)
        # What is shown has so many tokens, however many of them share a character.
        guide = self.real if self.predicted is None or any(self.real) else self.predicted
        at = max(range(len(guide)), key=guide.__getitem__, default=0)
        start = max(0, min(at - _BEFORE, len(self.real) - _TOKENS))
        ends = (
            next((i for i, run in enumerate(runs) if run.stop > place), len(runs))
            for place in (start, at + 1, start + _TOKENS)
        )
        cells = _Cells([_escaped(text) for text in texts], tuple(ends), _level_of(peak))
        facts = {"first": str(self.offset), "ids": ",".join(ids), "real": _values(real)}
        if predicted is not None:
            facts["predicted"] = _values(predicted, 2)
        if self.window is not None:
            facts["window"] = str(self.window)
        peak_at = next((i for i, run in enumerate(runs) if at in run), 0)
        return WindowRows(
            cells.row(real, peak_at, merged=False),
            cells.row(predicted or (), peak_at, merged=True),
            facts,
        )


@dataclass(frozen=True, slots=True)
class _Cells:
    texts: Sequence[str]
    ends: tuple[int, ...]
    """Where the tokens around the peak begin, where those behind it do, and where they end."""
    per_level: float

    def row(self, values: Sequence[float], peak_at: int, *, merged: bool) -> Markup:
        """One ``i`` a token; merged, one for all in a row that have one level, which counts them.

        That halves the size of a predicted row, above which stands the real one with each token.
        """
        if not values:
            return Markup()
        scale, most = self.per_level, MAX_LEVEL
        levels = [min(most, round(scale * v)) if v > 0 else 0 for v in values]
        cells = [f"{_OPENINGS[n]}{text}{_END}" for n, text in zip(levels, self.texts, strict=True)]
        cells[peak_at] = f"{_AT_PEAK[levels[peak_at]]}{self.texts[peak_at]}{_END}"
        first, behind, last = self.ends
        runs = ((0, first), (first, behind), (behind, last), (last, len(cells)))
        if merged:
            kinds = [level if place != peak_at else -1 for place, level in enumerate(levels)]
            parts = [self._merged(cells, kinds, a, b) for a, b in runs]
        else:
            parts = ["".join(cells[a:b]) for a, b in runs]
        spans = zip(_SPANS, parts, strict=True)
        # Everything in it is escaped, or made here.
        return Markup("".join([f"{opening}{part}</span>" for opening, part in spans if part]))  # noqa: S704

    def _merged(self, cells: list[str], kinds: list[int], first: int, last: int) -> str:
        parts = []
        for kind, group in groupby(range(first, last), key=kinds.__getitem__):
            own = list(group)
            if len(own) == 1:
                parts.append(cells[own[0]])
                continue
            opening, text = _OPENINGS[kind][:-1], "".join(self.texts[own[0] : own[-1] + 1])
            parts.append(f"{opening} data-n={len(own)}>{text}{_END}")
        return "".join(parts)


def _level_of(peak: float) -> float:
    return MAX_LEVEL / peak if peak > 0 else 0.0


def _of_runs(values: Sequence[float], runs: Sequence[range]) -> list[float]:
    return [max(values[run.start : run.stop]) for run in runs]


def _values(values: Sequence[float], digits: int = 3) -> str:
    return ",".join([f"{value:.{digits}g}" if value else "0" for value in values])


@lru_cache(1 << 15)
def _escaped(text: str) -> str:
    return escape(shown_text(text))


def shown_text(text: str) -> str:
    """What stands for a token on a page: nothing invisible, nothing that changes the direction."""
    if text and not text.strip(" "):
        return "·" * len(text)
    return text if text.isprintable() else "".join(map(_visible, text))


def _visible(character: str) -> str:
    if character in _SHOWN:
        return _SHOWN[character]
    if unicodedata.category(character) in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}:
        # The joiner of emoji is kept: without it they fall into parts.
        return character if character == "\u200d" else f"\\u{ord(character):04x}"
    return character
