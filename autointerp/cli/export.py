"""``autointerp export`` and ``store copy``: labels in another format or another store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autointerp.cli.command_options import AsJson
from autointerp.cli.rendering.console import counted, print_json, result_console, say, visible
from autointerp.cli.rendering.progress_bars import shown_progress
from autointerp.core.errors import AutointerpError, InputError

if TYPE_CHECKING:
    from autointerp.core.unreadable import OnUnreadable
    from autointerp.store.labels import LabelStores
    from autointerp.store.labels.stores import CopiedLabels

_FORM = "json:DIR, redis://HOST:PORT/0 or unix:///PATH"
_JSON = "json:"

_Dictionary = Annotated[
    Path, typer.Argument(metavar="DIR", help="Folder of the dictionary, or of rescored labels.")
]
_Format = Annotated[
    str,
    typer.Option(
        "--format", help="parquet, jsonl, neuronpedia, neuron-record, or html: pages for browsers."
    ),
]
_Out = Annotated[Path, typer.Option(help="File or folder to write.")]
_From = Annotated[
    str, typer.Argument(metavar="FROM", help=f"{_FORM}; the folder of a run is json:DIR too.")
]
_To = Annotated[str, typer.Argument(metavar="TO", help=_FORM)]
_Artifacts = Annotated[
    str | None,
    typer.Option(help="Where TO keeps records if it is in Redis: a folder or a URL."),
]
_FromArtifacts = Annotated[
    str | None, typer.Option(help="The same for FROM, where it is another place.")
]


def _exported(folder: Path, fmt: str, out: Path, on_unreadable: OnUnreadable) -> Path:
    from autointerp.dictionary import (  # noqa: PLC0415 - brings pyarrow
        export_dictionary,
        open_dictionary,
    )
    from autointerp.dictionary.export_formats import FORMATS  # noqa: PLC0415
    from autointerp.dictionary.rescored_files import is_rescored  # noqa: PLC0415
    from autointerp.web.static_pages import (  # noqa: PLC0415
        HTML,
        export_pages,
        export_rescored_pages,
    )

    if fmt not in {*FORMATS, HTML}:
        known = ", ".join((*FORMATS, HTML))
        raise InputError(f"unknown export format {fmt!r}; the formats are {known}")
    if is_rescored(folder):
        if fmt != HTML:
            msg = f"{folder} holds rescored labels, which are exported as {HTML} alone"
            raise InputError(f"{msg}; its labels.jsonl has a line a label")
        return export_rescored_pages(folder, out)
    dictionary = open_dictionary(folder)
    if fmt == HTML:
        return export_pages(dictionary, out, on_unreadable)
    return export_dictionary(dictionary, fmt, out, on_unreadable)


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    store = typer.Typer(help="Stores of labels.", no_args_is_help=True)
    app.add_typer(store, name="store")

    @app.command(
        epilog="Example: autointerp export runs/mine --format parquet --out labels.parquet"
    )
    def export(folder: _Dictionary, fmt: _Format, out: _Out, as_json: AsJson = False) -> None:
        """Writes a feature dictionary in another format."""
        left_out: list[AutointerpError] = []
        path = _exported(folder, fmt, out, left_out.append)
        for error in left_out:
            say(f"left out: {error}")
        if as_json:
            sentences = [str(error) for error in left_out]
            print_json({"format": fmt, "path": str(path), "left_out": sentences})
        else:
            result_console().print(f"written: {path}", soft_wrap=True)

    @store.callback()
    def group() -> None:
        """Stores of labels."""

    @store.command(epilog="Example: autointerp store copy json:runs/mine redis://127.0.0.1:6379/0")
    def copy(
        source: _From,
        target: _To,
        artifacts: _Artifacts = None,
        from_artifacts: _FromArtifacts = None,
        as_json: AsJson = False,
    ) -> None:
        """Copies every label with its records; run again, it continues where it was interrupted."""
        from autointerp.store.labels.stores import copy_labels  # noqa: PLC0415 - brings fsspec

        if source == target:
            raise InputError(f"{source} cannot be copied to itself; name two stores")
        read_from = _opened_source(source, from_artifacts or artifacts)
        write_to = _opened(target, artifacts)
        with shown_progress() as progress:
            copied = list(copy_labels(read_from, write_to, progress))
        if as_json:
            print_json({"models": [asdict(one) for one in copied]})
        else:
            _print_copied(copied, source)


def _opened_source(url: str, artifacts: str | None) -> LabelStores:
    from autointerp.store.labels.stores import RunFolderStores  # noqa: PLC0415 - brings fsspec

    if not url.startswith(_JSON):
        return _opened(url, artifacts)
    folder = Path(url.removeprefix(_JSON)).expanduser()
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; FROM must be a store that exists")
    return RunFolderStores.of_run_folder(folder) or _opened(url, artifacts)


def _opened(url: str, artifacts: str | None) -> LabelStores:
    from autointerp.dictionary import row_json  # noqa: PLC0415 - brings pyarrow
    from autointerp.settings import read_settings  # noqa: PLC0415 - --help starts without it
    from autointerp.store.artifacts import Artifacts  # noqa: PLC0415 - brings fsspec
    from autointerp.store.labels.stores import open_label_stores  # noqa: PLC0415 - brings fsspec

    settings = read_settings()
    place = artifacts or settings.artifacts
    store = Artifacts(place, cache=settings.cache_dir) if place else None
    return open_label_stores(url, store, row_json)


def _print_copied(copied: Sequence[CopiedLabels], source: str) -> None:
    for one in copied:
        line = f"{visible(one.model)}: {counted(one.n_copied, 'label')} copied"
        if one.n_same:
            line += f", {one.n_same:,} were already there"
        if one.n_kept:
            line += f", {one.n_kept:,} failed ones left out where the target has better ones"
        result_console().print(line, soft_wrap=True)
        if one.unreadable:
            n = counted(len(one.unreadable), "file")
            say(f"left out, as it cannot be read: {n} of {one.model}; {one.unreadable[0]}")
    if not copied:
        result_console().print(f"there are no labels in {visible(source)}", soft_wrap=True)
