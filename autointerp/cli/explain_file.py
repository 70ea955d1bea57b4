"""``autointerp explain``: explanations of units whose records come from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.options import JobOptions, records_job_of

_Files = Annotated[
    list[Path],
    typer.Argument(metavar="FILE...", help="Record files of ours, or NeuronRecord JSON."),
]
_Explainers = Annotated[list[str] | None, typer.Option(help="Repeatable; see label.")]
_Llm = Annotated[
    str | None, typer.Option(help="embedded (default), none, or an endpoint's base URL.")
]
_LlmModel = Annotated[str | None, typer.Option(help="Model of that endpoint.")]
_Samples = Annotated[int | None, typer.Option(help="Answers asked of the LLM a unit.")]
_Seed = Annotated[int | None, typer.Option(help="Of the split and of everything random.")]
_Out = Annotated[Path | None, typer.Option(help="File for the JSON, beside what is printed.")]
_AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def explain(  # noqa: PLR0913, PLR0917 - one parameter an option
        files: _Files,
        explainer: _Explainers = None,
        llm: _Llm = None,
        llm_model: _LlmModel = None,
        samples: _Samples = None,
        seed: _Seed = None,
        out: _Out = None,
        as_json: _AsJson = False,
    ) -> None:
        """Explains units from record files; no subject model is needed."""
        # Imported when the command runs: they bring torch, which takes seconds.
        from autointerp.cli.file_results import tell_explained  # noqa: PLC0415
        from autointerp.settings import read_settings  # noqa: PLC0415
        from autointerp.wiring.file_runs import explain_files  # noqa: PLC0415

        settings = read_settings()
        options = JobOptions(
            explainer=tuple(dict.fromkeys(explainer or ())),
            llm=llm,
            llm_model=llm_model,
            samples=samples,
            seed=seed,
        )
        job = records_job_of(options, settings)
        tell_explained(explain_files(files, job, settings), out=out, as_json=as_json)
