"""Commands that talk to a server: jobs are submitted, watched and stopped, labels downloaded."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autointerp.cli.command_options import (
    AsJson,
    BudgetTokens,
    BudgetUsd,
    JobId,
    LabelOptions,
    LlmFirst,
    OfCorpus,
    OfExplainer,
    PrintConfig,
    Server,
)
from autointerp.cli.job_options import budget_of, job_of
from autointerp.cli.job_settings import print_config_of
from autointerp.cli.option_groups import with_options
from autointerp.cli.rendering.console import ExitCode, print_json, result_console, say
from autointerp.cli.rendering.job_status import JobBars, list_failed, print_job, print_jobs
from autointerp.cli.rendering.progress_bars import shown_progress
from autointerp.core.job_state import JobState

if TYPE_CHECKING:
    from autointerp.client import Client, JobStatus
    from autointerp.core.config import JobSpec

_SUBMIT_HELPS = {
    "subject": "A model of the server.",
    "corpus": "A corpus of the server: wiki, python.",
    "llm": "An LLM of the server: embedded, none, default.",
}

_Key = Annotated[str | None, typer.Option(help="Idempotency key: the same key gives the same job.")]
_Wait = Annotated[bool, typer.Option("--wait", help="Wait until the job has ended.")]
_OptionalJobId = Annotated[
    str | None, typer.Argument(metavar="JOB", help="Its id; the newest jobs if left out.")
]

_States = Annotated[
    list[JobState] | None, typer.Option("--state", help="Only of this state; may be repeated.")
]
_Limit = Annotated[int, typer.Option(min=1, max=200, help="How many.")]


class DownloadFormat(StrEnum):
    """How a downloaded dictionary is written."""

    PARQUET = "parquet"
    JSONL = "jsonl"
    NEURONPEDIA = "neuronpedia"
    """A tar of the tree that Neuronpedia imports."""
    ARCHIVE = "archive"
    """A ZIP of the dictionary's folder, with scores, records and manifest."""
    EVIDENCE = "evidence"
    """Lines of causal evidence that jobs and requests have kept."""

    @property
    def suffix(self) -> str:
        """Of a file in this format."""
        return {"neuronpedia": ".tar", "archive": ".zip", "evidence": ".jsonl"}.get(
            self, f".{self}"
        )


_Model = Annotated[str, typer.Argument(help="The model whose labels are downloaded.")]
_Format = Annotated[DownloadFormat, typer.Option("--format", help="How it is written.")]
_File = Annotated[Path | None, typer.Option("--out", help="The file.")]


@contextmanager
def connected(server: str | None) -> Iterator[Client]:
    """A client of the server that was named, with the key of the settings."""
    from autointerp.client import Client  # noqa: PLC0415 - --help starts without it
    from autointerp.settings import read_settings  # noqa: PLC0415

    settings = read_settings()
    key = settings.api_key.get_secret_value() if settings.api_key else None
    with Client(server or settings.server, key) as client:
        yield client


def register(app: typer.Typer) -> None:
    """Adds the commands."""
    app.command(epilog="Example: autointerp submit smollm2-135m --units 5:0-19 --wait")(submit)
    for command in (jobs, status, wait, cancel, retry):
        app.command()(command)
    app.command(epilog="Example: autointerp download smollm2-135m --out labels.parquet")(download)


@partial(with_options, helps=_SUBMIT_HELPS)
def submit(  # noqa: PLR0913 - one parameter an option
    *,
    options: LabelOptions,
    budget_usd: BudgetUsd = None,
    budget_tokens: BudgetTokens = None,
    order: LlmFirst = None,
    key: _Key = None,
    wait: _Wait = False,
    server: Server = None,
    print_config: PrintConfig = False,
    as_json: AsJson = False,
) -> None:
    """Submits a labelling job to a server and prints its id."""
    if print_config:
        print_config_of(_job(options))
        return
    budget = budget_of(usd=budget_usd, tokens=budget_tokens, order=order)
    limits = budget.model_dump(mode="json", include={"usd", "tokens"})
    body = _body(options) | {"budget": limits | ({"order": order} if order else {})}
    with connected(server) as client:
        job = client.submit(**body, idempotency_key=key)
        if job.raw.get("unseen_text"):
            say(job.raw["unseen_text"])
        if wait:
            say(f"submitted {job.id}")
            job = follow_job(client, job.id)
        print_job(job, result_console(), as_json=as_json)
        if wait:
            exit_for(client, job)


