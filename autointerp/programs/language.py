r"""Explanations that are programs: a small language over tokens and their context.

A program is rules, one a line; empty lines and lines that begin with ``#`` say nothing::

    10: token = " York" and previous = " New"
    3: token ~ /\s?(May|June)/i and not before ~ /\bmaybe\b/

``LEVEL: PREDICATE``, the level a number 0..10 with at most two decimals. A token's level is the
highest of the rules whose predicates hold there, 0 where none does. Predicates, with ``not``,
``and``, ``or`` (binding in that order) and parentheses:

- ``token = "x"``: the token is exactly x; strings are JSON strings.
- ``token ~ /regex/``: the expression matches the whole token; none matches a token of more than
  64 characters. ``/regex/i`` ignores case; ``\/`` is a slash.
- ``previous = "x"``: the token before is exactly x; never at the first token.
- ``before ~ /regex/``: found in the text of the last 64 tokens, this one included, of which the
  last 256 characters are looked at.
- ``after ~ /regex/``: found in the text of the next 64 tokens, its first 256 characters.
- ``position < 3``: 0-based position in the window, BOS not counted; ``=`` and ``>`` likewise.

A token that holds part of a character is its bytes, ``"\\xe6"``, and where all its parts are there
also the whole character.

Nothing is evaluated as Python. Programs come from LLMs and strangers, so their size is limited and
regular expressions that could take long are refused: see `programs.safe_regex`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate

from autointerp.core.characters import character_runs
from autointerp.core.errors import InputError
from autointerp.core.records import MAX_LEVEL
from autointerp.programs.predicates import Place, Predicate, parse_predicate

MAX_RULES = 32
MOST_STEPS = 2**26
"""Steps of all expressions of an explanation at one token, counted from above: room for two that
search the context with two open repeats each, which take 0.05 s at the very worst."""
MOST_STEPS_OF_WINDOWS = 2**38
"""The same at all tokens of the windows that are scored together, some minutes at the worst."""
_LEVEL = re.compile(r"[0-9]{1,2}(\.[0-9]{1,2})?")
_LONGEST_SOURCE = 4_000
_TOO_SLOW = (
    "the regular expressions could take too long; bound their repeats, for example "
    r"\w{1,12} instead of \w+"
)
_KNOWN = 1024
"""Programs that are not parsed again: that takes longer than a window, of which a unit has many."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a program."""

    level: float
    """0..10."""
    predicate: Predicate = field(compare=False, repr=False)
    """As the text says it."""
    text: str
    """The line, without white space around it."""
    n_steps: int = field(compare=False)
    """Most steps of its regular expressions at one token."""


@dataclass(frozen=True, slots=True)
class Program:
    """Rules that give every token a level."""

    rules: tuple[Rule, ...]

    @property
    def source(self) -> str:
        """The rules, one a line."""
        return "\n".join(rule.text for rule in self.rules)

    @property
    def sentence(self) -> str:
        """The rules on one line, for people."""
        return "; ".join(rule.text for rule in self.rules)

    @property
    def level(self) -> float:
        """The greatest level that it can predict."""
        return max(rule.level for rule in self.rules)

    @property
    def n_steps(self) -> int:
        """Most steps of its regular expressions at one token."""
        return sum(rule.n_steps for rule in self.rules)

    def levels(self, tokens: Sequence[str]) -> tuple[float, ...]:
        """The level 0..10 of every token of a window, whose tokens are given without BOS."""
        runs = character_runs(tokens)
        places = (
            Place(tokens, position, run, before)
            for before, run in zip([None, *runs], runs, strict=False)
            for position in run
        )
        return tuple(self._level(place) for place in places)

    def level_at(self, tokens: Sequence[str], position: int) -> float:
        """The level of one token alone, by its 0-based position: that of `levels`."""
        before = None
        for run in character_runs(tokens):
            if position in run:
                return self._level(Place(tokens, position, run, before))
            before = run
        raise IndexError(position)

    def _level(self, place: Place) -> float:
        best = 0.0
        for rule in self.rules:
            if rule.level > best and rule.predicate(place):
                best = rule.level
        return best


@lru_cache(maxsize=_KNOWN)
def parse_program(source: str) -> Program:
    """The program that a source spells.

    Raises:
        InputError: it is malformed, is too large, or could take too long; the line is named.
    """
    if len(source) > _LONGEST_SOURCE:
        msg = f"the program has {len(source)} characters, at most {_LONGEST_SOURCE} are allowed"
        raise InputError(msg)
    read = _Rules()
    for number, line in enumerate(source.split("\n"), 1):
        text = line.strip()
        if text and not text.startswith("#"):
            try:
                read.add(text)
            except InputError as error:
                raise InputError(f"line {number}: {error}") from error
    if not read.rules:
        raise InputError("the program has no rule; write one on each line, LEVEL: PREDICATE")
    return Program(tuple(read.rules))


def n_windows_in_time(n_steps: int, lengths: Sequence[int]) -> int:
    """On how many windows, any of those with so many tokens, expressions may be run.

    None where one token takes too long already.
    """
    n_left = 0 if n_steps > MOST_STEPS else MOST_STEPS_OF_WINDOWS // max(1, n_steps)
    return sum(so_far <= n_left for so_far in accumulate(sorted(lengths, reverse=True)))


def usable_rules(lines: Sequence[str], *, most_steps: int) -> tuple[Program | None, list[str]]:
    """The program of the rules that can be used, None without any, and why others cannot.

    One that cannot be read, or for which the steps do not suffice, costs only itself.
    """
    read, problems = _Rules(most_steps), []
    for number, line in enumerate(lines, 1):
        try:
            read.add(line.strip())
        except InputError as error:
            problems.append(f"rule {number} cannot be used: {error}")
    return Program(tuple(read.rules)) if read.rules else None, problems


class _Rules:
    """Rules read one by one, within the limits of a program."""

    def __init__(self, most_steps: int = MOST_STEPS) -> None:
        self.rules: list[Rule] = []
        self._n_chars, self._n_steps, self._most_steps = 0, 0, most_steps

    def add(self, text: str) -> None:
        """Adds the rule that a line is.

        Raises:
            InputError: it is malformed, or beyond a limit; it is left out then.
        """
        n_chars = self._n_chars + len(text) + 1
        if n_chars - 1 > _LONGEST_SOURCE:
            msg = f"the rules have {n_chars - 1} characters, at most {_LONGEST_SOURCE} are allowed"
            raise InputError(msg)
        rule = _parse_rule(text)
        if len(self.rules) == MAX_RULES:
            raise InputError(f"a program has at most {MAX_RULES} rules")
        if self._n_steps + rule.n_steps > self._most_steps:
            raise InputError(_TOO_SLOW)
        self.rules.append(rule)
        self._n_chars, self._n_steps = n_chars, self._n_steps + rule.n_steps


def _parse_rule(text: str) -> Rule:
    head, colon, rest = text.partition(":")
    if not (colon and _LEVEL.fullmatch(head.strip()) and float(head) <= MAX_LEVEL):
        msg = f"a rule begins with a number from 0 to {MAX_LEVEL} and a colon: {text[:60]!r}"
        raise InputError(msg)
    predicate, n_steps = parse_predicate(rest)
    return Rule(float(head), predicate, text, n_steps)
