"""``autointerp wait``: until a job of a server has ended."""

from __future__ import annotations

import typer

from autointerp.cli.console import result_console, say
from autointerp.cli.remote import (
    AsJson,
    JobId,
    Server,
    connected,
    exit_for,
    follow_job,
    print_job,
)

_INTERRUPTED = 130


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def wait(job_id: JobId, server: Server = None, as_json: AsJson = False) -> None:
        """Shows progress until a job has ended; exit code 1 where not all of it succeeded."""
        with connected(server) as client:
            try:
                job = follow_job(client, job_id)
            except KeyboardInterrupt:
                say(f"the job goes on; `autointerp cancel {job_id}` stops it")
                raise typer.Exit(_INTERRUPTED) from None
            print_job(job, result_console(), as_json=as_json)
            exit_for(client, job)
