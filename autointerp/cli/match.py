"""``autointerp match``: units of two models that do the same on the same text."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer

from autointerp.cli.command_options import AsJson, Tokens, Units
from autointerp.cli.option_groups import with_options
from autointerp.cli.rendering.console import print_json, result_console, say_loading
from autointerp.cli.rendering.progress_bars import shown_progress
from autointerp.core.errors import InputError

_N_TOKENS = 32_768
_First = Annotated[
    str, typer.Argument(metavar="SUBJECT", help="A model, as `label` takes it: smollm2-135m.")
]
_Second = Annotated[
    str,
    typer.Argument(metavar="OTHER", help="Another, or the same, whose layers are compared."),
]
_OtherUnits = Annotated[
    str | None,
    typer.Option(help="Units of the other model (default: the same)."),
]
_Corpus = Annotated[str, typer.Option(help="wiki, python, a file or folder[:field], hf:NAME.")]
_Several = Annotated[
    int,
    typer.Option(
        help="So many units of the other are also taken together.",
        min=1,
        max=64,
    ),
]
_NCtx = Annotated[int, typer.Option(help="Tokens per window.", min=2, max=4096)]
_Seed = Annotated[int, typer.Option(help="Seed of the documents.", min=0)]


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(
        epilog="Example: autointerp match smollm2-135m smollm2-135m --units layer:5 "
        "--other-units layer:6"
    )
    @partial(
        with_options,
        helps={
            "units": "Units of the first model: layer:5, 5:0-99, a hook point with indices.",
            "tokens": f"Tokens to read (default: {_N_TOKENS:,}).",
        },
    )
    def match(  # noqa: PLR0913 - one parameter an option
        first: _First,
        second: _Second,
        *,
        units: Units = None,
        other_units: _OtherUnits = None,
        corpus: _Corpus = "wiki",
        tokens: Tokens = None,
        n_ctx: _NCtx = 64,
        several: _Several = 8,
        seed: _Seed = 0,
        as_json: AsJson = False,
    ) -> None:
        """Finds, for each unit, the unit of another model that does most nearly the same."""
        if units is None:
            raise InputError("which units? Add --units, for example --units layer:5")
        say_loading()
        # Imported when the command runs: they bring torch, which takes seconds.
        from autointerp.cli.rendering.match_table import print_matches  # noqa: PLC0415
        from autointerp.settings import read_settings  # noqa: PLC0415
        from autointerp.wiring.match_runs import match_units  # noqa: PLC0415

        with shown_progress() as progress:
            report = match_units(
                first,
                second,
                units=units,
                other_units=other_units,
                corpus=corpus,
                tokens=tokens or _N_TOKENS,
                n_ctx=n_ctx,
                several=several,
                seed=seed,
                settings=read_settings(),
                progress=progress,
            )
        if as_json:
            print_json(asdict(report))
        else:
            print_matches(report, result_console())
