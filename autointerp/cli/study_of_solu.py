"""``autointerp study solu``: the shares of two models' neurons that one rule explains."""

from __future__ import annotations

from enum import StrEnum
from functools import partial
from typing import Annotated

import typer

from autointerp.cli.command_options import AsJson, Corpus, Llm, LlmModel, Tokens
from autointerp.cli.option_groups import with_options
from autointerp.cli.rendering.console import say, say_loading
from autointerp.cli.rendering.progress_bars import shown_progress
from autointerp.cli.study_output import StudyOut, StudySeed, resumable, show_study
from autointerp.core.blind_study import checked_person
from autointerp.core.errors import InputError

_HELPS = {
    "corpus": "Text that both read (default: wiki=0.5,python=0.5).",
    "tokens": "Tokens to read (default: 262,144).",
    "llm": "With --judge llm: embedded, or an endpoint's base URL.",
}
_First = Annotated[str, typer.Argument(metavar="A", help="A model: a name, a folder, a .gguf.")]
_Second = Annotated[
    str | None,
    typer.Argument(
        metavar="B", help="Another with the same tokenizer; none compares --sites of A."
    ),
]
_Sites = Annotated[
    str | None,
    typer.Option(
        "--sites", help="Of pre,mid,post (default: mid of a SoLU model, post of another)."
    ),
]
_Neurons = Annotated[int, typer.Option("--neurons", help="Neurons of each model.", min=1)]
_Firings = Annotated[int, typer.Option("--firings", help="Strongest windows of each.", min=5)]
_Port = Annotated[
    int, typer.Option("--port", help="Of the page of --judge person; 0: any.", min=0, max=65_535)
]


class Judge(StrEnum):
    """Who judges, besides the rules."""

    RULES = "rules"
    LLM = "llm"
    PERSON = "person"


_Judge = Annotated[
    Judge,
    typer.Option(
        "--judge", help="rules alone, an LLM as well, or a person on a page with two keys."
    ),
]
_AGAIN = "by the same command"
_Name = Annotated[str, typer.Option("--name", help="Of the person who judges.")]


def register(studies: typer.Typer) -> None:
    """Adds the command."""

    @studies.command(epilog="Example: autointerp study solu twins/solu twins/gelu --out solu")
    @partial(with_options, helps=_HELPS)
    def solu(  # noqa: PLR0913 - one parameter an option
        first: _First,
        second: _Second = None,
        *,
        sites: _Sites = None,
        neurons: _Neurons = 60,
        firings: _Firings = 20,
        judge: _Judge = Judge.RULES,
        name: _Name = "person",
        port: _Port = 0,
        corpus: Corpus = None,
        tokens: Tokens = None,
        llm: Llm = None,
        llm_model: LlmModel = None,
        seed: StudySeed = 0,
        out: StudyOut = None,
        as_json: AsJson = False,
    ) -> None:
        """How many neurons of two models one rule explains, judged blind and shuffled.

        Rules always judge. Run again with the same --out to go on, or to add a judge.
        """
        if (llm is not None) != (judge is Judge.LLM):
            raise InputError("--llm and --judge llm belong together; give both or neither")
        if judge is Judge.PERSON and out is None:
            raise InputError("a person's verdicts are kept in the folder of --out; name one")
        person = checked_person(name)
        say_loading()
        # Imported when the command runs: they bring torch, which takes seconds.
        from autointerp.settings import read_settings  # noqa: PLC0415
        from autointerp.wiring.study_solu import study_solu  # noqa: PLC0415

        with resumable(out, by=_AGAIN), shown_progress() as progress:
            report = study_solu(
                first,
                second,
                sites=tuple(filter(None, (sites or "").split(","))),
                neurons=neurons,
                firings=firings,
                corpus=corpus or "wiki=0.5,python=0.5",
                tokens=tokens or 262_144,
                llm=llm or "none",
                llm_model=llm_model,
                seed=seed,
                out=out,
                settings=read_settings(),
                progress=progress,
            )
        if judge is Judge.PERSON and out is not None:
            from autointerp.serving.judging_server import judge_on_a_page  # noqa: PLC0415
            from autointerp.wiring.blind_folder import BlindFolder  # noqa: PLC0415
            from autointerp.wiring.study_solu import report_of  # noqa: PLC0415

            with resumable(out, by=_AGAIN):
                judge_on_a_page(BlindFolder(out), person, port=port, tell=say)
            report = report_of(BlindFolder(out), dict(report.asked))
        show_study(report, out, as_json=as_json)
