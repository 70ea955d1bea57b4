"""Reading predicted levels out of an LLM's reply, with expected values where they can be had.

The expected value of a level is the mean of the exact level tokens among the alternatives at
its position, renormalized. Probability on anything else is left out and reported; a position
where log-probabilities came but none is on a level makes the trial a failed one, not a zero.
"""

from __future__ import annotations

import itertools
import json
import math
import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autointerp.llm import ChatReply, TokenChoice
from autointerp.llm.answers import (
    NoAnswerError,
    answer_of,
    find_object,
    placed_tokens,
)
from autointerp.llm.json_in_text import FoundObject, strict_json
from autointerp.llm.listed_values import as_list, bare_list
from autointerp.llm.plain_form import plain_form
from autointerp.llm.short_answers import last_lines

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_BEHIND_DIGIT, _AROUND = " \t\r\f\v|*_`\"'.,;}", "*_`\"'"
# Where an object of windows begins that does not stand in another one.
_FIRST_KEY = re.compile(r'(?<!:)(?<!: )\{\s*"(?:[A-Za-z]+[ _]?)?1"\s*:')
_ANY_KEY = re.compile(r'(?<!:)(?<!: )\{\s*"(?:[A-Za-z]+[ _]?)?\d+"\s*:')


@dataclass(frozen=True, slots=True)
class LevelsReply:
    """Predicted levels of one window."""

    levels: tuple[float, ...]
    """One a token, expected values where log-probabilities came, else whole numbers."""
    off_mass: float | None
    """Mean probability on tokens that are not levels; None without log-probabilities."""
    plain: tuple[float, ...] | None = None
    """The levels as they stand in the text, where log-probabilities came; None where none did."""

    @property
    def as_generated(self) -> LevelsReply:
        """The same without the use of log-probabilities."""
        return LevelsReply(self.plain or self.levels, None)


def read_rows(reply: ChatReply, *, row_lengths: Sequence[int], top: int) -> LevelsReply:
    """Levels 0..top from ``{"rows": [[...], ...]}`` with rows of the lengths given.

    Raises:
        NoAnswerError: not JSON of that form, another number of rows or of levels in a
            row, a level that is not a whole number from 0 to top, or no mass on any level.
    """
    what = 'a list under "rows"'
    text = answer_of(reply)
    try:
        parsed = find_object(text, "rows", what=what, kind=list)
    except NoAnswerError:
        bare = bare_list(text, len(row_lengths))
        if bare is None:
            raise
        # A line with one number is a row of one.
        listed = [[one] if isinstance(one, int) else one for one in bare]
        parsed = FoundObject({"rows": listed}, len(text), len(text))
    rows = parsed.value["rows"]
    if not isinstance(rows, list):
        raise NoAnswerError(f"the reply is not JSON with {what}: {rows!r:.40}")
    levels = _flat_levels(rows, row_lengths, top)
    start = max(parsed.start, reply.text.find('"rows"', parsed.start))
    places = [match.start() for match in _NUMBER.finditer(reply.text, start, parsed.end)]
    return _expected(reply, places[: len(levels)], levels, top)


def read_digits(reply: ChatReply, *, n_tokens: int) -> LevelsReply:
    """Levels 0..9 from a reply of so many digits, white space aside.

    Raises:
        NoAnswerError: other characters, another number of digits, or no mass on any.
    """
    text = plain_form(answer_of(reply))
    places = _digit_places(text, n_tokens)
    digits = "".join(text[i] for i in places)
    if len(digits) != n_tokens or not (digits.isascii() and digits.isdigit()):
        msg = f"asked for {n_tokens} digits, found {digits[:20]!r} ({len(digits)} characters)"
        raise NoAnswerError(msg)
    return _expected(reply, places, [int(digit) for digit in digits], 9)


