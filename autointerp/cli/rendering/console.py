"""What the terminal gets: results on stdout, all else on stderr, exit codes, readable numbers."""

from __future__ import annotations

import json
import os
import sys
import unicodedata
from collections.abc import Sequence
from enum import IntEnum
from functools import cache

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autointerp.core.addresses import shown_addresses
from autointerp.core.scores import Score, ScorerResult

_BARS = " ▁▂▃▄▅▆▇█"
_NAMED = {"\n": "↵", "\t": "⇥"}
_JOINERS = "\u200c\u200d"
# Control and format characters (escape sequences, text direction), surrogates, unassigned and
# private ones, line and paragraph separators.
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"})


class ExitCode(IntEnum):
    """The exit code of a command; 0 where everything was done."""

    SOME_FAILED = 1
    """Some units failed, or a check did not pass."""
    INPUT = 2
    """The input was wrong."""
    UPSTREAM = 3
    """An LLM, a store or the disk could not be used."""
    BUG = 70
    INTERRUPTED = 130


def result_console(*, stderr: bool = False) -> Console:
    """The console for the result of a command, on stdout."""
    dumb = os.environ.get("TERM") == "dumb"
    return Console(
        stderr=stderr, highlight=False, emoji=False, markup=False, no_color=True if dumb else None
    )


def side_console() -> Console:
    """The console for progress, notes and errors, on stderr."""
    return result_console(stderr=True)


def say(message: str, *, label: str = "", style: str = "") -> None:
    """Prints one sentence on stderr; the terminal wraps it, so that paths stay whole."""
    text = Text().append(label, style).append(told(message))
    side_console().print(text, soft_wrap=True)


@cache
def say_loading() -> None:
    """Says once that the libraries are loaded, which takes seconds, if they are not there yet."""
    if "torch" not in sys.modules:
        say("loading the libraries")


def told(message: str) -> str:
    """A message as it is printed: nothing in it controls a terminal or is a password."""
    return visible(shown_addresses(message))


def no_answer(reason: str) -> str:
    """The sentence for a run in which every question to an LLM failed."""
    return f"every question to the LLM failed; the first: {reason}"


def print_json(value: object) -> None:
    """Prints one JSON document on stdout, in ASCII so that any pipe carries it."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=True, allow_nan=False))


def plain_table(*columns: str, expand: bool = False) -> Table:
    """A table with a rule below its head and no other lines, with these columns."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, expand=expand)
    for name in columns:
        table.add_column(name, overflow="fold")
    return table


def counted(n: int, noun: str) -> str:
    """``1 label``, ``2 labels``."""
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def number(value: float | None) -> str:
    """Two decimals; a dash for what is undefined."""
    # Adding 0.0 keeps a rounded-off negative from reading -0.00.
    return "-" if value is None else f"{round(value, 2) + 0.0:.2f}"


def short(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}"


def interval(score: Score) -> str:
    """The value with its interval: ``0.42 [0.31, 0.52]``."""
    if score.value is None or score.low is None or score.high is None:
        return number(score.value)
    return f"{number(score.value)} [{number(score.low)}, {number(score.high)}]"


def score_cell(result: ScorerResult, score: Score, *, wide: bool) -> str:
    """A score, with its interval where there is room; that its scorer failed where it did."""
    if result.failure is not None:
        return "failed"
    return interval(score) if wide else number(score.value)


def bars(counts: Sequence[int], *, width: int) -> str:
    """A row of at most ``width`` bars whose heights are square roots of counts.

    The root keeps few strong activations in sight beside many weak ones; a count above zero is
    never shown as nothing. Neighbours are added up where there are more counts than room.
    """
    step = -(-len(counts) // max(width, 1)) or 1
    roots = [sum(counts[i : i + step]) ** 0.5 for i in range(0, len(counts), step)]
    top = max(roots, default=0.0)
    if top <= 0:
        return " " * len(roots)
    full = len(_BARS) - 1
    return "".join(_BARS[0 if r <= 0 else max(1, round(full * r / top))] for r in roots)


def visible(text: str) -> str:
    """The text on one line, every character that a terminal would obey written out.

    Joiners (ZWJ, ZWNJ) stay between two characters that they belong to, as in emoji and Persian.
    """
    around = zip(" " + text, text, text[1:] + " ", strict=False)
    return "".join(
        _NAMED.get(c) or (c if c in _JOINERS and _joined(before, after) else _written_out(c))
        for before, c, after in around
    )


def _joined(before: str, after: str) -> bool:
    """Whether a joiner between the two may change how they look; none of ASCII does."""
    kinds = {unicodedata.category(character)[0] for character in before + after}
    return kinds <= set("LMNS") and min(before, after) > "\x7f"


def visible_token(token: str) -> str:
    """`visible` for one token; a token of spaces alone is shown as dots, an empty one as ∅."""
    if not token:
        return "∅"
    if not token.strip(" "):
        return "·" * len(token)
    return visible(token)


def _written_out(character: str) -> str:
    if unicodedata.category(character) not in _HIDDEN:
        return character
    return character.encode("unicode_escape").decode("ascii")
