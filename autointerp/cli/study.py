"""``autointerp study``: questions of the field about labels, each with a report."""

from __future__ import annotations

import typer

from autointerp.cli import (
    study_of_latents,
    study_of_layers,
    study_of_ranks,
    study_of_seeds,
    study_of_solu,
)


def register(app: typer.Typer) -> None:
    """Adds the group, to which each study adds its command."""
    studies = typer.Typer(
        help="Studies of labels and units, each with a report: HTML and JSON.",
        no_args_is_help=True,
    )
    for commands in (
        study_of_layers,
        study_of_seeds,
        study_of_ranks,
        study_of_latents,
        study_of_solu,
    ):
        commands.register(studies)
    app.add_typer(studies, name="study")
