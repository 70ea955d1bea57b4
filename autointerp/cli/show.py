"""``autointerp show``: one unit with its scores and exemplars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.command_options import AsJson, OfCorpus, OfExplainer, Server
from autointerp.cli.folder_words import (
    SERVER_HELP,
    FolderOption,
    FolderWords,
)
from autointerp.cli.option_groups import with_options
from autointerp.cli.remote import connected
from autointerp.cli.rendering.console import print_json, result_console
from autointerp.cli.rendering.explanation_parts import explanations_json
from autointerp.cli.rendering.unit_page import print_view
from autointerp.cli.unit_view import UnitView, read_remote_unit, read_unit
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitName
from autointerp.core.kept_evidence import kept_json
from autointerp.store.labels.folder_stores import holds_labels

_Words = Annotated[
    list[str],
    typer.Argument(
        metavar="DIR|UNIT",
        help="5:131 or blocks.5.mlp.hook_post/131; the folder as --dir.",
    ),
]
_Full = Annotated[
    bool, typer.Option("--full", help="Whole windows, all of them, and all receipts.")
]

_Scores = Annotated[bool, typer.Option("--scores", help="Every score, and all candidates.")]


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(epilog="Example: autointerp show runs/mine 5:131")
    @partial(with_options, helps=SERVER_HELP)
    def show(  # noqa: PLR0913 - one parameter an option
        words: _Words,
        *,
        folder: FolderOption = None,
        server: Server = None,
        corpus: OfCorpus = None,
        explainer: OfExplainer = None,
        full: _Full = False,
        scores: _Scores = False,
        as_json: AsJson = False,
    ) -> None:
        """Shows a unit: explanations, coloured exemplars, real against predicted, scores."""
        if server is None and (corpus or explainer):
            raise InputError("--corpus and --explainer choose among labels of a --server")
        named = FolderWords.of(words, folder, partial(_is_folder, alone=len(words) == 1))
        read = named.checked(server, "a unit, such as 5:131,")
        views = _views(named.words, read, server, corpus=corpus, explainer=explainer)
        if as_json:
            print_json([_json(view) for view in views])
            return
        console = result_console()
        for place, view in enumerate(views):
            if place:
                console.rule()
            print_view(view, console, full=full, all_scores=scores)


def _json(view: UnitView) -> dict[str, object]:
    kept = [kept_json(one) for one in view.evidence]
    plain = {**explanations_json(view.label), **asdict(replace(view, evidence=()))}
    del plain["labels"]  # Digests, for the words of a page.
    return {"unit": str(view.label.unit), **plain, "evidence": kept}


def _is_folder(word: str, *, alone: bool) -> bool:
    """Whether a word is not a unit; 5/131 may be both, and is a folder where labels are in it."""
    try:
        UnitName.parse(word)
    except InputError:
        return Path(word).is_dir() if alone else True
    return not alone and holds_labels(Path(word))


def _views(
    units: Sequence[str], folder: Path, server: str | None, **origin: str | None
) -> Iterator[UnitView]:
    """Of each unit in turn."""
    if server is None:
        yield from chain.from_iterable(read_unit(folder, unit) for unit in units)
        return
    with connected(server) as client:
        for unit in units:
            yield from read_remote_unit(client, unit, **origin)
