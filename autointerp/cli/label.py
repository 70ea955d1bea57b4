"""``autointerp label``: explain and score units of a subject model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.labelling import label_job
from autointerp.cli.options import JobOptions, default_folder, job_of
from autointerp.cli.runner import Runner

__all__ = ["register"]


def register(app: typer.Typer, runner: Runner) -> None:
    """Adds the command."""

    @app.command()
    def label(  # noqa: PLR0913, PLR0917 - one parameter an option
        subject: Annotated[
            str | None,
            typer.Argument(help="smollm2-135m (default), a Hugging Face name or folder, a .gguf."),
        ] = None,
        units: Annotated[
            str | None, typer.Option(help="5:0-19,7:3, layer:5, random:50, random:12@0,10, all.")
        ] = None,
        corpus: Annotated[
            str | None,
            typer.Option(help="wiki (default), python, a file or folder, hf:NAME, a mixture."),
        ] = None,
        tokens: Annotated[int | None, typer.Option(help="Tokens to read.")] = None,
        n_ctx: Annotated[int | None, typer.Option(help="Tokens a window.")] = None,
        explainer: Annotated[
            list[str] | None, typer.Option(help="token_activation, token_lookup; repeatable.")
        ] = None,
        scorer: Annotated[
            list[str] | None, typer.Option(help="simulation, detection; repeatable.")
        ] = None,
        llm: Annotated[
            str | None, typer.Option(help="embedded (default), none, or an endpoint's base URL.")
        ] = None,
        llm_model: Annotated[str | None, typer.Option(help="Model of that endpoint.")] = None,
        dtype: Annotated[str | None, typer.Option(help="float32 (default) or bfloat16.")] = None,
        samples: Annotated[
            int | None, typer.Option(help="Answers asked of the LLM a unit.")
        ] = None,
        heldout: Annotated[int | None, typer.Option(help="Windows to score on.")] = None,
        seed: Annotated[int | None, typer.Option(help="Seed of everything random.")] = None,
        from_manifest: Annotated[
            Path | None, typer.Option(help="manifest.json of a dictionary to make again.")
        ] = None,
        out: Annotated[
            Path | None, typer.Option(help="Folder of the run, which becomes the dictionary.")
        ] = None,
        resume: Annotated[bool, typer.Option("--resume", help="Continue a run.")] = False,
        as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
    ) -> None:
        """Explains and scores units of a language model."""
        from autointerp.settings import read_settings  # noqa: PLC0415 - --help starts without it

        settings = read_settings()
        options = JobOptions(
            subject=subject,
            units=units,
            corpus=corpus,
            tokens=tokens,
            n_ctx=n_ctx,
            explainer=tuple(explainer or ()),
            scorer=tuple(scorer or ()),
            llm=llm,
            llm_model=llm_model,
            dtype=dtype,
            seed=seed,
            samples=samples,
            heldout=heldout,
        )
        job = job_of(options, settings, from_manifest)
        folder = out or default_folder(job)
        label_job(job, runner, out=folder, resume=resume, settings=settings, as_json=as_json)
