"""``autointerp search``: the units whose labels have some words, or mean what a text does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from autointerp.cli.command_options import AsJson, Server
from autointerp.cli.folder_words import (
    SERVER_HELP,
    FolderOption,
    FolderWords,
    is_dictionary,
    label_folder,
)
from autointerp.cli.option_groups import with_options
from autointerp.cli.remote import connected
from autointerp.cli.rendering.console import (
    number,
    plain_table,
    print_json,
    result_console,
    say,
    visible,
)
from autointerp.cli.rendering.result_tables import one_heading, row_name
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId

Rows = Sequence[Mapping[str, Any]]

_Words = Annotated[
    list[str],
    typer.Argument(
        metavar="DIR|TEXT", help="Words; the last may be a beginning. The folder as --dir."
    ),
]
_Limit = Annotated[int, typer.Option(min=1, max=500, help="How many units are listed.")]
_Meaning = Annotated[bool, typer.Option("--meaning", help="By meaning; needs a --server.")]
_Model = Annotated[str | None, typer.Option(help="Of several models of a server.")]


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(epilog="Example: autointerp search runs/mine rivers")
    @partial(with_options, helps=SERVER_HELP)
    def search(  # noqa: PLR0913 - one parameter an option
        words: _Words,
        *,
        folder: FolderOption = None,
        server: Server = None,
        model: _Model = None,
        meaning: _Meaning = False,
        limit: _Limit = 20,
        as_json: AsJson = False,
    ) -> None:
        """Searches labels by words: in descriptions and top tokens."""
        named = FolderWords.of(words, folder, is_dictionary)
        read, text = named.checked(server, "words"), " ".join(named.words)
        if server is None:
            if meaning or model:
                raise InputError("--meaning and --model ask a server; name one with --server")
            rows, n = _of_folder(read, text, limit)
        else:
            rows, n = _of_server(server, text, model=model, meaning=meaning, limit=limit)
        if as_json:
            print_json(rows)
        elif not rows:
            say(f"no label has these words: {visible(text)}")
        else:
            _print(rows, n, result_console())


def _of_folder(folder: Path, text: str, limit: int) -> tuple[Rows, int | None]:
    from autointerp.dictionary import open_dictionary  # noqa: PLC0415 - brings tables
    from autointerp.dictionary.label_search import search_rows  # noqa: PLC0415 - brings numpy

    return search_rows(open_dictionary(label_folder(folder)).rows(), text, limit=limit)


def _of_server(
    server: str, text: str, *, model: str | None, meaning: bool, limit: int
) -> tuple[Rows, int | None]:
    with connected(server) as client:
        models = [model] if model else client.models()
        if len(models) != 1:
            known = ", ".join(models) or "no labels"
            raise InputError(f"name the model with --model; the server has {known}")
        asked: dict[str, object] = {"meaning": text} if meaning else {"q": text}
        return list(islice(client.labels(models[0], limit=limit, **asked), limit)), None


def _print(rows: Rows, n: int | None, console: Console) -> None:
    table = plain_table("unit", expand=False)
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("label", overflow="fold")
    units = [UnitId(row["model_id"], row["hook"], int(row["index"])) for row in rows]
    hook = one_heading(units)
    if hook is not None:
        console.print(Text(visible(hook), "bold", overflow="fold"))
    for row, unit in zip(rows, units, strict=True):
        side = " -" if row["polarity"] == "negative" else ""
        said = row["description"] or row["status_reason"] or row["status"]
        name = row_name(visible(unit.short), hook) + side
        table.add_row(name, number(row["score"]), Text(visible(str(said))))
    console.print(table)
    if n is not None and n > len(rows):
        console.print(Text(f"{len(rows):,} of {n:,}; --limit lists more", "dim"))
