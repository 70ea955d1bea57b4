"""``demo``: what a capable LLM made of a model, then four of its neurons live and offline."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.text import Text

from autointerp.cli.command_options import AsJson
from autointerp.cli.label import labelling_runner, run_and_print
from autointerp.cli.rendering.console import number, result_console
from autointerp.cli.rendering.result_tables import result_tables
from autointerp.core.config import Budget, CorpusConfig, JobSpec, ScoreConfig
from autointerp.core.errors import InputError

if TYPE_CHECKING:
    from autointerp.cli.label import Runner

DEMO = JobSpec(
    subject="smollm2-135m",
    units="1:848,8:1189,8:1445,15:1493",
    corpus=CorpusConfig(corpus="wiki", n_tokens=32_768),
    score=ScoreConfig(n_heldout=8),
    llm="embedded",
)
"""What is labelled live."""
_LIVE = (
    "\nNow the same four live, on this machine and offline: the embedded LLM has 135 million "
    "parameters. Its explanations are not to be trusted, and their scores say so."
)
_Out = Annotated[Path, typer.Option(help="Folder of the run.")]


def register(app: typer.Typer, runner: Runner | None) -> None:
    """Adds the command."""

    @app.command()
    def demo(out: _Out = Path("runs/demo"), as_json: AsJson = False) -> None:
        """Shows what a capable LLM made of SmolLM2-135M, then labels four neurons live, offline."""
        from autointerp.settings import read_settings  # noqa: PLC0415 - --help starts without it

        pages = None if as_json else _pages_beside(out)
        if pages is not None:
            _print_example(result_console())
        run = partial(labelling_runner(runner), settings=read_settings(), budget=Budget())
        run_and_print(DEMO, run, out=out, resume=True, as_json=as_json)
        if pages is not None:
            _write_pages(pages)
            result_console().print(f"pages of the example: {pages}/index.html", soft_wrap=True)


def _pages_beside(out: Path) -> Path:
    """The folder of the pages, beside that of the run; refused before anything is labelled."""
    from autointerp.dictionary.export_formats import refuse_taken_folder  # noqa: PLC0415 - pyarrow
    from autointerp.web.static_pages import HTML, MARK  # noqa: PLC0415

    run = out.resolve()
    if not run.name:
        raise InputError(f"the demo makes a folder beside {run}; name another --out")
    folder = run.with_name(f"{run.name}-pages")
    if not (folder / MARK).is_file():
        refuse_taken_folder(folder, HTML)
    return folder


def _write_pages(folder: Path) -> None:
    from autointerp.dictionary import open_example  # noqa: PLC0415 - brings pyarrow
    from autointerp.web.static_pages import MARK, export_pages  # noqa: PLC0415

    if (folder / MARK).is_file():
        # Those of the last time, perhaps by another version.
        shutil.rmtree(folder)
    export_pages(open_example(), folder)


def _print_example(console: Console) -> None:
    """The shipped dictionary: labels of the neurons to come, the others' scores, who wrote them."""
    from autointerp.dictionary import open_example  # noqa: PLC0415 - brings pyarrow

    example = open_example()
    made, labels = example.manifest, list(example.labels())
    by_unit = {f"{label.unit.layer}:{label.unit.index}": label for label in labels}
    live = DEMO.units.split(",")
    text = (
        f"The example dictionary that comes with autointerp: {made.counts.labels} neurons of "
        f"{made.subject}, explained and judged by {made.explainer_model} on {made.n_tokens:,} "
        f"tokens of Wikipedia (CC BY-SA). Four of them, of which "
        f"`autointerp show {live[0]} --dir {example.folder}` shows more:"
    )
    console.print(Text(text, "bold"))
    for part in result_tables([by_unit[unit] for unit in live], width=console.width):
        console.print(part)
    others = (
        f"{u} {number(label.headline.value)}" for u, label in by_unit.items() if u not in live
    )
    console.print(Text(f"The others with their scores: {', '.join(others)}."))
    console.print(Text(_LIVE, "bold"))