def _digit_places(text: str, n: int) -> list[int]:
    """Where n digits stand that are the answer; else where all that is not white space does."""
    last = last_lines(text)
    behind_a_label = (text.rfind(":", *last[-1]) + 1, last[-1][1])
    lines = [[i for i in range(*span) if not text[i].isspace()] for span in (*last, behind_a_label)]
    whole = next((line for line in lines if len(line) == n), None)
    if whole is not None and all(text[i].isdigit() for i in whole):
        return whole
    runs = list(re.finditer(r"(?<![\w.-])\d+(?![\w-]|\.\d)", text, re.ASCII))
    # The same number once or more, whatever is said around it.
    if len({run[0] for run in runs}) == 1 and len(runs[-1][0]) == n:
        return list(range(*runs[-1].span()))
    form = rf"^[^\w\n]*(\d{{{n}}})[^\w\n]*$"
    alone = list(re.finditer(form, text, re.ASCII | re.MULTILINE))
    if len({line[1] for line in alone}) == 1:
        return list(range(*alone[-1].span(1)))
    apart = (span for span in last if _are_apart(text[slice(*span)], n))
    span = next(apart, None)
    if span is not None:
        return [i for i in range(*span) if text[i].isdigit()]
    return _listed_places(text, n) or _one_a_line(text, n) or lines[0]


def _are_apart(text: str, n: int) -> bool:
    """Whether nothing stands in a text but n digits, and what parts each from the next."""
    parts = re.split(r"[0-9]", text)
    is_alone = len(parts) == n + 1 and not re.search(r"\w", parts[0] + parts[-1], re.ASCII)
    return is_alone and all(map(_is_between, parts[1:-1]))


def _is_between(text: str) -> bool:
    """Whether a text is blank, one to three signs or a dash with blanks, as digits are parted."""
    signs = text.strip()
    if not signs:
        return bool(text.strip("\n"))
    if signs == "-":
        return text[0].isspace() and text[-1].isspace()
    return re.fullmatch(r"[^\w.:=()\n-]{1,3}", signs, re.ASCII) is not None


def _listed_places(text: str, n: int) -> list[int] | None:
    """Where n digits stand in the only list in brackets."""
    listed = rf"\[\s*[\"']?\d[\"']?(?:\s*,\s*[\"']?\d[\"']?){{{n - 1}}}\s*\]"
    found = list(re.finditer(listed, text, re.ASCII))
    if len(found) != 1 or text.count("[") != 1:
        return None
    return [i for i in range(*found[0].span()) if text[i].isdigit()]


def _one_a_line(text: str, n: int) -> list[int] | None:
    """Where n lines that stand together end with a digit each, and no other line ends with one."""
    lines = list(re.finditer(r"^[^\n]*\w[^\n]*", text, re.MULTILINE))
    ends = [_last_digit(line[0]) for line in lines]
    found = [i for i, place in enumerate(ends) if place is not None]
    if len(found) != n or found != list(range(found[0], found[0] + n)):
        return None
    return [lines[i].start() + (ends[i] or 0) for i in found]


def _last_digit(line: str) -> int | None:
    """Where the digit stands that ends a line, alone or behind a blank or the sign of a label."""
    place = len(line.rstrip(_BEHIND_DIGIT)) - 1
    if place < 0 or line[place] not in string.digits:
        return None
    before = line[:place].rstrip(_AROUND)
    return place if not before or before[-1].isspace() or before[-1] in ":=|→>" else None


def read_window_rows(
    reply: ChatReply, number: int, *, row_lengths: Sequence[int], top: int
) -> LevelsReply:
    """Levels of one window from ``{"1": [[...], ...], "2": ...}``, whatever the others hold.

    Raises:
        NoAnswerError: as for `read_rows`, or nothing stands under the window's number.
    """
    value, start, end = _numbered_list(strict_json(answer_of(reply)), number, as_list)
    levels = _flat_levels(value, row_lengths, top)
    places = [match.start() for match in _NUMBER.finditer(reply.text, start, end)]
    return _expected(reply, places, levels, top)


def read_sparse(reply: ChatReply, number: int, *, n_tokens: int, top: int) -> LevelsReply:
    """Levels of one window from ``{"1": [[index, level], ...], ...}``, 0 where none is listed.

    Raises:
        NoAnswerError: nothing stands under the window's number, an entry is not a pair, an
            index is not one of the window's or comes twice, a level is not a whole one 0..top.
    """
    value, _, _ = _numbered_list(strict_json(answer_of(reply)), number, _as_it_is)
    levels: dict[int, int] = {}
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2:
            raise NoAnswerError(f"asked for pairs of index and level, found {pair!r:.40}")
        index = whole_number(pair[0], n_tokens - 1, "index")
        if index in levels:
            raise NoAnswerError(f"index {index} came twice")
        levels[index] = whole_number(pair[1], top, "level")
    return LevelsReply(tuple(float(levels.get(i, 0)) for i in range(n_tokens)), None)


