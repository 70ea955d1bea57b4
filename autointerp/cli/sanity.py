"""``autointerp sanity``: which metrics and scorers can be trusted on this model and text."""

from __future__ import annotations

from typing import Annotated

import typer

from autointerp.cli.console import print_json, result_console, say, side_console
from autointerp.cli.options import CollectOptions, JobOptions, collect_job_of, job_of
from autointerp.cli.progress import shown_progress

_FAILED = 1

_Subject = Annotated[
    str, typer.Argument(help="smollm2-135m (default), a Hugging Face name or folder, a .gguf.")
]
_Units = Annotated[
    str | None,
    typer.Option(help="As for label; random:300 over five layers where nothing is said."),
]
_Corpus = Annotated[
    str | None, typer.Option(help="wiki (default), python, a file or folder, hf:NAME, a mixture.")
]
_Tokens = Annotated[int, typer.Option(help="Tokens to read.")]
_NCtx = Annotated[int | None, typer.Option(help="Tokens a window.")]
_Share = Annotated[
    list[str] | None,
    typer.Option(help="Share of tokens that labels mark, or best; repeatable. best and 0.01."),
]
_Heldout = Annotated[int, typer.Option(help="Held-out windows drawn for each unit.", min=2)]
_Whole = Annotated[
    bool, typer.Option("--whole", help="Check metrics over all held-out windows, too.")
]
_Random = Annotated[
    int, typer.Option(help="Tokens read through random weights; 0 for none.", min=0)
]
_Llm = Annotated[
    str, typer.Option(help="none (default), embedded, or a base URL: scorers that ask an LLM.")
]
_LlmModel = Annotated[str | None, typer.Option(help="Model of that endpoint.")]
_LlmUnits = Annotated[int, typer.Option(help="Units an LLM is asked about.", min=2)]
_Scorers = Annotated[
    list[str] | None, typer.Option(help="Of those that ask an LLM; repeatable, all by default.")
]
_Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
_AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def sanity(  # noqa: PLR0913, PLR0917 - one parameter an option
        subject: _Subject = "smollm2-135m",
        units: _Units = None,
        corpus: _Corpus = None,
        tokens: _Tokens = 98_304,
        n_ctx: _NCtx = None,
        share: _Share = None,
        heldout: _Heldout = 40,
        whole: _Whole = False,
        random_weights_tokens: _Random = 32_768,
        llm: _Llm = "none",
        llm_model: _LlmModel = None,
        llm_units: _LlmUnits = 8,
        scorer: _Scorers = None,
        seed: _Seed = None,
        as_json: _AsJson = False,
    ) -> None:
        """Damages right labels and scores wrong ones: a score that does not mind means nothing."""
        # Imported when the command runs: they bring torch, which takes seconds.
        from autointerp.cli.sanity_table import found_json, print_found  # noqa: PLC0415
        from autointerp.settings import read_settings  # noqa: PLC0415
        from autointerp.wiring.sanity_runs import SanityJob, run_sanity  # noqa: PLC0415

        settings = read_settings()
        collection = collect_job_of(
            CollectOptions(
                subject=subject,
                units=units or "all",
                corpus=corpus,
                tokens=tokens,
                n_ctx=n_ctx,
                seed=seed,
            )
        )
        options = JobOptions(units="sanity", llm=llm, llm_model=llm_model, seed=seed)
        job = SanityJob(
            subject=subject,
            units=units,
            corpus=collection.corpus,
            seed=collection.seed,
            shares=tuple(dict.fromkeys(share or ("best", "0.01"))),
            n_heldout=heldout,
            whole=whole,
            n_random_tokens=random_weights_tokens,
            llm=None if llm == "none" else job_of(options, settings),
            n_llm_units=llm_units,
            scorers=tuple(dict.fromkeys(scorer or ())),
        )
        with shown_progress(side_console()) as progress:
            found = run_sanity(job, settings, progress=progress)
        if as_json:
            print_json(found_json(found))
        else:
            print_found(found, result_console())
        if not found.passed:
            say("the headline metric does not fall often enough; its scores are not to be trusted")
            raise typer.Exit(_FAILED)
