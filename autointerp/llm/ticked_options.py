"""The option that is ticked, where several stand beside boxes or signs."""

from __future__ import annotations

import re

from autointerp.llm.json_in_text import json_objects
from autointerp.llm.rival_answers import SeveralValuesError

_RANKS = {
    "✓✔✅☑⭕🗹": 3,
    "xX☒●◉⦿■⬛◼⚫🔘🟢•": 2,
    "☐□⬜◻○◯⚪ ": 1,
    "✗✘❌✖❎🚫🔴": 0,
}
"""A check goes before what is filled, that before what is empty, that before what is crossed."""
_OF_SIGN = {sign: rank for signs, rank in _RANKS.items() for sign in signs}
# A bullet or a letter is a sign within brackets alone.
_BARE = "".join(sign for sign in _OF_SIGN if sign not in "xX• ")
_SIGN = rf"(?:[\[(] ?(?P<boxed>[{''.join(_OF_SIGN)}]?) ?[\])]|(?P<bare>[{_BARE}]))\ufe0f?"
_DRESS = r"[ \t*_`\"'.:=-]*"


def ticked(text: str, pattern: str) -> re.Match[str] | None:
    """The one option that is ticked, as group 1; None where no two options stand beside signs.

    Signs stand in front of each option, or behind each.

    Raises:
        SeveralValuesError: several options have the sign that says most, or it says nothing.
    """
    option = rf"(?<!\w)(?P<option>{pattern})"
    end = rf"(?={_DRESS}(?:[,;|/\n]|\Z|{_SIGN.replace('?P<boxed>', '').replace('?P<bare>', '')}))"
    in_front = re.compile(rf"{_SIGN}{_DRESS}{option}{end}", re.IGNORECASE)
    behind = re.compile(rf"{option}{_DRESS}{_SIGN}", re.IGNORECASE)
    first, other = in_front.search(text), behind.search(text)
    form = behind if other and (first is None or other.start() < first.start()) else in_front
    options = list(form.finditer(text))
    if len({one["option"].lower() for one in options}) < 2:
        return None
    best = max(map(_rank, options))
    chosen = [one for one in options if _rank(one) == best]
    if len({one["option"].lower() for one in chosen}) > 1 or best < 2:
        raise SeveralValuesError
    return re.compile(f"({pattern})", re.IGNORECASE).match(text, *chosen[-1].span("option"))


def _rank(match: re.Match[str]) -> int:
    return _OF_SIGN[match["bare"] or match["boxed"] or " "]


def true_option(text: str, pattern: str) -> re.Match[str] | None:
    """The one option that is true, as group 1, of an object whose names are the options.

    Raises:
        SeveralValuesError: several options are, or none.
    """
    option = re.compile(f"({pattern})", re.IGNORECASE)
    for one in json_objects(text)[-1:]:
        named = _options(one.value, option)
        if len({name.lower() for name in named}) < 2:
            continue
        chosen = [name for name, value in named.items() if value is True or value == 1]
        place = text.find(f'"{chosen[0]}"', one.start, one.end) if len(chosen) == 1 else -1
        if place < 0:
            raise SeveralValuesError
        return option.match(text, place + 1)
    return None


def _options(value: dict[str, object], option: re.Pattern[str]) -> dict[str, object]:
    """What stands under each option in an object, or in the only one within it."""
    named = {name: inner for name, inner in value.items() if option.fullmatch(name)}
    inner = [one for one in value.values() if isinstance(one, dict)]
    return named if named or len(inner) != 1 else _options(inner[0], option)
