"""``autointerp study layers``: kinds, states and scores of labels by layer."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.command_options import (
    AsJson,
    Corpus,
    Llm,
    LlmModel,
    Resume,
    Subject,
    Tokens,
    Units,
)
from autointerp.cli.option_groups import with_options
from autointerp.cli.rendering.console import say_loading
from autointerp.cli.rendering.progress_bars import shown_progress
from autointerp.cli.study_output import StudyOut, StudySeed, resumable, show_study

_HELPS = {
    "units": "Units that are labelled where no --dir is given (default: 15 of each layer).",
    "llm": "none (default), embedded, or an endpoint's base URL: explains and scores them.",
    "resume": "Continue what is in the folder of --out.",
}
_Dir = Annotated[
    Path | None, typer.Option("--dir", help="Folder of a run or a dictionary, whose labels it is.")
]


def register(studies: typer.Typer) -> None:
    """Adds the command."""

    @studies.command(epilog="Example: autointerp study layers --dir runs/mine --out layers")
    @partial(with_options, helps=_HELPS)
    def layers(  # noqa: PLR0913 - one parameter an option
        subject: Subject = None,
        *,
        folder: _Dir = None,
        units: Units = None,
        corpus: Corpus = None,
        tokens: Tokens = None,
        llm: Llm = "none",
        llm_model: LlmModel = None,
        seed: StudySeed = 0,
        out: StudyOut = None,
        resume: Resume = False,
        as_json: AsJson = False,
    ) -> None:
        """Kinds, states, scores and densities of labels by layer, with their trends."""
        say_loading()
        # Imported when the command runs: they bring torch, which takes seconds.
        from autointerp.settings import read_settings  # noqa: PLC0415
        from autointerp.wiring.study_layers import study_layers  # noqa: PLC0415

        with resumable(out), shown_progress() as progress:
            report = study_layers(
                subject,
                dictionary=folder,
                units=units,
                corpus=corpus or "wiki",
                tokens=tokens,
                llm=llm or "none",
                llm_model=llm_model,
                seed=seed,
                out=out,
                resume=resume,
                settings=read_settings(),
                progress=progress,
            )
        show_study(report, out, as_json=as_json)
