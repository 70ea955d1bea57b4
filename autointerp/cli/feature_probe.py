"""``autointerp probe``: on how many units a feature can be read, and on which."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer

from autointerp.cli.command_options import AsJson, Corpus, Subject, Tokens
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
from autointerp.cli.rendering.console import print_json, result_console, say_loading
from autointerp.cli.rendering.progress_bars import shown_progress

_Layers = Annotated[str, typer.Option(help="all, or layers such as 3,5-8, whose neurons are used.")]
_Sizes = Annotated[
    str | None,
    typer.Option("--k", help="Units of the probes (default: 256 to 1), such as 4,2; 1 always."),
]


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(epilog="Example: autointerp probe smollm2-135m --dataset labelled.jsonl --k 4,2,1")
    @partial(with_options, helps=HELPS)
    def probe(  # noqa: PLR0913 - one parameter an option
        subject: Subject = None,
        *,
        dataset: Dataset = None,
        positive: Positive = None,
        negative: Negative = None,
        feature: FeatureName = None,
        regex: Regex = None,
        layers: _Layers = "all",
        k: _Sizes = None,
        corpus: Corpus = None,
        tokens: Tokens = None,
        n_ctx: NCtx = 64,
        exact_seconds: ExactSeconds = 60.0,
        seed: Seed = 0,
        as_json: AsJson = False,
    ) -> None:
        """Fits probes on few units for a labelled feature, scored on other documents."""
        say_loading()
        # Imported when the command runs: they bring torch, which takes seconds.
        from autointerp.cli.rendering.probe_table import print_probe_report  # noqa: PLC0415
        from autointerp.settings import read_settings  # noqa: PLC0415
        from autointerp.wiring.probe_runs import probe as probe_feature  # noqa: PLC0415

        with shown_progress() as progress:
            report = probe_feature(
                subject or "smollm2-135m",
                feature,
                dataset=dataset,
                positive=positive,
                negative=negative,
                regex=regex,
                layers=layers,
                ks=None if k is None else parsed_ks(k),
                corpus=corpus,
                tokens=tokens or N_TOKENS,
                n_ctx=n_ctx,
                exact_s=exact_seconds,
                seed=seed,
                settings=read_settings(),
                progress=progress,
            )
        if as_json:
            print_json(asdict(report))
        else:
            print_probe_report(report, result_console())
