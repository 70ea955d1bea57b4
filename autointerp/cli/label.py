"""``label`` for units of a subject model; ``explain`` and ``score`` for files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autointerp.cli.command_options import (
    AsJson,
    BudgetTokens,
    BudgetUsd,
    ExplainOptions,
    JsonFile,
    LabelOptions,
    LlmFirst,
    PrintConfig,
    RecordFiles,
    Resume,
    ScoreOptions,
)
from autointerp.cli.job_options import budget_of, default_folder, job_of, records_job_of
from autointerp.cli.job_settings import print_config_of
from autointerp.cli.option_groups import with_options
from autointerp.cli.rendering.console import (
    ExitCode,
    counted,
    no_answer,
    print_json,
    result_console,
    say,
    say_loading,
)
from autointerp.cli.rendering.label_table import (
    MOST_ROWS,
    outcome_json,
    print_outcome,
)
from autointerp.cli.rendering.progress_bars import shown_progress
from autointerp.core.config import JobSpec
from autointerp.store.labels import FolderLabelStore
from autointerp.store.run_folder import stored_job

if TYPE_CHECKING:
    from autointerp.jobs import RunReport
    from autointerp.jobs.run_totals import FailedLabel

    Runner = Callable[..., RunReport]
    """Takes what `autointerp.wiring.runs.run_job` takes."""

_Prices = Annotated[Path | None, typer.Option(help="A price table in place of the shipped one.")]
_Batch = Annotated[
    bool, typer.Option("--batch", help="Use the Batch API: half the price, up to a day.")
]
_FromManifest = Annotated[
    Path | None, typer.Option(help="manifest.json of a dictionary to make again.")
]
_Out = Annotated[Path | None, typer.Option(help="Folder of the run, which becomes the dictionary.")]
_Collected = Annotated[
    Path | None,
    typer.Option(help="Folder that collect or merge filled, in place of another pass."),
]
_Keep = Annotated[
    bool,
    typer.Option(
        "--keep-collection",
        help="Keep what was collected for other runs with --collected, also above 16 MiB.",
    ),
]
_Explanation = Annotated[
    str | None, typer.Option(help="What is scored; the file's own explanation where not given.")
]
_Program = Annotated[
    Path | None, typer.Option(help="File with a program to score in its place; needs no LLM.")
]
_ScoredUnits = Annotated[
    Path | None,
    typer.Option("--dir", help="Dictionary of units that are named like 5:131 in place of files."),
]


def register(app: typer.Typer, runner: Runner | None) -> None:
    """Adds the commands, which call the runner; `autointerp.wiring.runs.run_job` where None."""
    _register_labelling(app, runner)
    _register_reading_of_records(app)


def _register_labelling(app: typer.Typer, runner: Runner | None) -> None:
    @app.command(epilog="Example: autointerp label smollm2-135m --units 5:0-19 --llm none")
    @with_options
    def label(  # noqa: PLR0913 - one parameter an option
        *,
        options: LabelOptions,
        budget_usd: BudgetUsd = None,
        budget_tokens: BudgetTokens = None,
        order: LlmFirst = None,
        prices: _Prices = None,
        batch: _Batch = False,
        from_manifest: _FromManifest = None,
        collected: _Collected = None,
        keep_collection: _Keep = False,
        out: _Out = None,
        resume: Resume = False,
        print_config: PrintConfig = False,
        as_json: AsJson = False,
    ) -> None:
        """Explains and scores units of a language model."""
        from autointerp.settings import read_settings  # noqa: PLC0415 - --help starts without it

        settings = read_settings()
        budget = budget_of(
            usd=budget_usd, tokens=budget_tokens, order=order, prices=prices, batch=batch
        )
        earlier = stored_job(out) if resume and out is not None else None
        job = job_of(options, settings, from_manifest, earlier=earlier)
        if print_config:
            print_config_of(job)
            return
        run = partial(
            labelling_runner(runner),
            settings=settings,
            budget=budget,
            collected=collected,
            keep_collection=keep_collection,
        )
        run_and_print(job, run, out=out or default_folder(job), resume=resume, as_json=as_json)


def _register_reading_of_records(app: typer.Typer) -> None:
    @app.command(epilog="Example: autointerp explain unit.json --llm http://localhost:8000/v1")
    @with_options
    def explain(
        *,
        files: RecordFiles,
        options: ExplainOptions,
        out: JsonFile = None,
        print_config: PrintConfig = False,
        as_json: AsJson = False,
    ) -> None:
        """Explains units from record files; no subject model is needed."""
        say_loading()
        # Imported when the command runs: they bring torch, which takes seconds.
        from autointerp.cli.rendering.file_tables import print_explained  # noqa: PLC0415
        from autointerp.settings import read_settings  # noqa: PLC0415
        from autointerp.wiring.file_runs import explain_files  # noqa: PLC0415

        settings = read_settings()
        job = records_job_of(options, settings)
        if print_config:
            print_config_of(job)
            return
        with shown_progress() as progress:
            results = explain_files(files, job, settings, progress=progress)
        print_explained(results, out=out, as_json=as_json)

    @app.command(epilog="Example: autointerp score 5:131 --dir runs/mine --explanation 'rivers'")
    @with_options
    def score(  # noqa: PLR0913 - one parameter an option
        *,
        files: RecordFiles,
        explanation: _Explanation = None,
        program: _Program = None,
        folder: _ScoredUnits = None,
        options: ScoreOptions,
        out: JsonFile = None,
        print_config: PrintConfig = False,
        as_json: AsJson = False,
    ) -> None:
        """Scores explanations on record files or units; no subject model is needed."""
        say_loading()
        # Imported when the command runs: they bring torch, which takes seconds.
        from autointerp.cli.rendering.file_tables import print_scored  # noqa: PLC0415
        from autointerp.settings import read_settings  # noqa: PLC0415
        from autointerp.wiring.file_runs import read_program, score_files, unit_files  # noqa: PLC0415

        settings = read_settings()
        job = records_job_of(options, settings)
        if print_config:
            print_config_of(job)
            return
        if folder is not None:
            files = [path for unit in files for path in unit_files(folder, str(unit))]
        source = None if program is None else read_program(program)
        with shown_progress() as progress:
            results = score_files(
                files,
                job,
                settings,
                explanation=explanation,
                program=source,
                progress=progress,
            )
        print_scored(results, out=out, as_json=as_json)


def labelling_runner(given: Runner | None) -> Runner:
    """What runs a job: the one that is given, or else the library's."""
    say_loading()
    from autointerp.wiring.runs import run_job  # noqa: PLC0415 - brings torch, which takes seconds

    return given or run_job


