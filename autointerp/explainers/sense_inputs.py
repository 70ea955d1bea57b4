"""What the senses explainer shows: excerpts from all bands, cut at words, and silent places."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest

from autointerp.core.characters import whole_characters
from autointerp.core.ids import Side
from autointerp.core.records import ActivationRecord, ExplainSet, band_order, to_levels
from autointerp.core.text import quoted
from autointerp.core.token_bars import barred, in_word, marked, splits_a_word
from autointerp.explainers.excerpts import Extent, clipped, render_active
from autointerp.explainers.explainer import ExplainInputs

_LONGEST_WORD = 8
"""Tokens by which an excerpt is widened at most to hold the whole of a word."""
_MARK, _BEGINNING = "…", "^"
_HIGH = 4
"""Peak of an excerpt from which on its tokens of level 1 tell little."""
_MOST_SILENT, _OF_ONE_TOKEN = 16, 2
_SILENT_BEFORE, _SILENT_BEHIND = 8, 3


def spread_exemplars(records: ExplainSet, n: int) -> tuple[ActivationRecord, ...]:
    """The n activating records to show, strongest first: every other one is of a weaker band.

    The bands take turns from the strongest on. Records below level 1 throughout show nothing.
    """
    strata: dict[str, list[ActivationRecord]] = {}
    for record in records.activating:
        if to_levels([record.peak(records.side)], peak=records.peak)[0]:
            strata.setdefault(record.stratum, []).append(record)
    first, *bands = [strata[name] for name in sorted(strata, key=band_order)] or [[]]
    turns = chain.from_iterable(zip_longest(*bands)) if bands else ()
    mixed = chain.from_iterable(zip_longest(first, (r for r in turns if r is not None)))
    chosen = [record for record in mixed if record is not None][:n]
    return tuple(sorted(chosen, key=lambda record: -record.peak(records.side)))


def render_barred(
    records: Sequence[ActivationRecord], side: Side, peak: float, extent: Extent
) -> str:
    """Numbered excerpts around their peaks, each above its active tokens and their levels."""
    return "\n".join(
        f"{number}: {one.barred}\n{render_active(one.tokens, one.values, peak=peak)}"
        for number, one in enumerate(_excerpts(records, side, extent), 1)
    )


def render_listed(
    records: Sequence[ActivationRecord], side: Side, peak: float, extent: Extent
) -> str:
    """Numbered excerpts around their peaks, with a mark where one begins its text.

    Behind each its active tokens and their levels.
    """
    lines = []
    for number, one in enumerate(_excerpts(records, side, extent), 1):
        active = render_active(one.tokens, one.values, peak=peak).removeprefix("Active: ")
        lines.append(f"{number}: {one.with_beginning} -> {active}")
    return "\n".join(lines)


def render_marked(
    records: Sequence[ActivationRecord], side: Side, peak: float, extent: Extent
) -> str:
    """Numbered excerpts around their peaks, in which active tokens are marked with their levels.

    Where the peak is high, level 1 is left out.
    """
    lines = []
    for number, one in enumerate(_excerpts(records, side, extent), 1):
        levels = to_levels(one.values, peak=peak)
        fewest = 2 if max(levels) >= _HIGH else 1
        text = marked(one.tokens, [level if level >= fewest else 0 for level in levels])
        lines.append(f"{number}: {one.in_marks(text)}")
    return "\n".join(lines)


def render_silent_places(
    inputs: ExplainInputs, shown: Sequence[ActivationRecord], *, beginnings: bool = True
) -> str:
    """Where the tokens on which the excerpts peak stand without being active, a place a line.

    They tell in which contexts a token counts. Beginnings of texts are marked, if wanted.
    """
    records = inputs.records
    side, extent = records.side, Extent(1, _SILENT_BEFORE, _SILENT_BEHIND)
    peaks = [r.token_ids[r.side(side).index(r.peak(side))] for r in shown]
    lines: list[str] = []
    for token in dict.fromkeys(peaks):
        places = (
            (record, place)
            for record in records.records
            for place, other in enumerate(record.token_ids)
            if other == token and not to_levels([record.side(side)[place]], peak=records.peak)[0]
        )
        for record, place in islice(places, _OF_ONE_TOKEN):
            one = excerpt_around(record, record.side(side), place, extent)
            text = one.with_beginning if beginnings else one.barred
            lines.append(f"{quoted(one.tokens[one.place])} in {text}")
    return "\n".join(lines[:_MOST_SILENT]) or "none is known"


def _excerpts(records: Sequence[ActivationRecord], side: Side, extent: Extent) -> Iterator[Excerpt]:
    """The tokens and activations around each peak."""
    for record in records:
        values = record.side(side)
        yield excerpt_around(record, values, values.index(max(values)), extent)


@dataclass(frozen=True, slots=True)
class Excerpt:
    """A part of a record, cut at words."""

    tokens: tuple[str, ...]
    """As they are shown."""
    values: tuple[float, ...]
    place: int
    """0-based, the token that it was cut around."""
    before: str
    """A mark where a word may have been cut off, else nothing."""
    behind: str
    begins: bool
    """Whether nothing of the text that the model read stands before it."""

    @property
    def barred(self) -> str:
        """Its text as a JSON string with bars."""
        return self.in_marks(barred(self.tokens))

    @property
    def with_beginning(self) -> str:
        """The same behind a mark where it begins its text."""
        return f"{_BEGINNING if self.begins else ''}{self.barred}"

    def in_marks(self, text: str) -> str:
        """A JSON string of its text, with a mark on either end that may be within a word."""
        return f'"{self.before}{text[1:-1]}{self.behind}"'


def excerpt_around(
    record: ActivationRecord, values: Sequence[float], place: int, extent: Extent
) -> Excerpt:
    """The tokens around a place with their values."""
    tokens, whole = whole_characters(record.tokens, values)
    here = whole_characters(record.tokens, [float(i == place) for i in range(len(values))])[1]
    middle, begins = here.index(1.0), record.offset == 0
    cut = _cut_at_words(tokens, middle, extent, begins=begins)
    return Excerpt(
        tuple(map(clipped, tokens[cut])),
        whole[cut],
        middle - cut.start,
        before="" if _is_edge(tokens, cut.start, begins=begins) else _MARK,
        behind="" if _is_edge(tokens, cut.stop, begins=False) else _MARK,
        begins=cut.start == 0,
    )


def _cut_at_words(tokens: Sequence[str], place: int, extent: Extent, *, begins: bool) -> slice:
    """The tokens around a place, from the beginning of a word to the end of one if possible."""
    start, stop = max(0, place - extent.before), min(len(tokens), place + extent.after + 1)
    starts = chain(range(start, place + 1), range(start - 1, start - _LONGEST_WORD, -1))
    stops = chain(range(stop, place, -1), range(stop + 1, stop + _LONGEST_WORD))

    def first(places: Iterator[int], otherwise: int) -> int:
        inside = (i for i in places if 0 <= i <= len(tokens))
        return next((i for i in inside if _is_edge(tokens, i, begins=begins)), otherwise)

    return slice(first(starts, start), first(stops, stop))


def _is_edge(tokens: Sequence[str], place: int, *, begins: bool) -> bool:
    """Whether no word goes on across the place before a token.

    At either end of a window one may, but for the beginning of a document.
    """
    if place == 0:
        return begins or not in_word(tokens[0][:1] or " ")
    if place == len(tokens):
        return not in_word(tokens[-1][-1:] or " ")
    return not splits_a_word(tokens[place - 1], tokens[place])
