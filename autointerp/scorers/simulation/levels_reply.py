"""Reading predicted levels out of an LLM's reply, with expected values where they can be had.

The expected value of a level is the mean of the exact level tokens among the alternatives at
its position, renormalized. Probability on anything else is left out and reported; a position
where log-probabilities came but none is on a level makes the trial a failed one, not a zero.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from autointerp.llm import ChatReply, TokenChoice, UnreadableJsonError, find_object
from autointerp.llm.reply_formats import token_starts

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


class UnreadableLevelsError(ValueError):
    """The reply does not hold one level a token; the message says why."""


@dataclass(frozen=True, slots=True)
class LevelsReply:
    """Predicted levels of one window."""

    levels: tuple[float, ...]
    """One a token, expected values where log-probabilities came, else whole numbers."""
    off_mass: float | None
    """Mean probability on tokens that are no level; None without log-probabilities."""


def read_rows(reply: ChatReply, *, row_lengths: Sequence[int], top: int) -> LevelsReply:
    """Levels 0..top from ``{"rows": [[...], ...]}`` with rows of the lengths given.

    Raises:
        UnreadableLevelsError: not JSON of that form, another number of rows or of levels in a
            row, a level that is not a whole number from 0 to top, or no mass on any level.
    """
    levels = _flat_levels(_rows(reply.text), row_lengths, top)
    start = max(0, reply.text.find('"rows"'))
    places = [match.start() for match in _NUMBER.finditer(reply.text, start)]
    return _expected(reply, places[: len(levels)], levels, top)


def read_digits(reply: ChatReply, *, n_tokens: int) -> LevelsReply:
    """Levels 0..9 from a reply of so many digits, white space aside.

    Raises:
        UnreadableLevelsError: other characters, another number of digits, or no mass on any.
    """
    places = [i for i, c in enumerate(reply.text) if not c.isspace()]
    digits = "".join(reply.text[i] for i in places)
    if len(digits) != n_tokens or not (digits.isascii() and digits.isdigit()):
        msg = f"asked for {n_tokens} digits, found {digits[:20]!r} ({len(digits)} characters)"
        raise UnreadableLevelsError(msg)
    return _expected(reply, places, [int(digit) for digit in digits], 9)


def read_window_rows(
    reply: ChatReply, number: int, *, row_lengths: Sequence[int], top: int
) -> LevelsReply:
    """Levels of one window from ``{"1": [[...], ...], "2": ...}``, whatever the others hold.

    Raises:
        UnreadableLevelsError: as for `read_rows`, or nothing stands under the window's number.
    """
    value, start, end = _numbered_list(reply.text, number)
    levels = _flat_levels(value, row_lengths, top)
    places = [match.start() for match in _NUMBER.finditer(reply.text, start, end)]
    return _expected(reply, places, levels, top)


def read_sparse(reply: ChatReply, number: int, *, n_tokens: int, top: int) -> LevelsReply:
    """Levels of one window from ``{"1": [[index, level], ...], ...}``, 0 where none is listed.

    Raises:
        UnreadableLevelsError: nothing stands under the window's number, an entry is no pair, an
            index is not one of the window's or comes twice, a level is not a whole one 0..top.
    """
    value, _, _ = _numbered_list(reply.text, number)
    levels: dict[int, int] = {}
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2:
            raise UnreadableLevelsError(f"asked for pairs of index and level, found {pair!r:.40}")
        index = whole_number(pair[0], n_tokens - 1, "index")
        if index in levels:
            raise UnreadableLevelsError(f"index {index} came twice")
        levels[index] = whole_number(pair[1], top, "level")
    return LevelsReply(tuple(float(levels.get(i, 0)) for i in range(n_tokens)), None)


def _numbered_list(text: str, number: int) -> tuple[list[object], int, int]:
    """The last list under the number, and where in the text it begins and ends.

    Read by itself, so that a reply which is cut off or broken elsewhere loses nothing else.
    """
    keys = list(re.finditer(rf'"{number}"\s*:\s*', text))
    if not keys:
        raise UnreadableLevelsError(f'nothing stands under "{number}" in the reply: {text[:40]!r}')
    start = keys[-1].end()
    try:
        value, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        raise UnreadableLevelsError(f'what stands under "{number}" is not JSON: {error}') from error
    if not isinstance(value, list):
        raise UnreadableLevelsError(f'what stands under "{number}" is not a list: {value!r:.40}')
    return value, start, end


def _flat_levels(rows: Sequence[object], row_lengths: Sequence[int], top: int) -> list[int]:
    lists = [row if isinstance(row, list) else None for row in rows]
    result = [-1 if row is None else len(row) for row in lists]
    if result != list(row_lengths):
        raise UnreadableLevelsError(f"asked for rows of {list(row_lengths)} levels, found {result}")
    return [whole_number(level, top, "level") for row in lists for level in row or ()]


def _rows(text: str) -> list[object]:
    try:
        value = find_object(text)
    except UnreadableJsonError as error:
        raise UnreadableLevelsError(str(error)) from error
    rows = value.get("rows") if value else None
    if not isinstance(rows, list):
        msg = f'the reply is not JSON with a list under "rows": {text[:40]!r}'
        raise UnreadableLevelsError(msg)
    return rows


def whole_number(number: object, top: int, what: str) -> int:
    """The number, if it is a whole one 0..top; ``what`` names it in the message.

    Raises:
        UnreadableLevelsError: it is anything else.
    """
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= top:
        return number
    raise UnreadableLevelsError(f"{number!r:.40} is not a whole {what} from 0 to {top}")


def _expected(
    reply: ChatReply, places: Sequence[int], levels: Sequence[int], top: int
) -> LevelsReply:
    plain = LevelsReply(tuple(float(level) for level in levels), None)
    if not reply.tokens or len(places) != len(levels):
        return plain
    starts = token_starts(reply.tokens)
    if "".join(choice.token for choice in reply.tokens) != reply.text:
        # The tokens spell something else than the text, so positions cannot be matched.
        return plain
    values, off = [], []
    for place, level in zip(places, levels, strict=True):
        choice = starts.get(place)
        if choice is None or choice.token.strip() != str(level):
            # The level is part of a longer token or several tokens: its plain value stands.
            values.append(float(level))
            continue
        value, mass = mean_level(choice, top)
        values.append(value)
        off.append(1 - mass)
    return LevelsReply(tuple(values), sum(off) / len(off) if off else None)


def mean_level(choice: TokenChoice, top: int) -> tuple[float, float]:
    """The expected level 0..top at a position, and the probability on all level tokens.

    Raises:
        UnreadableLevelsError: no probability is on any of them.
    """
    known = {str(level): level for level in range(top + 1)}
    weights = [
        (known[token.strip()], math.exp(logprob))
        for token, logprob in choice.alternatives
        if token.strip() in known
    ]
    mass = sum(weight for _, weight in weights)
    if mass <= 0:
        raise UnreadableLevelsError(f"no probability on any level at {choice.token!r}")
    return sum(level * weight for level, weight in weights) / mass, min(1.0, mass)
