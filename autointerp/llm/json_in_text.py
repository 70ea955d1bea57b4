"""JSON objects in a text that a model wrote, in its strict form or in one that is common.

Common are single or typographic quotes, Python's constants, commas before a closing bracket,
comments, keys without quotes, and quotes within a string that are not escaped; where there is no
object in these, wide signs, escaped quotes, entities and the marks of quoted lines are read as what
they stand for. What does not end is not an object, in any form.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from autointerp.llm.plain_form import plain_characters

_MOST_BROKEN, _MOST_NESTED = 5_000, 20
_MOST_LOOSE, _DEEPEST = 100, 20
_DECODER = json.JSONDecoder(strict=False)

_BLANK = re.compile(r"(?:\s+|//[^\n]*|#[^\n]*|/\*.*?\*/)*", re.DOTALL)
_SCALAR = re.compile(r"(?:(?i:true|false|null|none)|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)\b")
_CONSTANTS = {"true": "true", "false": "false", "null": "null", "none": "null"}
_NAME = re.compile(r"[A-Za-z_]\w*|\d{1,9}")
_ESCAPED_END = re.compile(r'\\"(?=\s*[:,}\]])')
_QUOTED_LINE = re.compile("^>", re.MULTILINE)
_ESCAPE = re.compile(r'\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})|\\|"')
# Stands for a quote that is not escaped, for which a text of the same length has no room.
_QUOTE = "\0"
_PAIRS = {'"': '"', "'": "'", "“": "”"}
_NEXT_KEY = r"""(?:["'“][^"'”\n]{0,60}["'”]|\w+)\s*:"""
_BEHIND = {
    ":": r"\s*:",
    "{": rf"\s*(?:[}}/#]|,\s*(?:[}}/#]|{_NEXT_KEY}))",
    "[": r"\s*(?:[\]/#]|,\s*[\]\[{\"'“\w/#-])",
}
"""What follows the quote that ends a key, or a value in an object or a list."""
_STRINGS = {
    quote: re.compile(rf"{quote}((?:[^{end}\\]|\\.)*){end}", re.DOTALL)
    for quote, end in _PAIRS.items()
}
# Where its own quotes stand in a string, a brace or line break may be those of another.
_STRINGS_WITH_QUOTES = {
    (quote, place): re.compile(rf"{quote}((?:[^{{}}\n\\]|\\.)*?){end}(?={behind})")
    for quote, end in _PAIRS.items()
    for place, behind in _BEHIND.items()
}


@dataclass(frozen=True, slots=True)
class FoundObject:
    """A JSON object in a text."""

    value: dict[str, object]
    start: int
    """Index of its first character."""
    end: int
    """Index behind its last character."""


def json_objects(text: str) -> list[FoundObject]:
    """Every whole JSON object in a text that is in no other one, in order."""
    return _read(text)[1]


def strict_json(text: str) -> str:
    """The text with its JSON objects in strict form, of the same length.

    Places in it stay, outside of strings.
    """
    return _read(text)[0]


def _read(text: str) -> tuple[str, list[FoundObject]]:
    strict, found = _read_as_it_stands(text)
    if found:
        return strict, found
    eased = _ESCAPED_END.sub('" ', plain_characters(text)).replace('\\"', ' "')
    eased = _QUOTED_LINE.sub(" ", eased.replace("&quot;", '     "'))
    strict, found = _read_as_it_stands(eased) if eased != text else (text, [])
    return (strict, found) if found else (text, [])


def _read_as_it_stands(text: str) -> tuple[str, list[FoundObject]]:
    result: list[FoundObject] = []
    at, n_broken, n_nested = text.find("{"), 0, 0
    while at >= 0 and n_broken < _MOST_BROKEN and n_nested < _MOST_NESTED:
        end = at + 1
        try:
            value, end = _DECODER.raw_decode(text, at)
        except ValueError:
            n_broken += 1
            loose = _loose(text, at) if n_broken < _MOST_LOOSE else None
            if loose is not None:
                strict, value = loose
                end = at + len(strict)
                text = f"{text[:at]}{strict}{text[end:]}"
                result.append(FoundObject(value, at, end))
        except RecursionError:
            n_nested += 1
        else:
            result.append(FoundObject(value, at, end))
        at = text.find("{", end)
    return text, result


def _loose(text: str, start: int) -> tuple[str, dict[str, object]] | None:
    """The strict form, of the same length, of an object that has another, and its value."""
    readings = (_Loose(text, start, quotes_within=within).read() for within in (False, True))
    return next((one for one in readings if one is not None), None)


class _Loose:
    """One walk over an object that is not in strict form."""

    def __init__(self, text: str, start: int, *, quotes_within: bool) -> None:
        """Strings may hold their own quotes, or end at the first that is not escaped."""
        self._text, self._start, self._at = text, start, start
        self._quotes_within = quotes_within
        self._parts: list[str] = []

    def read(self) -> tuple[str, dict[str, object]] | None:
        """Its strict form of the same length, and its value; None where it is not an object."""
        try:
            self._container(0)
            value = _DECODER.decode("".join(self._parts).replace(_QUOTE, '\\"'))
        except (ValueError, RecursionError):
            return None
        n = self._at - self._start
        excess = max(0, sum(map(len, self._parts)) - n)
        for i, part in enumerate(self._parts):
            if not part.strip(" "):
                self._parts[i] = part[excess:]
                excess -= len(part) - len(self._parts[i])
        strict = "".join(self._parts).replace(_QUOTE, "'").ljust(n)
        return None if excess else (strict, value)

    @property
    def _next(self) -> str:
        return self._text[self._at : self._at + 1]

    def _container(self, depth: int) -> None:
        opening = self._next
        closing = {"{": "}", "[": "]"}[opening]
        self._take(opening)
        self._blank()
        while self._next != closing and depth < _DEEPEST:
            if opening == "{":
                self._key()
                self._take(":")
                self._blank()
            self._value(opening, depth)
            if self._next != closing:
                self._take(",")
                self._blank()
                if self._next == closing:
                    self._parts[-2] = " "
        self._take(closing)
        self._blank()

    def _value(self, container: str, depth: int) -> None:
        scalar = _SCALAR.match(self._text, self._at)
        if self._next and self._next in "{[":
            self._container(depth + 1)
        elif scalar:
            self._write(_CONSTANTS.get(scalar[0].lower(), scalar[0]), scalar)
        else:
            self._string(container)
        self._blank()

    def _key(self) -> None:
        name = _NAME.match(self._text, self._at)
        if name:
            self._write(f'"{name[0]}"', name)
        else:
            self._string(":")
        self._blank()

    def _string(self, place: str) -> None:
        if self._quotes_within:
            form = _STRINGS_WITH_QUOTES.get((self._next, place))
        else:
            form = _STRINGS.get(self._next)
        match = form.match(self._text, self._at) if form else None
        if match is None:
            raise ValueError
        inner = _ESCAPE.sub(_escaped, match[1])
        self._write(f'"{inner}"', match)
        self._parts.append(" " * (len(match[0]) - len(inner) - 2))

    def _blank(self) -> None:
        match = _BLANK.match(self._text, self._at)
        assert match is not None
        self._write(re.sub(r"\S", " ", match[0]), match)

    def _take(self, mark: str) -> None:
        if self._next != mark:
            raise ValueError
        self._parts.append(mark)
        self._at += 1

    def _write(self, text: str, match: re.Match[str]) -> None:
        self._parts.append(text)
        self._at = match.end()


def _escaped(match: re.Match[str]) -> str:
    """What stands for a quote or a backslash that JSON does not allow; never longer."""
    return match[0] if len(match[0]) > 1 else {'"': _QUOTE, "\\": ""}[match[0]]
