"""What commands that talk to a server share: the connection, and a job for eyes and machines."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from autointerp.cli.console import print_json, say, side_console
from autointerp.cli.numbers import counted
from autointerp.cli.progress import shown_progress
from autointerp.cli.text import visible
from autointerp.core.progress import Progress
from autointerp.core.service import JobState

if TYPE_CHECKING:
    from autointerp.client import Client, JobStatus

Server = Annotated[
    str | None,
    typer.Option(help="Address of the server; AUTOINTERP_SERVER, or http://127.0.0.1:8000."),
]
JobId = Annotated[str, typer.Argument(help="What submit printed: job_...")]
AsJson = Annotated[bool, typer.Option("--json", help="JSON on stdout.")]
_NOT_ALL = 1
_MOST_LISTED = 20


@contextmanager
def connected(server: str | None) -> Iterator[Client]:
    """A client of the server that was named, with the key of the settings."""
    from autointerp.client import Client  # noqa: PLC0415 - --help starts without it
    from autointerp.settings import read_settings  # noqa: PLC0415

    settings = read_settings()
    key = settings.api_key.get_secret_value() if settings.api_key else None
    with Client(server or settings.server, key) as client:
        yield client


def print_job(job: JobStatus, console: Console, *, as_json: bool) -> None:
    """The job in a few lines, or as the server's JSON."""
    if as_json:
        print_json(dict(job.raw))
        return
    console.print(Text(_headline(job), "bold"))
    console.print(Text(_counts(job)))
    if job.stages:
        stages = (f"{name} {done:,}/{total:,}" for name, (done, total) in job.stages.items())
        console.print(Text(", ".join(stages)))
    if job.requests:
        console.print(Text(_spent(job)))
    if job.left_s is not None and job.left_s > 0:
        console.print(Text(f"{job.rate_per_s:.3g} labels a second, about {job.left_s:,.0f} s left"))


def follow_job(client: Client, job_id: str) -> JobStatus:
    """Shows progress until the job has ended; the server may go away meanwhile and come back."""
    with shown_progress(side_console()) as progress:
        bars = _Bars(progress)
        return client.wait(job_id, on_change=bars.show)


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
        _list_failed(client, job)
    raise typer.Exit(_NOT_ALL)


class _Bars:
    """Bars for the stages of a job, moved to where the server says they are."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._shown: dict[str, tuple[int, int]] = {}

    def show(self, job: JobStatus) -> None:
        """Moves every bar."""
        for stage, (done, total) in job.stages.items():
            if stage not in {"plan", "label"}:
                self._move(stage, done, total, "pieces")
        if job.total:
            self._move("label", job.counts["done"], job.total, "labels")

    def _move(self, stage: str, done: int, total: int, unit: str) -> None:
        shown, of = self._shown.get(stage, (0, 0))
        if of != total or done < shown:
            self._progress.start(stage, total, unit)
            shown = 0
        if done > shown:
            self._progress.advance(stage, done - shown)
        self._shown[stage] = (done, total)


def _headline(job: JobStatus) -> str:
    said = f"{job.id}  {job.state}"
    return visible(f"{said}: {job.reason}" if job.reason else said)


def _counts(job: JobStatus) -> str:
    if not job.total:
        return "not planned yet"
    states = ("ok", "dead", "no_signal", "failed")
    parts = ", ".join(f"{job.counts[name]:,} {name}" for name in states if job.counts[name])
    done = f"{job.counts['done']:,} of {counted(job.total, 'label')}"
    return f"{done} ({parts})" if parts else done


def _spent(job: JobStatus) -> str:
    price = "at an unknown price" if job.usd is None else f"${job.usd:.4f}"
    return f"LLM: {job.requests:,} requests, {job.tokens:,} tokens, {price}"


def _list_failed(client: Client, job: JobStatus) -> None:
    say(f"{counted(job.counts['failed'], 'label')} failed; `autointerp retry {job.id}` tries again")
    listed = 0
    for event in client.events(job.id, kinds=("label",)):
        if event.data.get("status") == "failed":
            listed += 1
            if listed > _MOST_LISTED:
                say("...")
                return
            why = event.data.get("reason")
            say(f"{event.data.get('unit')}: {why}" if why else str(event.data.get("unit")))
