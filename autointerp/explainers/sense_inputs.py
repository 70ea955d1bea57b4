"""What the senses explainer shows: excerpts from all bands, cut at words, and a table of tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, islice, zip_longest

from autointerp.core.characters import whole_characters
from autointerp.core.ids import Side
from autointerp.core.records import MAX_LEVEL, ActivationRecord, ExplainSet, band_order, to_levels
from autointerp.core.text import quoted
from autointerp.core.token_bars import barred, in_word, marked, splits_a_word
from autointerp.explainers.excerpts import Extent, clipped, render_active
from autointerp.explainers.explainer import ExplainInputs
from autointerp.explainers.token_lookup import (
    find_rules,
    pair_rules,
    shrunk_mean,
    telling_tokens,
)

_LONGEST_WORD = 8
"""Tokens by which an excerpt is widened at most to hold the whole of a word."""
_MARK = "…"
_HIGH = 4
"""Peak of an excerpt from which on its tokens of level 1 tell little."""
_MOST_TOKENS, _MOST_TELLING = 30, 20
_WIDE_TOKENS, _WIDE_TELLING = 60, 48
_WIDE_PAIRS, _PAIR_SHARE = 16, 0.15
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
    blocks = []
    for number, (shown, values, before, behind) in enumerate(_excerpts(records, side, extent), 1):
        active = render_active(shown, values, peak=peak)
        blocks.append(f'{number}: "{before}{barred(shown)[1:-1]}{behind}"\n{active}')
    return "\n".join(blocks)


def render_marked(
    records: Sequence[ActivationRecord], side: Side, peak: float, extent: Extent
) -> str:
    """Numbered excerpts around their peaks, in which active tokens are marked with their levels.

    Where the peak is high, level 1 is left out.
    """
    lines = []
    for number, (shown, values, before, behind) in enumerate(_excerpts(records, side, extent), 1):
        levels = to_levels(values, peak=peak)
        fewest = 2 if max(levels) >= _HIGH else 1
        text = marked(shown, [level if level >= fewest else 0 for level in levels])
        lines.append(f'{number}: "{before}{text[1:-1]}{behind}"')
    return "\n".join(lines)


def render_silent_places(inputs: ExplainInputs, shown: Sequence[ActivationRecord]) -> str:
    """Where the tokens on which the excerpts peak stand without being active, a place a line.

    They tell in which contexts a token counts.
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
            text = f'"{one.before}{barred(one.tokens)[1:-1]}{one.behind}"'
            lines.append(f"{quoted(one.tokens[one.place])} in {text}")
    return "\n".join(lines[:_MOST_SILENT]) or "none is known"


def _excerpts(
    records: Sequence[ActivationRecord], side: Side, extent: Extent
) -> Iterator[tuple[tuple[str, ...], Sequence[float], str, str]]:
    """Tokens and activations around each peak, and a mark on either end that is within a word."""
    for record in records:
        values = record.side(side)
        one = excerpt_around(record, values, values.index(max(values)), extent)
        yield one.tokens, one.values, one.before, one.behind


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


def render_table(inputs: ExplainInputs, shown: Sequence[ActivationRecord], share: float) -> str:
    """Tokens by falling mean level, with their places, then pairs; only a share of them.

    They are the telling ones and the peaks of the excerpts that are shown.
    """
    means = inputs.token_means
    listed = _listed(inputs, shown, _MOST_TELLING, max(1, round(share * _MOST_TOKENS)))
    listed.sort(key=lambda token: (-means.means[token], token))
    pieces = inputs.tokenizer.pieces(listed)
    singles = [
        f"{quoted(clipped(piece))} {_level(means.means[token], inputs)} ({means.counts[token]})"
        for token, piece in zip(listed, pieces, strict=True)
    ]
    lines = [f"Tokens, mean level (places): {', '.join(singles) or 'none stands out'}"]
    if share == 1 and (pairs := _pairs(inputs)):
        lines.append(f"Pairs of tokens, mean level on the second: {', '.join(pairs)}")
    return "\n".join(lines)


