"""``autointerp download``: the feature dictionary of a server."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.console import print_json, result_console
from autointerp.cli.remote import AsJson, Server, connected


class Format(StrEnum):
    """How the dictionary is written."""

    PARQUET = "parquet"
    JSONL = "jsonl"
    NEURONPEDIA = "neuronpedia"
    """A tar of the tree that Neuronpedia imports."""


_SUFFIXES = {Format.PARQUET: ".parquet", Format.JSONL: ".jsonl", Format.NEURONPEDIA: ".tar"}


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def download(
        model: Annotated[str, typer.Argument(help="Whose labels.")] = "smollm2-135m",
        fmt: Annotated[Format, typer.Option("--format", help="How it is written.")] = (
            Format.PARQUET
        ),
        out: Annotated[Path | None, typer.Option(help="The file.")] = None,
        server: Server = None,
        as_json: AsJson = False,
    ) -> None:
        """Downloads all labels of a model; a download that was cut goes on where it was."""
        target = out or Path(f"{model}{_SUFFIXES[fmt]}")
        with connected(server) as client:
            path = client.download(model, target, format=fmt.value)
        size = path.stat().st_size
        if as_json:
            print_json({"path": str(path), "bytes": size})
        else:
            result_console().print(f"{path} ({size:,} bytes)", soft_wrap=True)
