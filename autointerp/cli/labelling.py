"""Running a job and telling what came of it: shared by ``label`` and ``demo``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from autointerp.cli.console import print_json, result_console, say, side_console
from autointerp.cli.numbers import counted
from autointerp.cli.progress import shown_progress
from autointerp.cli.results import outcome_json, print_outcome, short_unit, sorted_labels
from autointerp.cli.runner import Outcome, Runner
from autointerp.core.config import Budget, JobSpec
from autointerp.core.labels import Label, LabelStatus
from autointerp.store.labels import JsonLabelStore

if TYPE_CHECKING:
    from autointerp.settings import Settings

_SOME_FAILED, _INTERRUPTED = 1, 130


def label_job(  # noqa: PLR0913 - what the runner takes, and how to print
    job: JobSpec,
    runner: Runner,
    *,
    out: Path,
    resume: bool,
    settings: Settings,
    as_json: bool,
    budget: Budget | None = None,
) -> None:
    """Runs the job and prints its result.

    Raises:
        typer.Exit: with 1 where units failed or the budget ended first, with 130 where it was
            interrupted.
    """
    outcome = _run(
        job, runner, out=out, resume=resume, settings=settings, budget=budget or Budget()
    )
    if as_json:
        print_json(outcome_json(outcome))
    else:
        _print_for_people(outcome)
    failed = [x for x in sorted_labels(outcome.labels) if x.status is LabelStatus.FAILED]
    if failed:
        _list_failed(failed)
    if outcome.stopped is not None:
        verb = "is" if outcome.n_left == 1 else "are"
        left = counted(outcome.n_left, "unit")
        say(f"{left} {verb} left without a label: {outcome.stopped}")
    if failed or outcome.stopped is not None:
        raise typer.Exit(_SOME_FAILED)


def _run(  # noqa: PLR0913 - what the runner takes
    job: JobSpec, runner: Runner, *, out: Path, resume: bool, settings: Settings, budget: Budget
) -> Outcome:
    try:
        with shown_progress(side_console()) as progress:
            return runner(
                job, out=out, resume=resume, settings=settings, progress=progress, budget=budget
            )
    except KeyboardInterrupt:
        n = JsonLabelStore(out).count()
        verb = "is" if n == 1 else "are"
        say(f"interrupted; {counted(n, 'label')} {verb} kept in {out}; continue with --resume")
        raise typer.Exit(_INTERRUPTED) from None


def _print_for_people(outcome: Outcome) -> None:
    console = result_console()
    print_outcome(outcome, console)
    shown = _most_telling(outcome.labels)
    lines = [f"dictionary: {outcome.folder}"]
    if shown is not None:
        lines.append(f"next: autointerp show {short_unit(shown.unit)} --dir {outcome.folder}")
    for line in lines:
        console.print(line, soft_wrap=True)


def _most_telling(labels: Sequence[Label]) -> Label | None:
    ranked = sorted_labels(labels)
    return max(ranked, key=_score_or_least, default=None)


def _score_or_least(label: Label) -> float:
    value = label.headline.value
    return -2.0 if value is None else value


def _list_failed(failed: Sequence[Label]) -> None:
    say(f"{counted(len(failed), 'unit')} failed; --resume tries again:")
    for label in failed:
        say(f"  {label.unit} ({label.side}): {label.reason}")
