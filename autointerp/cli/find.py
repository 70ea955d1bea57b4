"""``autointerp find``: which units of a model carry a feature."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.command_options import AsJson, Corpus, Server, Subject, Tokens, Units
from autointerp.cli.find_options import (
    HELPS,
    N_TOKENS,
    Dataset,
    ExactSeconds,
    FeatureName,
    NCtx,
    Negative,
    Positive,
    Regex,
    Seed,
    parsed_ks,
)
from autointerp.cli.option_groups import with_options
from autointerp.cli.remote_find import Sought, ask_server
from autointerp.cli.rendering.console import print_json, result_console, say_loading
from autointerp.cli.rendering.progress_bars import shown_progress

_RankBy = Annotated[
    str,
    typer.Option(
        help="What units are ranked by: average_precision, f_statistic, mean_difference, "
        "mutual_information."
    ),
]
_Limit = Annotated[int, typer.Option(help="So many of the best units.", min=1, max=1000)]
_Ks = Annotated[
    str | None,
    typer.Option(
        "--k",
        help="Units of the probes, such as 16,4,2 (default: 256 to 1), 1 always; 0 for no probes.",
    ),
]
_Dir = Annotated[
    Path | None,
    typer.Option("--dir", help="Folder of a dictionary, whose labels stand beside the units."),
]
_SUBJECT, _EXACT_S = "smollm2-135m", 60.0


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(epilog="Example: autointerp find smollm2-135m --feature years --dir runs/smollm2")
    @partial(
        with_options,
        helps={
            "units": "Units that are ranked (default: all neurons): all, layer:5, 5:0-99, a hook "
            "point with indices, sae:FOLDER:0-99.",
            "server": "Address of a server, whose workers look in place of this machine.",
        }
        | HELPS,
    )
    def find(  # noqa: PLR0913 - one parameter an option
        subject: Subject = None,
        *,
        feature: FeatureName = None,
        regex: Regex = None,
        positive: Positive = None,
        negative: Negative = None,
        dataset: Dataset = None,
        units: Units = None,
        corpus: Corpus = None,
        tokens: Tokens = None,
        n_ctx: NCtx = 64,
        rank_by: _RankBy = "average_precision",
        limit: _Limit = 20,
        k: _Ks = None,
        exact_seconds: ExactSeconds = _EXACT_S,
        folder: _Dir = None,
        seed: Seed = 0,
        server: Server = None,
        as_json: AsJson = False,
    ) -> None:
        """Finds the units of all layers that tell a feature best, tested on other documents."""
        ks = None if k is None else parsed_ks(k)
        if server is not None:
            options = {
                **{"corpus": corpus, "units": units, "tokens": tokens, "n_ctx": n_ctx},
                **{"rank_by": rank_by.replace("-", "_"), "n": limit, "seed": seed, "k": ks},
                "exact_s": None if exact_seconds == _EXACT_S else exact_seconds,
            }
            sought = Sought(feature, regex, positive, negative, dataset)
            ask_server(server, subject or _SUBJECT, sought, options, folder=folder, as_json=as_json)
            return
        say_loading()
        # Imported when the command runs: they bring torch, which takes seconds.
        from autointerp.cli.rendering.find_table import print_found  # noqa: PLC0415
        from autointerp.settings import read_settings  # noqa: PLC0415
        from autointerp.wiring.find_runs import find as find_feature  # noqa: PLC0415

        with shown_progress() as progress:
            report = find_feature(
                subject or _SUBJECT,
                feature,
                regex=regex,
                positive=positive,
                negative=negative,
                dataset=dataset,
                units=units or "all",
                corpus=corpus,
                tokens=tokens or N_TOKENS,
                n_ctx=n_ctx,
                measure=rank_by,
                n=limit,
                ks=ks,
                exact_s=exact_seconds,
                dictionary=folder,
                seed=seed,
                settings=read_settings(),
                progress=progress,
            )
        if as_json:
            print_json(asdict(report))
        else:
            print_found(report, result_console())
