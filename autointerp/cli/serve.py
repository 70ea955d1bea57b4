"""``autointerp serve``: the API on a Redis, or with everything it needs on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.rendering.console import say
from autointerp.core.errors import InputError

_Host = Annotated[str, typer.Option(help="Address to listen on.")]
_Port = Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65_535)]
_Embedded = Annotated[bool, typer.Option("--embedded", help="Start Redis and workers as well.")]
_Redis = Annotated[
    str | None, typer.Option(metavar="URL", help="Redis that is shared with workers.")
]
_Rescored = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="DIR",
        help="Folder of rescore --out, whose pages show both texts side by side; repeatable.",
    ),
]
_Data = Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for --embedded's data.")]


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(epilog="Example: autointerp serve --embedded")
    def serve(
        host: _Host = "127.0.0.1",
        port: _Port = 8000,
        embedded: _Embedded = False,
        redis: _Redis = None,
        data: _Data = None,
        rescored: _Rescored = None,
    ) -> None:
        """Serves the API; with --embedded everything that it needs on this machine."""
        say("loading the server")
        # Imported when the command runs: they bring FastAPI.
        from autointerp.serving.launch import serve_api, serve_everything  # noqa: PLC0415
        from autointerp.settings import read_settings  # noqa: PLC0415

        if embedded and redis is not None:
            msg = "--embedded starts a Redis of its own; leave out --redis or --embedded"
            raise InputError(msg)
        folders = None if rescored is None else tuple(rescored)
        changes = {"redis_url": redis, "data_dir": data, "rescored": folders}
        settings = read_settings().model_copy(
            update={name: value for name, value in changes.items() if value is not None}
        )
        if embedded:
            serve_everything(settings, host=host, port=port, on_event=say)
        else:
            serve_api(settings, host=host, port=port)
