"""``autointerp study seeds``: how stable labels and scores are over seeds, texts, explainers."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from autointerp.cli.command_options import AsJson, Llm, LlmModel, Resume, Subject, Tokens, Units
from autointerp.cli.option_groups import with_options
from autointerp.cli.rendering.console import say_loading
from autointerp.cli.rendering.progress_bars import shown_progress
from autointerp.cli.study_output import StudyOut, StudySeed, resumable, show_study
from autointerp.core.errors import InputError
from autointerp.core.one_line import shortened

_HELPS = {
    "units": "Units that every run labels (default: random:40).",
    "llm": "none (default), embedded, or an endpoint's base URL: explains and scores them.",
    "resume": "Continue what is in the folder of --out.",
}
_Seeds = Annotated[str, typer.Option(help="Seeds of the runs, two or more, with commas.")]
_Corpora = Annotated[
    str, typer.Option(help="Texts, with commas; with ; where a mixture has commas of its own.")
]
_Explainers = Annotated[
    str | None,
    typer.Option(help="Explainers, with commas, each in runs of its own (default: what fits)."),
]


def register(studies: typer.Typer) -> None:
    """Adds the command."""

    @studies.command(epilog="Example: autointerp study seeds --corpora wiki,python --out seeds")
    @partial(with_options, helps=_HELPS)
    def seeds(  # noqa: PLR0913 - one parameter an option
        subject: Subject = None,
        *,
        units: Units = None,
        seeds: _Seeds = "0,1,2",
        corpora: _Corpora = "wiki",
        explainers: _Explainers = None,
        tokens: Tokens = None,
        llm: Llm = "none",
        llm_model: LlmModel = None,
        seed: StudySeed = 0,
        out: StudyOut = None,
        resume: Resume = False,
        as_json: AsJson = False,
    ) -> None:
        """How stable labels and scores are over seeds, texts and explainers."""
        given = _whole_numbers(seeds)
        say_loading()
        # Imported when the command runs: they bring torch, which takes seconds.
        from autointerp.settings import read_settings  # noqa: PLC0415
        from autointerp.wiring.study_seeds import study_seeds  # noqa: PLC0415

        with resumable(out), shown_progress() as progress:
            report = study_seeds(
                subject or "smollm2-135m",
                units=units or "random:40",
                seeds=given,
                corpora=_listed(corpora),
                explainers=None if explainers is None else _listed(explainers),
                tokens=tokens,
                llm=llm or "none",
                llm_model=llm_model,
                seed=seed,
                out=out,
                resume=resume,
                settings=read_settings(),
                progress=progress,
            )
        show_study(report, out, as_json=as_json)


def _whole_numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError as error:
        raise InputError(
            f"--seeds {shortened(text)} is not whole numbers; write for example --seeds 0,1,2"
        ) from error


def _listed(text: str) -> tuple[str, ...]:
    sign = ";" if ";" in text or "=" in text else ","
    return tuple(part.strip() for part in text.split(sign) if part.strip())
