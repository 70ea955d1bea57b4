"""``autointerp study latents``: labels of an SAE's latents beside those of neurons."""

from __future__ import annotations

from functools import partial
from typing import Annotated

import typer

from autointerp.cli.command_options import AsJson, Corpus, Llm, LlmModel, Resume, Subject, Tokens
from autointerp.cli.option_groups import with_options
from autointerp.cli.rendering.console import say_loading
from autointerp.cli.rendering.progress_bars import shown_progress
from autointerp.cli.study_output import StudyOut, StudySeed, resumable, show_study

_HELPS = {
    "subject": "The model that the SAE reads: smollm2-135m (default), a name or a folder.",
    "llm": "none (default), embedded, or an endpoint's base URL: explains and scores them.",
    "resume": "Continue what is in the folder of --out.",
}
_Sae = Annotated[
    str, typer.Option("--sae", help="Folder in SAELens' layout, or a release as RELEASE/ID.")
]
_Each = Annotated[
    int, typer.Option("--units-each", help="Latents, and neurons in pairs with them.", min=2)
]


def register(studies: typer.Typer) -> None:
    """Adds the command."""

    @studies.command(epilog="Example: autointerp study latents --sae my-sae --out latents")
    @partial(with_options, helps=_HELPS)
    def latents(  # noqa: PLR0913 - one parameter an option
        subject: Subject = None,
        *,
        sae: _Sae,
        units_each: _Each = 100,
        corpus: Corpus = None,
        tokens: Tokens = None,
        llm: Llm = "none",
        llm_model: LlmModel = None,
        seed: StudySeed = 0,
        out: StudyOut = None,
        resume: Resume = False,
        as_json: AsJson = False,
    ) -> None:
        """An SAE's latents beside neurons of that layer: how many live, and what labels score."""
        say_loading()
        # Imported when the command runs: they bring torch, which takes seconds.
        from autointerp.settings import read_settings  # noqa: PLC0415
        from autointerp.wiring.study_latents import study_latents  # noqa: PLC0415

        with resumable(out), shown_progress() as progress:
            report = study_latents(
                subject,
                sae=sae,
                units_each=units_each,
                corpus=corpus or "wiki",
                tokens=tokens or 65_536,
                llm=llm or "none",
                llm_model=llm_model,
                seed=seed,
                out=out,
                resume=resume,
                settings=read_settings(),
                progress=progress,
            )
        show_study(report, out, as_json=as_json)
