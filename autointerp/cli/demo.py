"""``autointerp demo``: label real neurons of a real model with the embedded LLM, offline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.labelling import label_job
from autointerp.cli.runner import Runner
from autointerp.core.config import CorpusConfig, JobSpec

_JOB = JobSpec(
    subject="smollm2-135m",
    units="random:12@0,10,20,29",
    corpus=CorpusConfig(corpus="wiki", n_tokens=32_768),
    llm="embedded",
)


def register(app: typer.Typer, runner: Runner) -> None:
    """Adds the command."""

    @app.command()
    def demo(
        out: Annotated[Path, typer.Option(help="Folder of the run.")] = Path("runs/demo"),
        as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout.")] = False,
    ) -> None:
        """Labels twelve neurons of SmolLM2-135M in a few minutes, with nothing to set up."""
        from autointerp.settings import read_settings  # noqa: PLC0415 - --help starts without it

        settings = read_settings()
        label_job(_JOB, runner, out=out, resume=True, settings=settings, as_json=as_json)
