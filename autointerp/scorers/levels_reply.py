"""Reading predicted levels out of an LLM's reply, with expected values where they can be had.

The expected value of a level is the mean of the exact level tokens among the alternatives at
its position, renormalized. Probability on anything else is left out and reported; a position
where log-probabilities came but none is on a level makes the trial a failed one, not a zero.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from autointerp.llm import ChatReply, TokenChoice, UnreadableJsonError, find_object

__all__ = ["LevelsReply", "UnreadableLevelsError", "read_digits", "read_rows"]

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
    rows = _rows(reply.text)
    found = [len(row) if isinstance(row, list) else -1 for row in rows]
    if found != list(row_lengths):
        msg = f"asked for rows of {list(row_lengths)} levels, found {found}"
        raise UnreadableLevelsError(msg)
    levels = [_level(level, top) for row in rows for level in row]
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


def _rows(text: str) -> list[list[object]]:
    try:
        value = find_object(text)
    except UnreadableJsonError as error:
        raise UnreadableLevelsError(str(error)) from error
    rows = value.get("rows") if value else None
    if not isinstance(rows, list):
        msg = f'the reply is not JSON with a list under "rows": {text[:40]!r}'
        raise UnreadableLevelsError(msg)
    return rows


def _level(level: object, top: int) -> int:
    if isinstance(level, int) and not isinstance(level, bool) and 0 <= level <= top:
        return level
    msg = f"{level!r} is not a whole level from 0 to {top}"
    raise UnreadableLevelsError(msg)


def _expected(
    reply: ChatReply, places: Sequence[int], levels: Sequence[int], top: int
) -> LevelsReply:
    plain = LevelsReply(tuple(float(level) for level in levels), None)
    if not reply.tokens or len(places) != len(levels):
        return plain
    starts = _starts(reply.tokens)
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
        value, mass = _mean_level(choice, top)
        values.append(value)
        off.append(1 - mass)
    return LevelsReply(tuple(values), sum(off) / len(off) if off else None)


def _starts(tokens: Sequence[TokenChoice]) -> dict[int, TokenChoice]:
    """Tokens by the place in the text of their first character that is not white space."""
    starts: dict[int, TokenChoice] = {}
    place = 0
    for choice in tokens:
        blank = len(choice.token) - len(choice.token.lstrip())
        starts[place + blank] = choice
        place += len(choice.token)
    return starts


def _mean_level(choice: TokenChoice, top: int) -> tuple[float, float]:
    known = {str(level): level for level in range(top + 1)}
    weights = [
        (known[token.strip()], math.exp(logprob))
        for token, logprob in choice.alternatives
        if token.strip() in known
    ]
    mass = sum(weight for _, weight in weights)
    if mass <= 0:
        msg = f"no probability on any level at {choice.token!r}"
        raise UnreadableLevelsError(msg)
    return sum(level * weight for level, weight in weights) / mass, min(1.0, mass)
