"""``autointerp score``: an explanation's scores on records that come from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.options import JobOptions, records_job_of

_Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", help="Record files of ours, or NeuronRecord JSON."),
]
_Explanation = Annotated[
    str | None, typer.Option(help="What is scored; the file's own explanation where not given.")
]
_Scorers = Annotated[list[str] | None, typer.Option(help="Repeatable; see label.")]
_Llm = Annotated[
    str | None, typer.Option(help="embedded (default), none, or an endpoint's base URL.")
]
_LlmModel = Annotated[str | None, typer.Option(help="Model of that endpoint.")]
_Heldout = Annotated[int | None, typer.Option(help="Windows to score on.")]
_Seed = Annotated[int | None, typer.Option(help="Of the split and of everything random.")]
_Out = Annotated[Path | None, typer.Option(help="File for the JSON, beside what is printed.")]
_AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def score(  # noqa: PLR0913, PLR0917 - one parameter an option
        files: _Files,
        explanation: _Explanation = None,
        scorer: _Scorers = None,
        llm: _Llm = None,
        llm_model: _LlmModel = None,
        heldout: _Heldout = None,
        seed: _Seed = None,
        out: _Out = None,
        as_json: _AsJson = False,
    ) -> None:
        """Scores explanations on record files; no subject model is needed."""
        # Imported when the command runs: they bring torch, which takes seconds.
        from autointerp.cli.file_results import tell_scored  # noqa: PLC0415
        from autointerp.settings import read_settings  # noqa: PLC0415
        from autointerp.wiring.file_runs import score_files  # noqa: PLC0415

        settings = read_settings()
        options = JobOptions(
            scorer=tuple(dict.fromkeys(scorer or ())),
            llm=llm,
            llm_model=llm_model,
            heldout=heldout,
            seed=seed,
        )
        job = records_job_of(options, settings)
        found = score_files(files, job, settings, explanation=explanation)
        tell_scored(found, out=out, as_json=as_json)
