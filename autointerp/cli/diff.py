"""``autointerp diff``: two dictionaries of the same units, label by label."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.console import print_json, result_console, say
from autointerp.core.errors import InputError


class Only(StrEnum):
    """Which units are shown."""

    CHANGED = "changed"
    """Another text, explainer, prompt or status."""
    MOVED = "moved"
    """A score that moved beyond chance."""
    ALL = "all"


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def diff(
        a: Annotated[
            Path, typer.Argument(metavar="A", help="Dictionary, or its .parquet or .jsonl.gz.")
        ],
        b: Annotated[Path, typer.Argument(metavar="B", help="Another one of the same units.")],
        only: Annotated[Only, typer.Option(help="Units that are shown.")] = Only.ALL,
        force: Annotated[
            bool, typer.Option("--force", help="Also of another subject, corpus or seed.")
        ] = False,
        as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
    ) -> None:
        """Compares two dictionaries: labels that changed, scores that moved."""
        # Imported when the command runs: they bring Arrow and numpy.
        from autointerp.cli.diff_table import comparison_json, print_comparison  # noqa: PLC0415
        from autointerp.dictionary.comparison import compare_tables  # noqa: PLC0415
        from autointerp.dictionary.label_tables import (  # noqa: PLC0415
            differing_inputs,
            read_label_table,
        )
        from autointerp.pipeline.paired_labels import difference_of_labels  # noqa: PLC0415

        tables = read_label_table(a), read_label_table(b)
        differing = differing_inputs(*tables)
        if differing and not force:
            msg = f"{a} and {b} cannot be compared fairly: {'; '.join(differing)}; --force does it"
            raise InputError(msg)
        for phrase in differing:
            say(f"not the same: {phrase}")
        if None in (tables[0].manifest, tables[1].manifest):
            say("a label file says neither corpus nor seed: whether they are the same is not known")
        found = compare_tables(*tables, paired=difference_of_labels)
        if as_json:
            print_json(comparison_json(found, a, b, differing=differing, only=only))
        else:
            print_comparison(found, result_console(), only=only)
