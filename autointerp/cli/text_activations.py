"""``autointerp activations``: what units do on a text, and which units are strongest on it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from autointerp.cli.command_options import AsJson, Server
from autointerp.cli.option_groups import with_options
from autointerp.cli.remote import connected
from autointerp.cli.rendering.console import print_json, result_console, say_loading
from autointerp.cli.text_units import (
    DEFAULT_SUBJECT,
    NamedUnits,
    TextUnit,
    local_activations,
    local_strongest,
    local_subject,
    with_labels,
)
from autointerp.core.errors import InputError
from autointerp.core.one_line import shortened
from autointerp.store.labels.folder_stores import holds_labels

_Units = Annotated[
    list[str] | None,
    typer.Argument(metavar="UNIT", help="5:131, 5:0-3, smollm2-135m/blocks.5.mlp.hook_post/131."),
]
_Text = Annotated[str | None, typer.Option(help="The text that is read.")]
_TokenIds = Annotated[
    str | None,
    typer.Option(help="Its tokens in place of a text, 504,2387: they are read as they are."),
]
_Subject = Annotated[
    str | None,
    typer.Option(help=f"Subject model (default: the dictionary's, or {DEFAULT_SUBJECT})."),
]
_Folder = Annotated[
    Path | None,
    typer.Option("--dir", help="Dictionary whose labels are shown (default: runs/demo if there)."),
]
_Strongest = Annotated[
    int | None,
    typer.Option(min=1, max=200, help="In place of units: so many that are strongest on the text."),
]
_Layers = Annotated[str | None, typer.Option(help="With --strongest, only these layers: 5,7-9.")]
_DEMO = Path("runs/demo")
_RANGE = re.compile(r"([0-9]{1,5})(?:-([0-9]{1,5}))?")


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(epilog='Example: autointerp activations 5:131 10:127 --text "The Rhine is long."')
    @partial(
        with_options, helps={"server": "Address of a server, which reads in place of this machine."}
    )
    def activations(  # noqa: PLR0913 - one parameter an option
        units: _Units = None,
        *,
        text: _Text = None,
        token_ids: _TokenIds = None,
        strongest: _Strongest = None,
        layers: _Layers = None,
        subject: _Subject = None,
        folder: _Folder = None,
        server: Server = None,
        as_json: AsJson = False,
    ) -> None:
        """Shows what units do on a text, token by token, or which units are strongest on it."""
        read = _given_text(text, token_ids)
        named = NamedUnits.of(units or (), subject)
        if bool(units) == (strongest is not None):
            given = "both" if units else "neither"
            raise InputError(f"name units, or --strongest 20 for those of all; found {given}")
        if layers is not None and strongest is None:
            raise InputError("--layers goes with --strongest; units name their layers")
        if strongest is None:
            _show_units(named, read, folder, server, as_json=as_json)
        else:
            chosen = None if layers is None else _layer_numbers(layers)
            _show_strongest(
                named, read, folder, server, n=strongest, layers=chosen, as_json=as_json
            )


def _show_units(
    named: NamedUnits,
    text: str | Sequence[int],
    folder: Path | None,
    server: str | None,
    *,
    as_json: bool,
) -> None:
    if server is not None:
        with connected(server) as client:
            found = client.activations(named.subject or DEFAULT_SUBJECT, named.spec, text)
            rows = list(with_labels(found, folder=None, client=client))
    else:
        say_loading()
        where = _dictionary_folder(folder, named.subject)
        subject, _ = local_subject(named.subject, where)
        found = local_activations(subject, named.spec, text)
        rows = list(with_labels(found, folder=where, client=None))
    if as_json:
        print_json({**found, "labels": [_json(row) for row in rows if row.side is not None]})
        return
    from autointerp.cli.rendering.text_activation_rows import print_text_units  # noqa: PLC0415

    print_text_units(found["tokens"], rows, result_console())


def _show_strongest(  # noqa: PLR0913 - what the command was given
    named: NamedUnits,
    text: str | Sequence[int],
    folder: Path | None,
    server: str | None,
    *,
    n: int,
    layers: Sequence[int] | None,
    as_json: bool,
) -> None:
    if server is not None:
        with connected(server) as client:
            model = named.subject or DEFAULT_SUBJECT
            found = client.strongest(model, text, n=n, layers=layers)
    else:
        say_loading()
        where = _dictionary_folder(folder, named.subject)
        subject, dictionary = local_subject(named.subject, where)
        found = local_strongest(subject, dictionary, text, n, layers)
    if as_json:
        print_json(found)
        return
    from autointerp.cli.rendering.text_activation_rows import print_strongest  # noqa: PLC0415

    print_strongest(found, result_console())


def _dictionary_folder(folder: Path | None, subject: str | None) -> Path | None:
    """The folder that was named, or the demo's where it is there and nothing else was meant."""
    if folder is not None:
        return folder
    is_demo = subject in {None, DEFAULT_SUBJECT} and (_DEMO / "manifest.json").is_file()
    return _DEMO if is_demo and holds_labels(_DEMO) else None


def _json(row: TextUnit) -> dict[str, Any]:
    return {**asdict(row), "unit": str(row.unit), "values": list(row.values)}


def _given_text(text: str | None, token_ids: str | None) -> str | list[int]:
    if (text is None) == (token_ids is None):
        given = "neither" if text is None else "both"
        raise InputError(f"give --text or --token-ids; found {given}")
    if token_ids is None:
        return text or ""
    parts = [part.strip() for part in token_ids.split(",") if part.strip()]
    if not all(part.isascii() and part.isdigit() and len(part) < 19 for part in parts):
        raise InputError(f"--token-ids takes numbers, 504,2387; found {shortened(token_ids)}")
    return [int(part) for part in parts]


def _layer_numbers(text: str) -> tuple[int, ...]:
    result: set[int] = set()
    for part in text.split(","):
        ends = _RANGE.fullmatch(part.strip())
        if ends is None:
            raise InputError(f"--layers takes numbers and ranges, 5,7-9; found {shortened(text)}")
        result |= set(range(int(ends[1]), int(ends[2] or ends[1]) + 1))
    if not result:
        raise InputError(f"--layers names no layer: {shortened(text)}; write 5,7-9")
    return tuple(sorted(result))
