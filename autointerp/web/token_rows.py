"""Tokens in a row with how active each is, on one scale from 0 to the unit's peak."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from autointerp.core.characters import character_runs, join_tokens
from autointerp.core.records import MAX_LEVEL

_BEFORE, _TOKENS = 11, 16
_SHOWN = {"\n": "↵", "\t": "⇥", "\r": "␍"}


@dataclass(frozen=True, slots=True)
class Cell:
    """One token, or several that share a character."""

    text: str
    """As it is shown: a line break as ↵, a lone space as a dot."""
    level: int
    """0..10 of the peak, rounded to the nearest."""
    is_peak: bool


@dataclass(frozen=True, slots=True)
class Segment:
    """Cells in a row that are shown alike."""

    classes: str
    """``out`` where they are none of the sixteen tokens around the peak, ``behind`` where they
    stand behind it, so that a causal model has not read them there."""
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class WindowRows:
    """A window as a page shows it: what is real, and what is predicted where it is."""

    real: tuple[Segment, ...]
    predicted: tuple[Segment, ...]
    """Empty where nothing is."""
    facts: Mapping[str, str]
    """By attribute, a value for each cell: ``ids``, ``real``, ``predicted``; and ``first``, the
    position of the first in its document."""


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

    def rows(self, *, peak: float) -> WindowRows:
        """Its rows, on one scale from 0 to the peak."""
        runs = character_runs(self.tokens)
        facts = {
            "first": str(self.offset),
            "ids": ",".join("+".join(str(self.token_ids[i]) for i in run) for run in runs),
            "real": _values(self.real, runs),
        }
        predicted: tuple[Segment, ...] = ()
        if self.predicted is not None:
            facts["predicted"] = _values(self.predicted, runs)
            predicted = self._segments(self.predicted, runs, peak)
        return WindowRows(self._segments(self.real, runs, peak), predicted, facts)

    def _segments(
        self, values: Sequence[float], runs: Sequence[range], peak: float
    ) -> tuple[Segment, ...]:
        at = max(range(len(self.real)), key=self.real.__getitem__, default=0)
        start = max(0, min(at - _BEFORE, len(self.real) - _TOKENS))

        def classes(run: range) -> str:
            is_out = run.stop <= start or run.start >= start + _TOKENS
            return " ".join(["out"] * is_out + ["behind"] * (run.start > at))

        return tuple(
            Segment(name, tuple(self._cell(run, values, at, peak) for run in group))
            for name, group in groupby(runs, key=classes)
        )

    def _cell(self, run: range, values: Sequence[float], at: int, peak: float) -> Cell:
        # Nearly every run is one token.
        value = values[run.start] if len(run) == 1 else max(values[run.start : run.stop])
        fraction = min(1.0, max(0.0, value) / peak) if peak > 0 else 0.0
        text = shown_text(join_tokens(self.tokens[run.start : run.stop]))
        return Cell(text, round(MAX_LEVEL * fraction), at in run)


def _values(values: Sequence[float], runs: Sequence[range]) -> str:
    return ",".join(f"{max(values[run.start : run.stop]):.3g}" for run in runs)


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
