"""``autointerp rescore``: the labels of a dictionary on text that they were not learned on."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.command_options import (
    AsJson,
    BudgetTokens,
    BudgetUsd,
    Llm,
    LlmModel,
    Resume,
    Tokens,
    Units,
)
from autointerp.cli.option_groups import with_options
from autointerp.cli.rendering.console import (
    ExitCode,
    counted,
    print_json,
    result_console,
    say,
    say_loading,
)
from autointerp.cli.rendering.progress_bars import shown_progress

_HELPS = {
    "units": "Labels of these units alone: 5:0-19,7:3, layer:5, a latent's hook point; all if "
    "left out.",
    "tokens": "Tokens to read (default: as many as the labels were learned on).",
    "llm": "none (default), embedded, or a base URL: scores labels that are words; rules and "
    "programs need none.",
    "resume": "Continue what is in the folder of --out.",
}

_Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a run or a dictionary.")]
_Corpus = Annotated[
    str,
    typer.Option(
        help="The other text: wiki, python, a file or folder[:field], hf:NAME, a mixture."
    ),
]
_Limit = Annotated[int | None, typer.Option(help="So many of the labels, drawn at random.", min=1)]
_Seed = Annotated[int, typer.Option(help="Seed of that draw.", min=0)]
_Encoders = Annotated[
    list[str] | None,
    typer.Option(
        "--encoder",
        help="Where an SAE or directions lie that were moved: sae:FOLDER, dirs:FILE; repeatable.",
    ),
]
_Out = Annotated[
    Path | None, typer.Option(help="Folder for a line a label and a report; nowhere if left out.")
]


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(epilog="Example: autointerp rescore runs/mine --corpus python --limit 300")
    @partial(with_options, helps=_HELPS)
    def rescore(  # noqa: PLR0913 - one parameter an option
        folder: _Folder,
        *,
        corpus: _Corpus = "python",
        units: Units = None,
        limit: _Limit = None,
        seed: _Seed = 0,
        tokens: Tokens = None,
        llm: Llm = "none",
        llm_model: LlmModel = None,
        budget_usd: BudgetUsd = None,
        budget_tokens: BudgetTokens = None,
        encoder: _Encoders = None,
        out: _Out = None,
        resume: Resume = False,
        as_json: AsJson = False,
    ) -> None:
        """Scores labels on text that they were not learned on, and lists those to distrust."""
        say_loading()
        # Imported when the command runs: they bring torch, which takes seconds.
        from autointerp.cli.rendering.rescore_table import print_rescored  # noqa: PLC0415
        from autointerp.dictionary.rescored_labels import (  # noqa: PLC0415
            OUT_OF_BUDGET,
            rescore_json,
        )
        from autointerp.settings import read_settings  # noqa: PLC0415
        from autointerp.wiring.rescore_runs import rescore as run  # noqa: PLC0415

        settings = read_settings()
        try:
            with shown_progress() as progress:
                report = run(
                    folder,
                    corpus,
                    units=units,
                    limit=limit,
                    seed=seed,
                    tokens=tokens,
                    llm=llm or "none",
                    llm_model=llm_model,
                    budget_usd=budget_usd,
                    budget_tokens=budget_tokens,
                    encoders=encoder or (),
                    out=out,
                    resume=resume,
                    settings=settings,
                    progress=progress,
                )
        except KeyboardInterrupt:
            kept = "nothing is kept without --out"
            say(f"interrupted; {kept if out is None else f'continue {out} with --resume'}")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        if as_json:
            print_json(rescore_json(report))
        else:
            print_rescored(report, result_console())
        if report.n_unpaid:
            n = counted(report.n_unpaid, "label")
            how = "run again" if out is None else "run again with --resume"
            say(f"{n} not scored: {OUT_OF_BUDGET}; raise it and {how}")
            raise typer.Exit(ExitCode.SOME_FAILED)
