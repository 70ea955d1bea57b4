"""``autointerp export``: a feature dictionary in another format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.console import print_json, result_console


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def export(
        folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of the dictionary.")],
        fmt: Annotated[
            str, typer.Option("--format", help="parquet, jsonl, neuronpedia or neuron-record.")
        ],
        out: Annotated[Path, typer.Option(help="File or folder to write.")],
        as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
    ) -> None:
        """Writes a feature dictionary in another format."""
        from autointerp.dictionary import (  # noqa: PLC0415 - brings pyarrow
            export_dictionary,
            open_dictionary,
        )

        made = export_dictionary(open_dictionary(folder), fmt, out)
        if as_json:
            print_json({"format": fmt, "path": str(made)})
        else:
            result_console().print(f"written: {made}", soft_wrap=True)
