"""``autointerp explain`` and ``score``: units whose records come from files."""

from __future__ import annotations

from typing import Annotated

import typer

from autointerp.cli.command_options import AsJson, JsonFile, RecordFiles, with_options
from autointerp.cli.job_options import ExplainOptions, ScoreOptions, records_job_of

_Explanation = Annotated[
    str | None, typer.Option(help="What is scored; the file's own explanation where not given.")
]


def register(app: typer.Typer) -> None:
    """Adds the commands."""

    @app.command()
    @with_options
    def explain(
        *,
        files: RecordFiles,
        options: ExplainOptions,
        out: JsonFile = None,
        as_json: AsJson = False,
    ) -> None:
        """Explains units from record files; no subject model is needed."""
        # Imported when the command runs: they bring torch, which takes seconds.
        from autointerp.cli.rendering.file_tables import print_explained  # noqa: PLC0415
        from autointerp.settings import read_settings  # noqa: PLC0415
        from autointerp.wiring.file_runs import explain_files  # noqa: PLC0415

        settings = read_settings()
        results = explain_files(files, records_job_of(options, settings), settings)
        print_explained(results, out=out, as_json=as_json)

    @app.command()
    @with_options
    def score(
        *,
        files: RecordFiles,
        explanation: _Explanation = None,
        options: ScoreOptions,
        out: JsonFile = None,
        as_json: AsJson = False,
    ) -> None:
        """Scores explanations on record files; no subject model is needed."""
        # Imported when the command runs: they bring torch, which takes seconds.
        from autointerp.cli.rendering.file_tables import print_scored  # noqa: PLC0415
        from autointerp.settings import read_settings  # noqa: PLC0415
        from autointerp.wiring.file_runs import score_files  # noqa: PLC0415

        settings = read_settings()
        job = records_job_of(options, settings)
        results = score_files(files, job, settings, explanation=explanation)
        print_scored(results, out=out, as_json=as_json)
