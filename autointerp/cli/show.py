"""``autointerp show``: one unit with its scores and exemplars."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.command_options import AsJson, OfCorpus, OfExplainer, Server
from autointerp.cli.option_groups import with_options
from autointerp.cli.remote import connected
from autointerp.cli.rendering.console import print_json, result_console
from autointerp.cli.rendering.explanation_parts import explanations_json
from autointerp.cli.rendering.unit_page import print_view
from autointerp.cli.unit_view import UnitView, read_remote_unit, read_unit
from autointerp.core.errors import InputError

_Unit = Annotated[str, typer.Argument(help="5:131 or smollm2-135m/blocks.5.mlp.hook_post/131.")]
_Folder = Annotated[Path, typer.Option("--dir", help="Folder of a run or of a dictionary.")]
_Full = Annotated[
    bool, typer.Option("--full", help="Whole windows, all of them, and all receipts.")
]

_Scores = Annotated[bool, typer.Option("--scores", help="Every score, and all candidates.")]


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    @partial(with_options, helps={"server": "Address of a server, in place of a folder."})
    def show(  # noqa: PLR0913 - one parameter an option
        unit: _Unit,
        *,
        folder: _Folder = Path("runs/demo"),
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
        views = _views(folder, server, unit, corpus=corpus, explainer=explainer)
        if as_json:
            print_json([_json(view) for view in views])
            return
        console = result_console()
        for place, view in enumerate(views):
            if place:
                console.rule()
            print_view(view, console, full=full, all_scores=scores)


def _json(view: UnitView) -> dict[str, object]:
    return {"unit": str(view.label.unit), **explanations_json(view.label), **asdict(view)}


def _views(
    folder: Path, server: str | None, unit: str, **origin: str | None
) -> tuple[UnitView, ...]:
    if server is None:
        return read_unit(folder, unit)
    with connected(server) as client:
        return read_remote_unit(client, unit, **origin)
