"""``autointerp cancel``: stops a job of a server."""

from __future__ import annotations

import typer

from autointerp.cli.console import result_console
from autointerp.cli.remote import AsJson, JobId, Server, connected, print_job


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def cancel(job_id: JobId, server: Server = None, as_json: AsJson = False) -> None:
        """Stops a job cleanly; what is done is kept."""
        with connected(server) as client:
            print_job(client.cancel(job_id), result_console(), as_json=as_json)