def status(job_id: _OptionalJobId = None, server: Server = None, as_json: AsJson = False) -> None:
    """Shows the progress of a job of a server."""
    with connected(server) as client:
        if job_id is not None:
            print_job(client.status(job_id), result_console(), as_json=as_json)
            return
        jobs = client.jobs(limit=10)
    if as_json:
        print_json([dict(job.raw) for job in jobs])
        return
    for job in jobs:
        print_job(job, result_console(), as_json=False)


def jobs(
    state: _States = None, limit: _Limit = 20, server: Server = None, as_json: AsJson = False
) -> None:
    """Lists the newest jobs of a server, a line each."""
    with connected(server) as client:
        listed = client.jobs_in_short(states=state or (), limit=limit)
    if as_json:
        print_json(listed)
    else:
        print_jobs(listed, result_console())


def wait(job_id: JobId, server: Server = None, as_json: AsJson = False) -> None:
    """Shows progress until a job has ended; exit code 1 where not all of it succeeded."""
    with connected(server) as client:
        try:
            job = follow_job(client, job_id)
        except KeyboardInterrupt:
            say(f"the job is still running; `autointerp cancel {job_id}` stops it")
            raise typer.Exit(ExitCode.INTERRUPTED) from None
        print_job(job, result_console(), as_json=as_json)
        exit_for(client, job)


def cancel(job_id: JobId, server: Server = None, as_json: AsJson = False) -> None:
    """Stops a job cleanly; what is done is kept."""
    with connected(server) as client:
        print_job(client.cancel(job_id), result_console(), as_json=as_json)


def retry(job_id: JobId, server: Server = None, as_json: AsJson = False) -> None:
    """Runs again what failed in a job, was not reached, or got no answer of the LLM."""
    with connected(server) as client:
        print_job(client.retry(job_id), result_console(), as_json=as_json)


def download(
    model: _Model = "smollm2-135m",
    fmt: _Format = DownloadFormat.PARQUET,
    out: _File = None,
    corpus: OfCorpus = None,
    explainer: OfExplainer = None,
    server: Server = None,
    as_json: AsJson = False,
) -> None:
    """Downloads all labels of a model; continues a download that was interrupted.

    With --corpus or --explainer a table of those labels, also where newer ones took their place.
    """
    with connected(server) as client:
        file = out or Path(model + fmt.suffix)
        origin = {"corpus": corpus, "explainer": explainer}
        path = client.download(model, file, format=fmt.value, **origin)
    size = path.stat().st_size
    if as_json:
        print_json({"path": str(path), "bytes": size})
    else:
        result_console().print(f"{path} ({size:,} bytes)", soft_wrap=True)


def _body(options: LabelOptions) -> dict[str, Any]:
    return _job(options).model_dump(mode="json", exclude_defaults=True)


def _job(options: LabelOptions) -> JobSpec:
    """The job; checked here too, so that errors name the options of the command line."""
    from autointerp.settings import read_settings  # noqa: PLC0415 - --help starts without it

    # The LLM that the settings here name is not the server's.
    return job_of(options, read_settings().model_copy(update={"llm_base_url": None}))


def follow_job(client: Client, job_id: str) -> JobStatus:
    """Shows progress until the job has ended; the server may go away meanwhile and come back."""
    with shown_progress() as progress:
        return client.wait(job_id, on_change=JobBars(progress).show)


def exit_for(client: Client, job: JobStatus) -> None:
    """Lists what failed.

    Raises:
        typer.Exit: with 1 where the job did not do all that was asked.
    """
    if job.state is JobState.SUCCEEDED:
        return
    if job.reason:
        say(job.reason)
    if job.counts["failed"]:
        list_failed(client, job)
    raise typer.Exit(ExitCode.SOME_FAILED)
