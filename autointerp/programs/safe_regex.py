"""Regular expressions from strangers, refused where they could take long.

`re` backtracks, so that an expression such as ``(a+)+b`` takes exponential time. The rule, which
refuses some harmless expressions too:

- no repeat and no alternatives inside a repeat of more than one (``(a+)+``, ``(a|ab)*``), and no
  repeat of what may be empty;
- no backreference and no condition on a group;
- what is left can be bounded: a match tries at most the product of the choices that its repeats,
  optional parts and alternatives leave, and `SafeRegex.steps` is that bound.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from autointerp.core.errors import InputError

LONGEST_REGEX = 200
"""Characters of a regular expression."""

_PARSER: Any = importlib.import_module("re._parser")
_CHARACTER = re.compile(r"\\.|.", re.DOTALL)
_SET_SIGNS = "-&~|"
_REPEATS = {"MAX_REPEAT", "MIN_REPEAT", "POSSESSIVE_REPEAT"}
_REFUSED = {"GROUPREF", "GROUPREF_IGNORE", "GROUPREF_EXISTS"}


@dataclass(frozen=True, slots=True)
class SafeRegex:
    """A compiled expression with what it may cost."""

    pattern: re.Pattern[str]
    n_chars: int
    """Longest text that it may be tried on."""
    steps: int
    """Most steps of one match that begins at one given place of such a text."""


@dataclass(frozen=True, slots=True)
class _Cost:
    choices: int
    """Ways to match, from which backtracking may have to try each."""
    steps: int
    """Steps to go through all of them."""


def compile_safely(source: str, *, n_chars: int, ignore_case: bool = False) -> SafeRegex:
    """The expression, to be tried on texts of at most ``n_chars`` characters.

    Raises:
        InputError: it is malformed, too long or could take too long; the message says which.
    """
    if len(source) > LONGEST_REGEX:
        raise InputError(
            f"the regular expression has {len(source)} characters, at most {LONGEST_REGEX} allowed"
        )
    flags = re.IGNORECASE if ignore_case else re.NOFLAG
    try:
        _check_sets(source)
        tree = _PARSER.parse(source, flags)
        cost = _sequence(tree, n_chars, inside=False)
        return SafeRegex(re.compile(source, flags), n_chars, cost.steps)
    except (re.error, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"/{source}/ is not a regular expression: {error}") from error


def _check_sets(source: str) -> None:
    """Refuses sets that Python will read in another way one day, of which it only warns.

    What is done with warnings holds for all threads of a process, so that they are not caught here.
    """
    characters = [match[0] for match in _CHARACTER.finditer(source)]
    place, end = 0, len(characters)
    while place < end:
        place += 1
        if characters[place - 1] == "[":
            place = _after_set(characters, place)


def _after_set(characters: Sequence[str], place: int) -> int:
    """Where the set ends whose first character stands at the place."""
    following = [*characters[place:], "", ""]
    if following[0] == "[":
        raise ValueError("a set within a set ([[) is ambiguous; write \\[")
    first = at = int(following[0] == "^")
    while following[at] and (following[at] != "]" or at == first):
        this = following[at]
        is_range = following[at + 1] == "-" and following[at + 2] not in {"", "]"}
        is_double = at > first and this in _SET_SIGNS and following[at + 1] == this
        if is_double or (is_range and following[at + 2] == "-"):
            sign = this if is_double else "-"
            raise ValueError(f"{sign}{sign} within a set is ambiguous; write \\{sign}")
        at += 3 if is_range else 1
    return place + at + 1


def _sequence(items: Iterable[Any], n_chars: int, *, inside: bool) -> _Cost:
    """What stands one behind the other: every choice of one is tried with all of the next."""
    choices, steps = 1, 1
    for item in items:
        cost = _item(item, n_chars, inside=inside)
        steps += choices * cost.steps
        choices *= cost.choices
    return _Cost(choices, steps)


def _item(item: Any, n_chars: int, *, inside: bool) -> _Cost:
    name, value = str(item[0]), item[1]
    if name in _REFUSED:
        msg = "backreferences and conditions on groups are not allowed in a regular expression"
        raise InputError(msg)
    if name in _REPEATS:
        return _repeat(value, n_chars, inside=inside)
    if name == "BRANCH":
        if inside:
            raise InputError(_nested("alternatives"))
        parts = [_sequence(part, n_chars, inside=inside) for part in value[1]]
        return _Cost(sum(p.choices for p in parts), sum(p.steps for p in parts))
    if name == "SUBPATTERN":
        return _sequence(value[-1], n_chars, inside=inside)
    if name in {"ASSERT", "ASSERT_NOT"}:
        # Once it holds nothing in it is tried again.
        return _Cost(1, _sequence(value[1], n_chars, inside=inside).steps)
    if name == "ATOMIC_GROUP":
        return _sequence(value, n_chars, inside=inside)
    return _Cost(1, 1)


def _repeat(value: Any, n_chars: int, *, inside: bool) -> _Cost:
    least, most, body = int(value[0]), int(value[1]), value[2]
    if inside:
        raise InputError(_nested("a repeat"))
    if most <= 1:
        cost = _sequence(body, n_chars, inside=False)
        return _Cost(cost.choices + 1 - least, cost.steps + 1)
    cost = _sequence(body, n_chars, inside=True)
    shortest = body.getwidth()[0]
    if shortest == 0:
        raise InputError("what is repeated in a regular expression must not be able to be empty")
    most = min(most, n_chars // shortest + 1)
    return _Cost(most - min(least, most) + 1, most * cost.steps + 1)


def _nested(what: str) -> str:
    return f"a regular expression must not have {what} inside a repeat: it could take too long"
