"""``autointerp probe``: on how many units a feature can be read, and on which."""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.command_options import AsJson, Corpus, Subject, Tokens
from autointerp.cli.find import parsed_ks
from autointerp.cli.option_groups import with_options
from autointerp.cli.rendering.console import print_json, result_console, say_loading
from autointerp.cli.rendering.progress_bars import shown_progress

_N_TOKENS = 65_536
_Dataset = Annotated[
    Path | None,
    typer.Option(help='JSON lines: {"text", "label"}, {"text", "spans"} or {"tokens", "labels"}.'),
]
_ReadyFeature = Annotated[
    str | None, typer.Option(help="Instead: a ready feature, as for find, such as years.")
]
_Pattern = Annotated[
    str | None, typer.Option(help="Instead: a regular expression; tokens that overlap a match.")
]
_Layers = Annotated[str, typer.Option(help="all, or layers such as 3,5-8, whose neurons are used.")]
_Sizes = Annotated[
    str | None,
    typer.Option("--k", help="Units of the probes (default: 256 to 1), such as 4,2; 1 always."),
]
_NCtx = Annotated[int, typer.Option(help="Tokens per window.", min=2, max=4096)]
_ExactSeconds = Annotated[
    float, typer.Option(help="Seconds of each exact search of up to 4 units.", min=0)
]
_Seed = Annotated[int, typer.Option(help="Seed of the documents and the tokens drawn.", min=0)]


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(epilog="Example: autointerp probe smollm2-135m --dataset labelled.jsonl --k 4,2,1")
    @partial(
        with_options,
        helps={
            "corpus": "Text that --feature and --regex look in (default: the feature's own).",
            "tokens": f"Tokens to read (default: {_N_TOKENS:,}).",
        },
    )
    def probe(  # noqa: PLR0913 - one parameter an option
        subject: Subject = None,
        *,
        dataset: _Dataset = None,
        feature: _ReadyFeature = None,
        regex: _Pattern = None,
        layers: _Layers = "all",
        k: _Sizes = None,
        corpus: Corpus = None,
        tokens: Tokens = None,
        n_ctx: _NCtx = 64,
        exact_seconds: _ExactSeconds = 60.0,
        seed: _Seed = 0,
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
                regex=regex,
                layers=layers,
                ks=None if k is None else parsed_ks(k),
                corpus=corpus,
                tokens=tokens or _N_TOKENS,
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
