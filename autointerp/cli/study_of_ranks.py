"""``autointerp study ranks``: is each unit the best of its layer for its own label?"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.command_options import AsJson, Units
from autointerp.cli.option_groups import with_options
from autointerp.cli.rendering.console import say_loading
from autointerp.cli.rendering.progress_bars import shown_progress
from autointerp.cli.study_output import StudyOut, StudySeed, resumable, show_study

_HELPS = {"units": "Whose labels: 5:0-19, layer:5 (default: all)."}
_Dir = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run or a dictionary.")]
_Subject = Annotated[
    str | None,
    typer.Option("--subject", help="Where the model of the labels lies, if it has moved."),
]
_Limit = Annotated[
    int | None, typer.Option("--limit", help="So many of the labels, at random.", min=1)
]
_Sae = Annotated[
    list[str] | None, typer.Option("--sae", help="sae:FOLDER of an SAE that has moved; repeatable.")
]


_Keep = Annotated[
    bool,
    typer.Option("--keep", help="Keep each unit's rank beside its labels in DIR, as evidence."),
]


def register(studies: typer.Typer) -> None:
    """Adds the command."""

    @studies.command(epilog="Example: autointerp study ranks runs/mine --units layer:5 --out ranks")
    @partial(with_options, helps=_HELPS)
    def ranks(  # noqa: PLR0913 - one parameter an option
        folder: _Dir,
        *,
        units: Units = None,
        subject: _Subject = None,
        limit: _Limit = None,
        sae: _Sae = None,
        seed: StudySeed = 0,
        keep: _Keep = False,
        out: StudyOut = None,
        as_json: AsJson = False,
    ) -> None:
        """Is each unit the one of its layer that follows its own label most closely?"""
        say_loading()
        # Imported when the command runs: they bring torch, which takes seconds.
        from autointerp.settings import read_settings  # noqa: PLC0415
        from autointerp.wiring.study_ranks import study_ranks  # noqa: PLC0415

        with resumable(out), shown_progress() as progress:
            report = study_ranks(
                folder,
                subject=subject,
                units=units,
                limit=limit,
                encoders=tuple(sae or ()),
                seed=seed,
                keep=keep,
                out=out,
                settings=read_settings(),
                progress=progress,
            )
        show_study(report, out, as_json=as_json)
