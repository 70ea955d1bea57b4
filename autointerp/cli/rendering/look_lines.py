"""Facts as lines of a name and a value, as `inspect` prints them."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from autointerp.cli.rendering.console import visible


def fact_table(facts: Mapping[str, str | None]) -> Table:
    """A line a fact, or several; those that are not known are left out."""
    table = Table.grid(padding=(0, 2))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in facts.items():
        for place, line in enumerate([] if value is None else value.split("\n")):
            table.add_row(Text("" if place else name, "bold"), Text(visible(line)))
    return table


def share(part: int, whole: int) -> str:
    """``12 of 40 (30 %)``."""
    return f"{part:,} of {whole:,} ({100 * part / max(1, whole):.1f} %)"