def _as_it_is(value: object) -> list[object] | None:
    return value if isinstance(value, list) else None


def _numbered_list(
    text: str, number: int, listed: Callable[[object], list[object] | None]
) -> tuple[list[object], int, int]:
    """The last list under the number, and where in the text it begins and ends.

    Read by itself, so that a reply which is cut off or broken elsewhere loses nothing else. An
    answer begins where the first window is named for the last time.
    """
    openings = list(_FIRST_KEY.finditer(text)) or list(_ANY_KEY.finditer(text))
    first = openings[-1].start() if openings else 0
    keys = list(re.compile(rf'"(?:[A-Za-z]+[ _]?)?{number}"\s*:\s*').finditer(text, first))
    if not keys:
        shown = text.strip()[:40]
        raise NoAnswerError(f'nothing stands under "{number}" in the reply: {shown!r}')
    start = keys[-1].end()
    try:
        value, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        raise NoAnswerError(f'what stands under "{number}" is not JSON: {error}') from error
    values = listed(value)
    if values is None:
        raise NoAnswerError(f'what stands under "{number}" is not a list: {value!r:.40}')
    return values, start, end


def _flat_levels(rows: Sequence[object], row_lengths: Sequence[int], top: int) -> list[int]:
    lists = [
        [row] if n == 1 and isinstance(row, int) else _row(row)
        for row, n in itertools.zip_longest(rows, row_lengths[: len(rows)])
    ]
    if len(rows) == sum(row_lengths) and not any(isinstance(row, list | str) for row in rows):
        # All in one row.
        return [whole_number(level, top, "level") for level in rows]
    result = [-1 if row is None else len(row) for row in lists]
    if result != list(row_lengths):
        raise NoAnswerError(f"asked for rows of {list(row_lengths)} levels, found {result}")
    return [whole_number(level, top, "level") for row in lists for level in row or ()]


def _row(row: object) -> list[object] | None:
    """The levels of a row, which may be a text with nothing else between them than commas."""
    if isinstance(row, str) and re.fullmatch(r"\W*\d+(?:[\s,|]+\d+)*\W*", row, re.ASCII):
        return list(re.findall(r"\d+", row))
    return as_list(row)


def whole_number(number: object, top: int, what: str) -> int:
    """The number, if it is a whole one 0..top, as 3, 3.0 or "3"; ``what`` names it in messages.

    Raises:
        NoAnswerError: it is anything else.
    """
    if isinstance(number, str) and re.fullmatch(r"\s*\d{1,9}\s*", number, re.ASCII):
        return whole_number(int(number), top, what)
    if isinstance(number, float) and number.is_integer():
        number = int(number)
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= top:
        return number
    raise NoAnswerError(f"{number!r:.40} is not a whole {what} from 0 to {top}")


def _expected(
    reply: ChatReply, places: Sequence[int], levels: Sequence[int], top: int
) -> LevelsReply:
    plain = tuple(float(level) for level in levels)
    placed = placed_tokens(reply)
    if placed is None or len(places) != len(levels):
        return LevelsReply(plain, None)
    values, off = [], []
    for place, level in zip(places, levels, strict=True):
        choice = placed.get(place)
        if choice is None or choice.token.strip() != str(level):
            # The level is part of a longer token or several tokens: its plain value stands.
            values.append(float(level))
            continue
        value, mass = mean_level(choice, top)
        values.append(value)
        off.append(1 - mass)
    return LevelsReply(tuple(values), sum(off) / len(off) if off else None, plain)


def mean_level(choice: TokenChoice, top: int) -> tuple[float, float]:
    """The expected level 0..top at a position, and the probability on all level tokens.

    Raises:
        NoAnswerError: no probability is on any of them.
    """
    known = {str(level): level for level in range(top + 1)}
    weights = [
        (known[token.strip()], math.exp(logprob))
        for token, logprob in choice.alternatives
        if token.strip() in known
    ]
    mass = sum(weight for _, weight in weights)
    if mass <= 0:
        raise NoAnswerError(f"no probability on any level at {choice.token!r}")
    return sum(level * weight for level, weight in weights) / mass, min(1.0, mass)
