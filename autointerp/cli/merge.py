"""``autointerp merge``: shards of one collection, put together."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.collected import collected_json, print_collected
from autointerp.cli.console import print_json


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def merge(
        folders: Annotated[
            list[Path], typer.Argument(metavar="DIR...", help="Folders that collect made.")
        ],
        out: Annotated[Path, typer.Option(help="Folder of the merged summary.")],
        partial: Annotated[
            bool, typer.Option("--partial", help="Merge although shards are missing.")
        ] = False,
        as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
    ) -> None:
        """Merges shards in any order into what one pass would have given."""
        from autointerp.collecting import merge_folders  # noqa: PLC0415 - brings torch

        found = merge_folders(folders, out=out, partial=partial)
        if as_json:
            print_json(collected_json(found))
        else:
            print_collected(found)
