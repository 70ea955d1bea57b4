"""``autointerp label``: explain and score units of a subject model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.labelling import label_job
from autointerp.cli.options import JobOptions, budget_of, default_folder, job_of
from autointerp.cli.runner import Runner

_Subject = Annotated[
    str | None,
    typer.Argument(help="smollm2-135m (default), a Hugging Face name or folder, a .gguf."),
]
_Units = Annotated[
    str | None, typer.Option(help="5:0-19,7:3, layer:5, random:50, random:12@0,10, all.")
]
_Corpus = Annotated[
    str | None, typer.Option(help="wiki (default), python, a file or folder, hf:NAME, a mixture.")
]
_Tokens = Annotated[int | None, typer.Option(help="Tokens to read.")]
_NCtx = Annotated[int | None, typer.Option(help="Tokens a window.")]
_Explainers = Annotated[
    list[str] | None,
    typer.Option(help="token_activation, token_lookup, revision ...; repeatable."),
]
_Scorers = Annotated[
    list[str] | None, typer.Option(help="simulation, detection, fuzzing ...; repeatable.")
]
_Llm = Annotated[
    str | None, typer.Option(help="embedded (default), none, or an endpoint's base URL.")
]
_LlmModel = Annotated[str | None, typer.Option(help="Model of that endpoint.")]
_Dtype = Annotated[str | None, typer.Option(help="float32 (default) or bfloat16.")]
_Samples = Annotated[int | None, typer.Option(help="Answers asked of the LLM a unit.")]
_Heldout = Annotated[int | None, typer.Option(help="Windows to score on.")]
_Sides = Annotated[str | None, typer.Option(help="stronger (default) or both sides of zero.")]
_Width = Annotated[
    float | None, typer.Option(help="Stop asking when a score's interval is no wider.")
]
_PerCall = Annotated[int | None, typer.Option(help="Windows of one request to an LLM.")]
_BudgetUsd = Annotated[float | None, typer.Option(help="Most dollars that the LLM may cost.")]
_BudgetTokens = Annotated[int | None, typer.Option(help="Most tokens that it may cost.")]
_Prices = Annotated[Path | None, typer.Option(help="A price table in place of the shipped one.")]
_Batch = Annotated[
    bool, typer.Option("--batch", help="Ask through the Batch API: half the price, up to a day.")
]
_Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
_FromManifest = Annotated[
    Path | None, typer.Option(help="manifest.json of a dictionary to make again.")
]
_Out = Annotated[Path | None, typer.Option(help="Folder of the run, which becomes the dictionary.")]
_Resume = Annotated[bool, typer.Option("--resume", help="Continue a run.")]
_AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


def register(app: typer.Typer, runner: Runner) -> None:
    """Adds the command."""

    @app.command()
    def label(  # noqa: PLR0913, PLR0917 - one parameter an option
        subject: _Subject = None,
        units: _Units = None,
        corpus: _Corpus = None,
        tokens: _Tokens = None,
        n_ctx: _NCtx = None,
        explainer: _Explainers = None,
        scorer: _Scorers = None,
        llm: _Llm = None,
        llm_model: _LlmModel = None,
        dtype: _Dtype = None,
        samples: _Samples = None,
        heldout: _Heldout = None,
        sides: _Sides = None,
        score_width: _Width = None,
        windows_per_call: _PerCall = None,
        budget_usd: _BudgetUsd = None,
        budget_tokens: _BudgetTokens = None,
        prices: _Prices = None,
        batch: _Batch = False,
        seed: _Seed = None,
        from_manifest: _FromManifest = None,
        out: _Out = None,
        resume: _Resume = False,
        as_json: _AsJson = False,
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
            explainer=tuple(dict.fromkeys(explainer or ())),
            scorer=tuple(dict.fromkeys(scorer or ())),
            llm=llm,
            llm_model=llm_model,
            dtype=dtype,
            seed=seed,
            samples=samples,
            heldout=heldout,
            sides=sides,
            score_width=score_width,
            windows_per_call=windows_per_call,
        )
        budget = budget_of(usd=budget_usd, tokens=budget_tokens, prices=prices, batch=batch)
        job = job_of(options, settings, from_manifest)
        folder = out or default_folder(job)
        label_job(
            job,
            runner,
            out=folder,
            resume=resume,
            settings=settings,
            as_json=as_json,
            budget=budget,
        )
