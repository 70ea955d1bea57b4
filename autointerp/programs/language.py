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

from autointerp.core.characters import character_runs
from autointerp.core.errors import InputError
from autointerp.core.records import MAX_LEVEL
from autointerp.programs.predicates import Place, Predicate, parse_predicate

MAX_RULES = 32
_LEVEL = re.compile(r"[0-9]{1,2}(\.[0-9]{1,2})?")
_LONGEST_SOURCE = 4_000
# Of all expressions of a program at one token, counted from above: room for two that search the
# context with two open repeats each, which take 0.05 s at the very worst.
_MOST_STEPS = 2**26


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of a program."""

    level: float
    """0..10."""
    predicate: Predicate = field(compare=False, repr=False)
    """As the text says it."""
    text: str
    """The line, without white space around it."""


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

    def levels(self, tokens: Sequence[str]) -> tuple[float, ...]:
        """The level 0..10 of every token of a window, whose tokens are given without BOS."""
        runs = character_runs(tokens)
        places = (
            Place(tokens, position, run, before)
            for before, run in zip([None, *runs], runs, strict=False)
            for position in run
        )
        return tuple(self._level(place) for place in places)

    def _level(self, place: Place) -> float:
        best = 0.0
        for rule in self.rules:
            if rule.level > best and rule.predicate(place):
                best = rule.level
        return best


def parse_program(source: str) -> Program:
    """The program that a source spells.

    Raises:
        InputError: it is malformed, is too large, or could take too long; the line is named.
    """
    if len(source) > _LONGEST_SOURCE:
        msg = f"the program has {len(source)} characters, at most {_LONGEST_SOURCE} are allowed"
        raise InputError(msg)
    rules: list[Rule] = []
    n_steps = 0
    for number, line in enumerate(source.split("\n"), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            rule, steps = _parse_rule(text)
        except InputError as error:
            raise InputError(f"line {number}: {error}") from error
        rules.append(rule)
        n_steps += steps
        if len(rules) > MAX_RULES:
            raise InputError(f"line {number}: a program has at most {MAX_RULES} rules")
        if n_steps > _MOST_STEPS:
            raise InputError(
                f"line {number}: the regular expressions could take too long; bound their "
                r"repeats, for example \w{1,12} instead of \w+"
            )
    if not rules:
        raise InputError("the program has no rule; write one a line, LEVEL: PREDICATE")
    return Program(tuple(rules))


def _parse_rule(text: str) -> tuple[Rule, int]:
    """(the rule, most steps of its expressions at one token)."""
    head, colon, rest = text.partition(":")
    if not (colon and _LEVEL.fullmatch(head.strip()) and float(head) <= MAX_LEVEL):
        msg = f"a rule begins with a number from 0 to {MAX_LEVEL} and a colon: {text[:60]!r}"
        raise InputError(msg)
    predicate, n_steps = parse_predicate(rest)
    return Rule(float(head), predicate, text), n_steps