def render_wide_table(
    inputs: ExplainInputs, shown: Sequence[ActivationRecord], share: float
) -> str:
    """More tokens, by falling mean level that few places draw towards the mean of all, with kinds.

    It is for who writes rules: levels can be copied from it.
    """
    means = inputs.token_means
    listed = _listed(inputs, shown, _WIDE_TELLING, max(1, round(share * _WIDE_TOKENS)))
    shrunk = {token: shrunk_mean(means, token) for token in listed}
    listed.sort(key=lambda token: (-shrunk[token], token))
    pieces = inputs.tokenizer.pieces(listed)
    singles = [
        f"{quoted(clipped(piece))} {_level(shrunk[token], inputs)} ({means.counts[token]})"
        for token, piece in zip(listed, pieces, strict=True)
    ]
    lines = [f"Tokens, mean level (places): {', '.join(singles) or 'none stands out'}"]
    rules = pair_rules(inputs.records, means, most=_WIDE_PAIRS, share=_PAIR_SHARE)
    pairs = [
        " + ".join(quoted(clipped(piece)) for piece in inputs.tokenizer.pieces(rule.tokens))
        + f" {_level(rule.activation, inputs)}"
        for rule in rules
    ]
    if share == 1 and pairs:
        lines.append(f"Pairs of tokens, mean level on the second: {', '.join(pairs)}")
    lines.append(f"Kinds of tokens, mean level (share of all): {'; '.join(_kinds(inputs))}")
    return "\n".join(lines)


def _listed(
    inputs: ExplainInputs, shown: Sequence[ActivationRecord], n_telling: int, most: int
) -> list[int]:
    """The telling tokens and the peaks of the excerpts, of which a mean is known."""
    side, means = inputs.records.side, inputs.token_means
    peaks = [r.token_ids[r.side(side).index(r.peak(side))] for r in shown]
    known = dict.fromkeys(t for t in peaks if t in means.means)
    return list(dict.fromkeys([*telling_tokens(means)[:n_telling], *known]))[:most]


def _kinds(inputs: ExplainInputs) -> Iterator[str]:
    """``words 0.12 (44 %)``, the most active kind first."""
    ids, means, counts = inputs.token_means.columns()
    masses: dict[str, float] = {}
    places: dict[str, int] = {}
    rows = zip(inputs.tokenizer.pieces(ids.tolist()), means, counts, strict=True)
    for piece, mean, count in rows:
        kind = token_kind(piece)
        masses[kind] = masses.get(kind, 0.0) + mean * count
        places[kind] = places.get(kind, 0) + count
    n_places = sum(places.values())
    by_mean = sorted(places, key=lambda kind: -masses[kind] / places[kind])
    for kind in by_mean:
        level = MAX_LEVEL * max(0.0, masses[kind] / places[kind]) / inputs.records.peak
        yield f"{kind} {level:.2f} ({places[kind] / n_places:.0%})"


def token_kind(piece: str) -> str:
    """What sort of token a piece of text is, whatever the language."""
    text = piece.strip()
    if not text:
        return "blanks and line breaks"
    if text.isnumeric():
        return "numbers"
    if not any(character.isalpha() for character in text):
        return "signs"
    what = "words" if piece[:1].isspace() else "pieces without a blank before"
    return f"capitalized {what}" if text[0].isupper() else what


def _pairs(inputs: ExplainInputs) -> list[str]:
    return [
        f"{quoted(clipped(rule.text))} {_level(rule.activation, inputs)}"
        for rule in find_rules(inputs)
        if len(rule.tokens) == 2
    ]


def _level(activation: float, inputs: ExplainInputs) -> str:
    level = MAX_LEVEL * max(0.0, activation) / inputs.records.peak
    return "below 0.1" if level < 0.1 else f"{min(level, MAX_LEVEL):.1f}"
