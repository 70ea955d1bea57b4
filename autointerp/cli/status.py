"""``autointerp status``: one job of a server, or the newest ones."""

from __future__ import annotations

from typing import Annotated

import typer

from autointerp.cli.console import print_json, result_console
from autointerp.cli.remote import AsJson, Server, connected, print_job


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def status(
        job_id: Annotated[
            str | None, typer.Argument(metavar="[JOB]", help="Its id; the newest jobs without.")
        ] = None,
        server: Server = None,
        as_json: AsJson = False,
    ) -> None:
        """Shows how far a job of a server is."""
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
