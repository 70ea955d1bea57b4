"""Predicates over a token and its context, and how they are read: see `programs.language`."""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable, Sequence

from autointerp.core.characters import join_tokens
from autointerp.core.errors import InputError
from autointerp.programs.safe_regex import SafeRegex, compile_safely

_DEEPEST = 20
_N_CONTEXT = 64
_LONGEST_TOKEN = 64
_LONGEST_CONTEXT = 256

_COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "<": operator.lt,
    "=": operator.eq,
    ">": operator.gt,
}
_LEXEME = re.compile(
    r'\s*(?:(?P<string>"(?:[^"\\]|\\.)*")|(?P<regex>/(?:[^/\\]|\\.)+/\w*)'
    r"|(?P<number>\d+)|(?P<word>[a-z]+)|(?P<sign>[()=~<>]))"
)


class Place:
    """A token of a window, with its context."""

    def __init__(
        self, tokens: Sequence[str], position: int, run: range, before: range | None
    ) -> None:
        """The run holds the tokens that share a character with this one; before is the last run."""
        self.position = position
        self.tokens = {tokens[position], join_tokens(tokens[run.start : run.stop])}
        """How the token may be spelled: alone, and with the others of its character."""
        self.previous = {tokens[position - 1]} if position else set()
        """The same of the token before."""
        if before is not None:
            self.previous.add(join_tokens(tokens[before.start : before.stop]))
        self._tokens, self._end = tokens, run.stop

    def text(self, where: str) -> str:
        """What ``before`` and ``after`` look at."""
        end = self._end
        if where == "before":
            return join_tokens(self._tokens[max(0, end - _N_CONTEXT) : end])[-_LONGEST_CONTEXT:]
        return join_tokens(self._tokens[end : end + _N_CONTEXT])[:_LONGEST_CONTEXT]


Predicate = Callable[[Place], bool]
"""A statement about a place, true or false."""


def parse_predicate(text: str) -> tuple[Predicate, int]:
    """(the predicate, most steps that its regular expressions may take at one token).

    Raises:
        InputError: it is malformed, or could take too long.
    """
    parser = _Parser(text)
    predicate = parser.any_of(0)
    parser.expect_end()
    return predicate, parser.n_steps


class _Parser:
    """Reads one predicate, left to right."""

    def __init__(self, text: str) -> None:
        self.n_steps = 0
        self._lexemes = _split(text)
        self._next = 0

    def any_of(self, depth: int) -> Predicate:
        parts = [self._all_of(depth)]
        while self._accept("or"):
            parts.append(self._all_of(depth))
        return parts[0] if len(parts) == 1 else lambda place: any(part(place) for part in parts)

    def expect_end(self) -> None:
        if self._next < len(self._lexemes):
            raise InputError(f"expected and, or, or the end of the line before {self._seen()}")

    def _all_of(self, depth: int) -> Predicate:
        parts = [self._one(depth)]
        while self._accept("and"):
            parts.append(self._one(depth))
        return parts[0] if len(parts) == 1 else lambda place: all(part(place) for part in parts)

    def _one(self, depth: int) -> Predicate:
        if depth > _DEEPEST:
            raise InputError(f"not and parentheses are nested more than {_DEEPEST} deep")
        if self._accept("not"):
            negated = self._one(depth + 1)
            return lambda place: not negated(place)
        if self._accept("("):
            inner = self.any_of(depth + 1)
            if not self._accept(")"):
                raise InputError(f"expected a closing parenthesis before {self._seen()}")
            return inner
        return self._comparison()

    def _comparison(self) -> Predicate:
        seen = self._seen()
        (_, what), (_, sign), (kind, value) = (self._take() for _ in range(3))
        if what in ("token", "previous") and (sign, kind) == ("=", "string"):
            text = _string(value)
            if what == "token":
                return lambda place: text in place.tokens
            return lambda place: text in place.previous
        if (what, sign, kind) == ("token", "~", "regex"):
            whole = self._regex(value, _LONGEST_TOKEN, places=1)
            return lambda place: any(
                len(token) <= whole.n_chars and bool(whole.pattern.fullmatch(token))
                for token in place.tokens
            )
        if what in ("before", "after") and (sign, kind) == ("~", "regex"):
            part = self._regex(value, _LONGEST_CONTEXT, places=_LONGEST_CONTEXT + 1)
            return lambda place: part.pattern.search(place.text(what)) is not None
        if what == "position" and sign in _COMPARISONS and kind == "number":
            bound, compared = int(value[:9]), _COMPARISONS[sign]
            return lambda place: compared(place.position, bound)
        raise InputError(
            'expected token = "x", token ~ /regex/, previous = "x", before ~ /regex/, '
            f"after ~ /regex/ or position < 3 at {seen}"
        )

    def _regex(self, literal: str, n_chars: int, *, places: int) -> SafeRegex:
        end = literal.rindex("/")
        flags = literal[end + 1 :]
        if flags not in ("", "i"):
            raise InputError(f"a regular expression takes no flag but i, found {flags!r}")
        regex = compile_safely(literal[1:end], n_chars=n_chars, ignore_case=bool(flags))
        self.n_steps += places * regex.steps
        return regex

    def _take(self) -> tuple[str, str]:
        self._next += 1
        taken = self._next <= len(self._lexemes)
        return self._lexemes[self._next - 1] if taken else ("end", "")

    def _accept(self, text: str) -> bool:
        result = self._next < len(self._lexemes) and self._lexemes[self._next][1] == text
        self._next += result
        return result

    def _seen(self) -> str:
        if self._next < len(self._lexemes):
            return repr(self._lexemes[self._next][1][:40])
        return "the end of the line"


def _split(text: str) -> list[tuple[str, str]]:
    """(kind, text) of every lexeme."""
    lexemes: list[tuple[str, str]] = []
    cursor = 0
    text = text.rstrip()
    while cursor < len(text):
        match = _LEXEME.match(text, cursor)
        if match is None:
            raise InputError(f"cannot read {text[cursor:].strip()[:40]!r}")
        kind = match.lastgroup or ""
        lexemes.append((kind, match[kind]))
        cursor = match.end()
    return lexemes


def _string(literal: str) -> str:
    try:
        return str(json.loads(literal, strict=False))
    except ValueError as error:
        raise InputError(f"{literal[:40]} is not a JSON string: {error}") from error
