"""Tables of the tokens that carry most of a side's activation, as LLMs are shown them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from itertools import groupby

from autointerp.core.records import MAX_LEVEL, ActivationRecord
from autointerp.core.text import quoted
from autointerp.explainers.excerpts import clipped
from autointerp.explainers.explainer import ExplainInputs
from autointerp.explainers.token_lookup import (
    find_rules,
    pair_rules,
    shrunk_mean,
    telling_tokens,
)

_MOST_TOKENS, _MOST_TELLING = 30, 20
_WIDE_TOKENS, _WIDE_TELLING = 60, 48
_WIDE_PAIRS, _PAIR_SHARE = 16, 0.15
_NO_BLANK = " without a blank before"


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
    tokens = [
        f"{text} {level} ({inputs.token_means.counts[token]})"
        for token, text, level in _by_level(inputs, shown, share)
    ]
    lines = [f"Tokens, mean level (places): {', '.join(tokens) or 'none stands out'}"]
    lines += _wide_pairs(inputs) if share == 1 else ()
    lines.append(f"Kinds of tokens, mean level (share of all): {'; '.join(_kinds(inputs))}")
    return "\n".join(lines)


def render_grouped_table(
    inputs: ExplainInputs, shown: Sequence[ActivationRecord], share: float
) -> str:
    """The tokens of the wide table, those of one level together as in a rule, and other kinds.

    Kinds are without the tokens listed, so that their levels are those to expect of others.
    """
    listed = list(_by_level(inputs, shown, share))
    counts = inputs.token_means.counts
    groups = [
        f"{level}: {', '.join(f'{text} {counts[token]}' for token, text, _ in group)}"
        for level, group in groupby(listed, key=lambda one: one[2])
    ]
    lines = [f"Tokens by mean level, with places: {'; '.join(groups) or 'none stands out'}"]
    lines += _wide_pairs(inputs) if share == 1 else ()
    kinds = _kinds(inputs, without={token for token, _, _ in listed})
    others = "; ".join(kind.replace(_NO_BLANK, "") for kind in kinds) or "none"
    lines.append(f"Kinds of other tokens, mean level (share of all): {others}")
    return "\n".join(lines)


def _by_level(
    inputs: ExplainInputs, shown: Sequence[ActivationRecord], share: float
) -> Iterator[tuple[int, str, str]]:
    """Each token with its text and its level as they are shown, the highest level first."""
    means = inputs.token_means
    listed = _listed(inputs, shown, _WIDE_TELLING, max(1, round(share * _WIDE_TOKENS)))
    shrunk = {token: shrunk_mean(means, token) for token in listed}
    listed.sort(key=lambda token: (-shrunk[token], token))
    for token, piece in zip(listed, inputs.tokenizer.pieces(listed), strict=True):
        yield token, quoted(clipped(piece)), _level(shrunk[token], inputs)


def _wide_pairs(inputs: ExplainInputs) -> Iterator[str]:
    """A line of pairs, where there are any."""
    rules = pair_rules(inputs.records, inputs.token_means, most=_WIDE_PAIRS, share=_PAIR_SHARE)
    pairs = [
        " + ".join(quoted(clipped(piece)) for piece in inputs.tokenizer.pieces(rule.tokens))
        + f" {_level(rule.activation, inputs)}"
        for rule in rules
    ]
    if pairs:
        yield f"Pairs of tokens, mean level on the second: {', '.join(pairs)}"


def _listed(
    inputs: ExplainInputs, shown: Sequence[ActivationRecord], n_telling: int, most: int
) -> list[int]:
    """The telling tokens and the peaks of the excerpts, of which a mean is known."""
    side, means = inputs.records.side, inputs.token_means
    peaks = [r.token_ids[r.side(side).index(r.peak(side))] for r in shown]
    known = dict.fromkeys(t for t in peaks if t in means.means)
    return list(dict.fromkeys([*telling_tokens(means)[:n_telling], *known]))[:most]


def _kinds(inputs: ExplainInputs, *, without: Collection[int] = ()) -> Iterator[str]:
    """``words 0.12 (44 %)``, the most active kind first; some tokens left out of their means."""
    ids, means, counts = inputs.token_means.columns()
    masses: dict[str, float] = {}
    places: dict[str, int] = {}
    n_places = sum(counts)
    pieces = inputs.tokenizer.pieces(ids.tolist())
    for token, piece, mean, count in zip(ids.tolist(), pieces, means, counts, strict=True):
        if token in without:
            continue
        kind = token_kind(piece)
        masses[kind] = masses.get(kind, 0.0) + mean * count
        places[kind] = places.get(kind, 0) + count
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
    what = "words" if piece[:1].isspace() else f"pieces{_NO_BLANK}"
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
