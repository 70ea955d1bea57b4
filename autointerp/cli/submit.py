"""``autointerp submit``: a labelling job for a server."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from autointerp.cli.console import result_console, say
from autointerp.cli.options import JobOptions, job_of
from autointerp.cli.remote import AsJson, Server, connected, exit_for, follow_job, print_job

_Subject = Annotated[str | None, typer.Argument(help="A model of the server.")]
_Units = Annotated[
    str | None, typer.Option(help="5:0-19,7:3, layer:5, random:50, random:12@0,10, all.")
]
_Corpus = Annotated[str | None, typer.Option(help="A corpus of the server: wiki, python.")]
_Tokens = Annotated[int | None, typer.Option(help="Tokens to read.")]
_NCtx = Annotated[int | None, typer.Option(help="Tokens a window.")]
_Explainers = Annotated[list[str] | None, typer.Option(help="As of label; repeatable.")]
_Scorers = Annotated[list[str] | None, typer.Option(help="As of label; repeatable.")]
_Llm = Annotated[str | None, typer.Option(help="An LLM of the server: embedded, none, default.")]
_LlmModel = Annotated[str | None, typer.Option(help="Model of that LLM.")]
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
_Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
_Key = Annotated[str | None, typer.Option(help="Idempotency key: the same key gives the same job.")]
_Wait = Annotated[bool, typer.Option("--wait", help="Wait until it has ended.")]


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def submit(  # noqa: PLR0913, PLR0917 - one parameter an option
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
        seed: _Seed = None,
        key: _Key = None,
        wait: _Wait = False,
        server: Server = None,
        as_json: AsJson = False,
    ) -> None:
        """Submits a labelling job to a server and prints its id."""
        options = JobOptions(
            subject=subject,
            units=units,
            corpus=corpus,
            tokens=tokens,
            n_ctx=n_ctx,
            explainer=tuple(dict.fromkeys(explainer or ())),
            scorer=tuple(dict.fromkeys(scorer or ())),
            llm=llm or "embedded",
            llm_model=llm_model,
            dtype=dtype,
            seed=seed,
            samples=samples,
            heldout=heldout,
            sides=sides,
            score_width=score_width,
            windows_per_call=windows_per_call,
        )
        budget = {"usd": budget_usd, "tokens": budget_tokens}
        _submit(_body(options) | {"budget": budget}, key, server, wait=wait, as_json=as_json)


def _body(options: JobOptions) -> dict[str, Any]:
    from autointerp.settings import read_settings  # noqa: PLC0415 - --help starts without it

    # Checked here too, so that what is wrong is said in words of the command line.
    job = job_of(options, read_settings())
    return job.model_dump(mode="json", exclude_defaults=True)


def _submit(
    body: dict[str, Any], key: str | None, server: str | None, *, wait: bool, as_json: bool
) -> None:
    with connected(server) as client:
        job = client.submit(**body, idempotency_key=key)
        if wait:
            say(f"submitted {job.id}")
            job = follow_job(client, job.id)
        print_job(job, result_console(), as_json=as_json)
        if wait:
            exit_for(client, job)
