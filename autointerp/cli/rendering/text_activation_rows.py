"""What units do on a text: tokens in rows, the activation below each; and the strongest units."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from autointerp.cli.rendering.console import (
    number,
    plain_table,
    short,
    visible,
    visible_token,
)
from autointerp.cli.rendering.token_colours import Colours, TokenPainter
from autointerp.cli.text_units import TextUnit
from autointerp.core.characters import join_tokens, whole_characters
from autointerp.core.ids import UnitId

_WIDE = 100
_LONGEST = 120
_SIGNS = {"positive": "+", "negative": "-"}


def print_text_units(tokens: Sequence[str], units: Sequence[TextUnit], console: Console) -> None:
    """Prints a block a unit and side: what its label says, and the tokens with their values."""
    colours = Colours.of(console)
    for place, unit in enumerate(units):
        if place:
            console.print()
        for part in _parts(tokens, unit, colours, console.width):
            console.print(part)


def _parts(
    tokens: Sequence[str], unit: TextUnit, colours: Colours, width: int
) -> Iterator[RenderableType]:
    side = "" if unit.side is None else f"  {unit.side} side"
    yield Text(visible(str(unit.unit)), "bold", overflow="fold").append(side, "not bold")
    if unit.description is not None:
        score = "" if unit.score is None else f"{number(unit.score)}  "
        yield Text(f"{score}{visible(unit.description)}", "italic", overflow="fold")
    yield from token_lines(tokens, unit, TokenPainter(unit.scale, colours), width)
    yield Text(_scale(tokens, unit), "dim")


def _scale(tokens: Sequence[str], unit: TextUnit) -> str:
    tokens, values = whole_characters(tokens, unit.values)
    at = max(range(len(tokens)), key=lambda i: unit.size(values[i]))
    strongest = f'strongest {short(values[at])} at "{visible_token(tokens[at])}"'
    if unit.peak:
        share = f"{max(0.0, values[at]) / unit.peak:.0%}"
        return f"{strongest}: {share} of {short(unit.peak)}, its peak in the explain text"
    return f"{strongest}; the unit has no label here, so the scale ends there"


def token_lines(
    tokens: Sequence[str], unit: TextUnit, painter: TokenPainter, width: int
) -> Iterator[Text]:
    """The tokens in rows of at most that width, below each its value; the strongest underlined.

    Tokens that share a character are one, with the greatest of their values.
    """
    tokens, values = whole_characters(tokens, unit.values)
    at = max(range(len(values)), key=lambda i: unit.size(values[i]))
    # Three digits at the end of the scale; what is much smaller is 0.
    digits = max(0, 2 - math.floor(math.log10(painter.peak)))
    above, below = Text(overflow="fold"), Text(overflow="fold", style="dim")
    for i, (token, value) in enumerate(zip(tokens, values, strict=True)):
        shown = painter.paint_one(token, unit.size(value), at_peak=i == at)
        figure = f"{round(value, digits) + 0.0:.{digits}f}"
        room = max(shown.cell_len, cell_len(figure)) + 1
        if above.cell_len and above.cell_len + room > width:
            yield from (above, below)
            above, below = Text(overflow="fold"), Text(overflow="fold", style="dim")
        above.append_text(shown).append(" " * (room - shown.cell_len))
        below.append(figure.ljust(room))
    yield from (above, below)


def print_strongest(found: Mapping[str, Any], console: Console) -> None:
    """Prints the strongest units on a text, a row each."""
    console.print(Text(visible(join_tokens(found["tokens"])), "italic", overflow="fold"))
    known = found["ranked_by"] == "relative"
    by = (
        "by their activation as a share of their largest in the collection; units without a label "
        "follow by activation"
        if known
        else "by activation: no label tells what is much for these units"
    )
    console.print(Text(f"strongest of {len(found['hooks'])} hook points, {by}", "dim"))
    console.print(_strongest_table(found["units"], wide=console.width >= _WIDE))


def _strongest_table(units: Sequence[Mapping[str, Any]], *, wide: bool) -> Table:
    table = plain_table(
        "unit", "share", "activation", "token", *(["score"] if wide else []), "label"
    )
    for column in (1, 2):
        table.columns[column].justify = "right"
    for one in units:
        unit = UnitId.parse(one["unit"])
        share = "-" if one["relative"] is None else f"{one['relative']:.0%}"
        token = Text(f"{visible_token(one['token'])} ({one['position']})")
        name = f"{visible(unit.short)} {_SIGNS[one['side']]}"
        cells: list[str | Text] = [Text(name), share, short(one["activation"]), token]
        scores = [number(one["score"])] if wide else []
        table.add_row(*cells, *scores, Text(_cut(one["description"] or "-")))
    return table


def _cut(text: str) -> str:
    shown = visible(text)
    return shown if len(shown) <= _LONGEST else f"{shown[: _LONGEST - 1]}…"
