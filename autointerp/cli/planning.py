"""``autointerp plan``: what a job will need, before any model or text is read."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autointerp.cli.command_options import AsJson, LabelOptions, PrintConfig
from autointerp.cli.job_options import budget_of, job_of
from autointerp.cli.job_settings import print_config_of
from autointerp.cli.option_groups import with_options
from autointerp.cli.rendering.console import print_json, result_console, say_loading
from autointerp.core.errors import InputError

_Workers = Annotated[
    int, typer.Option(help="Processes that label, a core each.", min=1, max=100_000)
]
_Readers = Annotated[
    int,
    typer.Option(help="Processes that read text, a machine of 2 cores each.", min=1, max=100_000),
]
_Prices = Annotated[Path | None, typer.Option(help="A price table in place of the shipped one.")]
_Batch = Annotated[bool, typer.Option("--batch", help="Use the Batch API: half the price.")]


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(epilog="Example: autointerp plan llama-3.1-8b --units all --llm none --workers 4")
    @with_options
    def plan(  # noqa: PLR0913 - one parameter an option
        *,
        options: LabelOptions,
        workers: _Workers = 1,
        readers: _Readers = 1,
        prices: _Prices = None,
        batch: _Batch = False,
        print_config: PrintConfig = False,
        as_json: AsJson = False,
    ) -> None:
        """Says what label needs: time, memory, disk, tokens and dollars; reads no weights."""
        say_loading()
        # Imported when the command runs: they bring torch, which takes seconds.
        from autointerp.cli.rendering.plan_table import plan_json, print_plan  # noqa: PLC0415
        from autointerp.settings import read_settings  # noqa: PLC0415
        from autointerp.wiring.job_plans import plan_job  # noqa: PLC0415
        from autointerp.wiring.llms import JobBudget  # noqa: PLC0415
        from autointerp.wiring.units_beforehand import check_units_beforehand  # noqa: PLC0415

        settings = read_settings()
        job = job_of(options, settings)
        if print_config:
            print_config_of(job)
            return
        limits = budget_of(usd=None, tokens=None, prices=prices, batch=batch)
        try:
            outlook = plan_job(
                job,
                settings,
                n_workers=workers,
                n_readers=readers,
                budget=JobBudget(limits),
            )
        except InputError:
            # Of a model that is at hand this tells more than its shape does.
            check_units_beforehand(job.units, job.subject, settings)
            raise
        if as_json:
            print_json(plan_json(outlook))
        else:
            print_plan(outlook, result_console())