def run_and_print(job: JobSpec, run: Runner, *, out: Path, resume: bool, as_json: bool) -> None:
    """Runs the job and prints its result.

    Raises:
        typer.Exit: with 1 where units failed, the budget ended first or every question to the LLM
            failed, with 130 where it was interrupted.
    """
    try:
        with shown_progress() as progress:
            outcome = run(job, out=out, resume=resume, progress=progress)
    except KeyboardInterrupt:
        n = FolderLabelStore(out).count()
        verb = "is" if n == 1 else "are"
        say(f"interrupted; {counted(n, 'label')} {verb} kept in {out}; continue with --resume")
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    if as_json:
        print_json(outcome_json(outcome))
    else:
        _print_for_people(outcome)
    failed = outcome.totals.failed
    if failed:
        _list_failed(failed)
    if outcome.stopped is not None:
        n_left, how = outcome.n_left, "left without a label"
        if not n_left:
            n_left, how = outcome.totals.n_by_rules, "labelled by rules"
        say(f"{counted(n_left, 'unit')} {'is' if n_left == 1 else 'are'} {how}: {outcome.stopped}")
    if outcome.llm_failure is not None:
        say(no_answer(outcome.llm_failure))
    if failed or outcome.stopped is not None or outcome.llm_failure is not None:
        raise typer.Exit(ExitCode.SOME_FAILED)


def _print_for_people(outcome: RunReport) -> None:
    console = result_console()
    print_outcome(outcome, console)
    best = outcome.totals.best
    lines = [f"dictionary: {outcome.folder}"]
    if best is not None:
        lines.append(f"next: autointerp show {best.short} --dir {outcome.folder}")
    for line in lines:
        console.print(line, soft_wrap=True)


def _list_failed(failed: Sequence[FailedLabel]) -> None:
    say(f"{counted(len(failed), 'unit')} failed; --resume tries again:")
    for label in failed[:MOST_ROWS]:
        say(f"  {label.unit} ({label.side}): {label.reason}")
    if len(failed) > MOST_ROWS:
        say(f"  ... and {len(failed) - MOST_ROWS:,} more")
