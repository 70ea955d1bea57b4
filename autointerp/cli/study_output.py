"""What every study takes and gives: a folder for its report, and its print."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.rendering.console import ExitCode, print_json, result_console, say
from autointerp.core.study_report import StudyReport

StudyOut = Annotated[
    Path | None,
    typer.Option("--out", help="Folder for study.json and report.html; nowhere if left out."),
]
StudySeed = Annotated[int, typer.Option("--seed", help="Seed of everything random.", min=0)]


@contextmanager
def resumable(out: Path | None, *, by: str = "with --resume") -> Iterator[None]:
    """Says how a study that is interrupted goes on, and ends the command.

    Args:
        out: the study's folder.
        by: what is done to continue it.
    """
    try:
        yield
    except KeyboardInterrupt:
        kept = "nothing is kept without --out"
        say(f"interrupted; {kept if out is None else f'continue {out} {by}'}")
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def show_study(report: StudyReport, out: Path | None, *, as_json: bool) -> None:
    """Prints a report on stdout, and on stderr where its page is."""
    # Imported when a command runs: it brings rich's tables.
    from autointerp.cli.rendering.study_table import print_study  # noqa: PLC0415

    if as_json:
        print_json(report.to_json())
    else:
        print_study(report, result_console())
    if out is not None:
        say(f"the report is in {out / 'report.html'}")
