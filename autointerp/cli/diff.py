"""``autointerp diff``: two dictionaries of the same units, label by label."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autointerp.cli.command_options import AsJson
from autointerp.cli.rendering.console import print_json, result_console, say
from autointerp.core.errors import InputError

if TYPE_CHECKING:
    from autointerp.dictionary.comparison import Pair


class Only(StrEnum):
    """Which units are shown."""

    CHANGED = "changed"
    """Another text, other rules, another explainer, prompt or status."""
    MOVED = "moved"
    """A score that moved beyond chance, the label's or the LLM's."""
    ALL = "all"

    def shows(self, pair: Pair) -> bool:
        """Whether the unit is one of them."""
        return self is Only.ALL or bool(
            pair.changed if self is Only.CHANGED else pair.moved or pair.llm_moved
        )


_A = Annotated[Path, typer.Argument(metavar="A", help="Dictionary, or its .parquet or .jsonl.gz.")]
_B = Annotated[Path, typer.Argument(metavar="B", help="Another one of the same units.")]
_Only = Annotated[Only, typer.Option(help="Units that are shown.")]
_Force = Annotated[
    bool, typer.Option("--force", help="Compare although subject, corpus or seed differ.")
]


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(epilog="Example: autointerp diff runs/a runs/b")
    def diff(
        a: _A, b: _B, only: _Only = Only.ALL, force: _Force = False, as_json: AsJson = False
    ) -> None:
        """Compares two dictionaries: labels that changed, scores that moved."""
        say(f"reading {a} and {b}")
        # Imported when the command runs: they bring Arrow and numpy.
        from autointerp.cli.rendering.diff_table import (  # noqa: PLC0415
            comparison_json,
            print_comparison,
        )
        from autointerp.dictionary.comparison import compare_tables  # noqa: PLC0415
        from autointerp.dictionary.label_tables import (  # noqa: PLC0415
            differing_inputs,
            read_label_table,
        )

        tables = read_label_table(a), read_label_table(b)
        differing = differing_inputs(*tables)
        if differing and not force:
            reasons = "; ".join(differing)
            msg = f"{a} and {b} cannot be compared fairly: {reasons}; add --force to do it anyway"
            raise InputError(msg)
        for phrase in differing:
            say(f"not the same: {phrase}")
        if None in (tables[0].manifest, tables[1].manifest):
            say("a label file names no seed: whether they are the same is not known")
        comparison = compare_tables(*tables)
        shown = [pair for pair in comparison.pairs if only.shows(pair)]
        if as_json:
            print_json(comparison_json(comparison, shown, a, b, differing=differing))
        else:
            print_comparison(comparison, shown, result_console())
