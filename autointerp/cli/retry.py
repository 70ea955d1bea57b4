"""``autointerp retry``: runs again what failed in a job of a server."""

from __future__ import annotations

import typer

from autointerp.cli.console import result_console
from autointerp.cli.remote import AsJson, JobId, Server, connected, print_job


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def retry(job_id: JobId, server: Server = None, as_json: AsJson = False) -> None:
        """Runs again what failed in a job, and nothing else."""
        with connected(server) as client:
            print_job(client.retry(job_id), result_console(), as_json=as_json)
