"""``autointerp sanity``: which metrics and scorers can be trusted on this model and text."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autointerp.cli.command_options import (
    AsJson,
    CollectOptions,
    Corpus,
    LabelOptions,
    Llm,
    LlmModel,
    NCtx,
    Scorers,
    Seed,
    Subject,
    Tokens,
    Units,
)
from autointerp.cli.job_options import collect_job_of, each_once, job_of
from autointerp.cli.option_groups import with_options
from autointerp.cli.rendering.console import ExitCode, print_json, result_console, say, say_loading
from autointerp.cli.rendering.progress_bars import shown_progress
from autointerp.cli.unit_view import read_units
from autointerp.core.errors import InputError

if TYPE_CHECKING:
    from autointerp.settings import Settings
    from autointerp.wiring.sanity_runs import SanityJob

_HELPS = {
    "units": "As for label; random:300 over five layers if left out.",
    "llm": "none (default), embedded, or a base URL: checks scorers that ask an LLM.",
    "scorer": "Of those that ask an LLM; repeatable, all by default.",
}

_Shares = Annotated[
    list[str] | None,
    typer.Option(help="Share of tokens that labels mark, or best; repeatable. best and 0.01."),
]
_Drawn = Annotated[
    int, typer.Option("--heldout", help="Held-out windows drawn for each unit.", min=2)
]
_Whole = Annotated[
    bool, typer.Option("--whole", help="Also check metrics over all held-out windows.")
]
_RandomTokens = Annotated[
    int, typer.Option(help="Tokens read through random weights; 0 for none.", min=0)
]
_Labels = Annotated[
    Path | None,
    typer.Option(
        help="Folder of a run or a dictionary: only ask whether its labels tell its units apart."
    ),
]
_LlmUnits = Annotated[int, typer.Option(help="Units that an LLM is asked about.", min=2)]


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    @partial(with_options, helps=_HELPS)
    def sanity(  # noqa: PLR0913 - one parameter an option
        *,
        labels: _Labels = None,
        subject: Subject = "smollm2-135m",
        units: Units = None,
        corpus: Corpus = None,
        tokens: Tokens = 98_304,
        n_ctx: NCtx = None,
        share: _Shares = None,
        heldout: _Drawn = 40,
        whole: _Whole = False,
        random_weights_tokens: _RandomTokens = 32_768,
        llm: Llm = "none",
        llm_model: LlmModel = None,
        llm_units: _LlmUnits = 8,
        scorer: Scorers = None,
        seed: Seed = None,
        as_json: AsJson = False,
    ) -> None:
        """Damages right labels and scores wrong ones: a score that does not fall means nothing."""
        say_loading()
        # Imported when the command runs: they bring torch, which takes seconds.
        from autointerp.settings import read_settings  # noqa: PLC0415
        from autointerp.wiring.sanity_runs import SanityJob  # noqa: PLC0415

        if labels is not None:
            others = {"units": units, "corpus": corpus, "n-ctx": n_ctx, "share": share}
            others |= {"whole": whole or None, "llm": None if llm == "none" else llm}
            others |= {"scorer": scorer, "seed": seed}
            for name in (name for name, value in others.items() if value is not None):
                msg = f"--labels reads what is stored and takes no --{name}; leave it out"
                raise InputError(msg)
            _print_recall(labels, as_json=as_json)
            return
        settings = read_settings()
        text = CollectOptions(
            subject=subject,
            units=units or "all",
            corpus=corpus,
            tokens=tokens,
            n_ctx=n_ctx,
            seed=seed,
        )
        asking = LabelOptions(units="sanity", llm=llm, llm_model=llm_model, seed=seed)
        collection = collect_job_of(text)
        job = SanityJob(
            subject=collection.subject,
            units=units,
            corpus=collection.corpus,
            seed=collection.seed,
            shares=each_once(share) or ("best", "0.01"),
            n_heldout=heldout,
            whole=whole,
            n_random_tokens=random_weights_tokens,
            llm=None if llm == "none" else job_of(asking, settings),
            n_llm_units=llm_units,
            scorers=each_once(scorer),
        )
        _run(job, settings, as_json=as_json)


def _print_recall(folder: Path, *, as_json: bool) -> None:
    """How often the labels of a run are found from the held-out text of their units."""
    say_loading()
    # Imported when the command runs: they bring torch, which takes seconds.
    from autointerp.activations.sentence_encoder import load_embedder  # noqa: PLC0415
    from autointerp.cli.rendering.recall_table import print_recall, recall_json  # noqa: PLC0415
    from autointerp.sanity.label_recall import label_recall, labelled_texts  # noqa: PLC0415

    sides = [
        labelled_texts(view.label, [one.record for one in view.held_out])
        for view in read_units(folder)
    ]
    rows = label_recall(sides, load_embedder())
    if as_json:
        print_json(recall_json(rows))
    else:
        print_recall(rows, result_console())


def _run(job: SanityJob, settings: Settings, *, as_json: bool) -> None:
    """Runs the checks and prints their result.

    Raises:
        typer.Exit: with 1 where the headline metric fails them.
    """
    say_loading()
    # Imported when the command runs: they bring torch, which takes seconds.
    from autointerp.cli.rendering.sanity_table import print_report, report_json  # noqa: PLC0415
    from autointerp.wiring.sanity_runs import run_sanity  # noqa: PLC0415

    with shown_progress() as progress:
        report = run_sanity(job, settings, progress=progress)
    if as_json:
        print_json(report_json(report))
    else:
        print_report(report, result_console())
    if not report.passed:
        say("the headline metric does not fall often enough: do not trust its scores")
        raise typer.Exit(ExitCode.SOME_FAILED)
