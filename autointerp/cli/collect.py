"""``autointerp collect``: summaries of units, without labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autointerp.cli.collected import collected_json, print_collected
from autointerp.cli.console import print_json, say, side_console
from autointerp.cli.options import CollectOptions, collect_job_of
from autointerp.cli.progress import shown_progress
from autointerp.core.config import CollectJob

if TYPE_CHECKING:
    from autointerp.collecting import Collected

_INTERRUPTED = 130

_Subject = Annotated[
    str | None,
    typer.Argument(help="smollm2-135m (default), a Hugging Face name or folder, a .gguf."),
]
_Units = Annotated[str, typer.Option(help="5:0-19,7:3, layer:5, random:50, all.")]
_Out = Annotated[Path, typer.Option(help="Folder of the summary.")]
_Corpus = Annotated[
    str | None, typer.Option(help="wiki (default), python, a file or folder, hf:NAME, a mixture.")
]
_Tokens = Annotated[int | None, typer.Option(help="Tokens to read.")]
_NCtx = Annotated[int | None, typer.Option(help="Tokens a window.")]
_Dtype = Annotated[str | None, typer.Option(help="float32 (default) or bfloat16.")]
_Seed = Annotated[int | None, typer.Option(help="Seed of everything random.")]
_TopK = Annotated[int | None, typer.Option(help="Windows kept at each end, per split.")]
_BatchWindows = Annotated[int | None, typer.Option(help="Windows a batch.")]
_Shard = Annotated[str | None, typer.Option(help="I/N: only the I-th of N shards.")]
_Every = Annotated[
    float, typer.Option(help="Seconds between two saves of what is done; 0 for every batch.", min=0)
]
_Resume = Annotated[bool, typer.Option("--resume", help="Continue a collection.")]
_AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def collect(  # noqa: PLR0913, PLR0917 - one parameter an option
        units: _Units,
        out: _Out,
        subject: _Subject = None,
        corpus: _Corpus = None,
        tokens: _Tokens = None,
        n_ctx: _NCtx = None,
        dtype: _Dtype = None,
        seed: _Seed = None,
        top_k: _TopK = None,
        batch_windows: _BatchWindows = None,
        shard: _Shard = None,
        save_every: _Every = 30.0,
        resume: _Resume = False,
        as_json: _AsJson = False,
    ) -> None:
        """Collects statistics, top windows and samples of units."""
        options = CollectOptions(
            subject=subject,
            units=units,
            corpus=corpus,
            tokens=tokens,
            n_ctx=n_ctx,
            dtype=dtype,
            seed=seed,
            top_k=top_k,
            batch_windows=batch_windows,
            shard=shard,
        )
        found = _run(collect_job_of(options), out, resume=resume, save_every_s=save_every)
        if as_json:
            print_json(collected_json(found))
        else:
            print_collected(found)


def _run(job: CollectJob, out: Path, *, resume: bool, save_every_s: float) -> Collected:
    # Imported when the command runs: they bring torch, which takes seconds.
    from autointerp.collecting import run_collection  # noqa: PLC0415
    from autointerp.settings import read_settings  # noqa: PLC0415

    try:
        with shown_progress(side_console()) as progress:
            return run_collection(
                job,
                out=out,
                resume=resume,
                settings=read_settings(),
                progress=progress,
                save_every_s=save_every_s,
            )
    except KeyboardInterrupt:
        say(f"interrupted; what was last saved in {out} is kept; continue with --resume")
        raise typer.Exit(_INTERRUPTED) from None
