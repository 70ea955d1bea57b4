"""``autointerp show``: one unit with its scores and exemplars."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.console import print_json, result_console
from autointerp.cli.reading import UnitView, read_unit
from autointerp.cli.showing import print_view


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def show(
        unit: Annotated[
            str, typer.Argument(help="5:131 or smollm2-135m/blocks.5.mlp.hook_post/131.")
        ],
        folder: Annotated[
            Path, typer.Option("--dir", help="Folder of a run or of a dictionary.")
        ] = Path("runs/demo"),
        server: Annotated[
            str | None, typer.Option(help="Address of a server, in place of a folder.")
        ] = None,
        full: Annotated[
            bool, typer.Option("--full", help="Whole windows, and all of them.")
        ] = False,
        as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
    ) -> None:
        """Shows a unit: explanations, scores, statistics and coloured exemplars."""
        views = read_unit(folder, unit) if server is None else _from_server(server, unit)
        if as_json:
            print_json([_view_json(view) for view in views])
            return
        console = result_console()
        for place, view in enumerate(views):
            if place:
                console.rule()
            print_view(view, console, full=full)


def _from_server(server: str, unit: str) -> tuple[UnitView, ...]:
    # Imported when it is needed: it brings the client.
    from autointerp.cli.show_remote import read_remote_unit  # noqa: PLC0415

    return read_remote_unit(server, unit)


def _view_json(view: UnitView) -> dict[str, object]:
    return {"unit": str(view.label.unit), **asdict(view)}
