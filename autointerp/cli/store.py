"""``autointerp store copy``: labels from one store to another."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autointerp.cli.console import print_json, result_console, side_console
from autointerp.cli.numbers import counted
from autointerp.cli.progress import shown_progress
from autointerp.cli.text import visible
from autointerp.core.errors import InputError
from autointerp.settings import read_settings

if TYPE_CHECKING:
    from autointerp.store.labels import LabelStores
    from autointerp.store.labels.stores import CopiedLabels

_FORM = "json:DIR, redis://HOST:PORT/0 or unix:///PATH"
_JSON = "json:"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    store = typer.Typer(help="Stores of labels.", no_args_is_help=True)
    app.add_typer(store, name="store")

    @store.callback()
    def group() -> None:
        """Stores of labels."""

    @store.command()
    def copy(
        source: Annotated[
            str,
            typer.Argument(metavar="FROM", help=f"{_FORM}; the folder of a run is json:DIR too."),
        ],
        target: Annotated[str, typer.Argument(metavar="TO", help=_FORM)],
        artifacts: Annotated[
            str | None,
            typer.Option(help="Where TO keeps records if it is in Redis: a folder or an URL."),
        ] = None,
        from_artifacts: Annotated[
            str | None, typer.Option(help="The same of FROM, where it is another.")
        ] = None,
        as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
    ) -> None:
        """Copies every label with its records; run again, it goes on where it was cut off."""
        from autointerp.store.labels.stores import copy_labels  # noqa: PLC0415 - brings fsspec

        if source == target:
            msg = f"{source} cannot be copied to itself; name two stores"
            raise InputError(msg)
        read_from = _opened_source(source, from_artifacts or artifacts)
        write_to = _opened(target, artifacts)
        with shown_progress(side_console()) as progress:
            found = list(copy_labels(read_from, write_to, progress))
        if as_json:
            print_json({"models": [asdict(one) for one in found]})
        else:
            _print(found, source)


def _opened_source(url: str, artifacts: str | None) -> LabelStores:
    from autointerp.store.labels.stores import RunFolderStores  # noqa: PLC0415 - brings fsspec

    if not url.startswith(_JSON):
        return _opened(url, artifacts)
    folder = Path(url.removeprefix(_JSON)).expanduser()
    if not folder.is_dir():
        msg = f"there is no folder {folder}; FROM must exist"
        raise InputError(msg)
    return RunFolderStores.found_in(folder) or _opened(url, artifacts)


def _opened(url: str, artifacts: str | None) -> LabelStores:
    from autointerp.dictionary import row_json  # noqa: PLC0415 - brings pyarrow
    from autointerp.store.artifacts import Artifacts  # noqa: PLC0415 - brings fsspec
    from autointerp.store.labels.stores import open_label_stores  # noqa: PLC0415 - brings fsspec

    settings = read_settings()
    place = artifacts or settings.artifacts
    kept = Artifacts(place, cache=settings.cache_dir) if place else None
    return open_label_stores(url, kept, row_json)


def _print(found: list[CopiedLabels], source: str) -> None:
    for one in found:
        line = f"{visible(one.model)}: {counted(one.n_copied, 'label')} copied"
        if one.n_same:
            line += f", {one.n_same:,} were there already"
        if one.n_kept:
            line += f", {one.n_kept:,} failed ones left out where the target has better"
        result_console().print(line, soft_wrap=True)
    if not found:
        result_console().print(f"there are no labels in {visible(source)}", soft_wrap=True)
