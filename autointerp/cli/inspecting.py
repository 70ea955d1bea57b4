"""``autointerp inspect``: a subject model, an SAE or a corpus, looked at before a job reads it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autointerp.cli.command_options import AsJson, Seed
from autointerp.cli.option_groups import with_options
from autointerp.cli.rendering.console import (
    ExitCode,
    print_json,
    result_console,
    say,
    say_loading,
)
from autointerp.core.config import CorpusConfig
from autointerp.core.errors import InputError

if TYPE_CHECKING:
    from rich.console import Console

    from autointerp.settings import Settings
    from autointerp.wiring.inspections import Kind

_What = Annotated[
    str,
    typer.Argument(
        metavar="SUBJECT|SAE|CORPUS",
        help="smollm2-135m, a folder, a .gguf; an SAE's folder, sae:FOLDER@HOOK; wiki, a file.",
    ),
]
_Subject = Annotated[
    str | None,
    typer.Option(help="Subject model that an SAE should fit, or whose tokenizer counts tokens."),
]
_Corpus = Annotated[
    str | None, typer.Option(help="Text on which an SAE's latents are tried (default: wiki).")
]
_Tokens = Annotated[
    int | None,
    typer.Option(
        help="Tokens of that text (default: 4,096); for a subject, of a collection (65,536).",
        min=2,
        max=10**12,
    ),
]
_NCtx = Annotated[int, typer.Option(help="Tokens per window.", min=2, max=4096)]
_USUAL = CorpusConfig()
_Load = Annotated[
    bool, typer.Option("--load", help="Read a subject's weights, and list what it really has.")
]
_TRIED = 4_096
_UNUSED = {
    "corpus": ("--tokens", "--load", "--corpus"),
    "sae": ("--load",),
    "subject": ("--subject", "--corpus"),
}
_CALLED = {"corpus": "a corpus", "sae": "an SAE", "subject": "a subject model"}


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command(epilog="Example: autointerp inspect sae:./my-sae --subject smollm2-135m")
    @with_options
    def inspect(  # noqa: PLR0913 - one parameter an option
        *,
        what: _What,
        subject: _Subject = None,
        corpus: _Corpus = None,
        tokens: _Tokens = None,
        n_ctx: _NCtx = _USUAL.n_ctx,
        load: _Load = False,
        seed: Seed = None,
        as_json: AsJson = False,
    ) -> None:
        """Shows what a subject model, an SAE or a corpus is, before a job reads it."""
        from autointerp.settings import read_settings  # noqa: PLC0415 - --help starts without it
        from autointerp.wiring.inspections import kind_of  # noqa: PLC0415

        settings = read_settings()
        text = CorpusConfig(corpus=corpus or _USUAL.corpus, n_ctx=n_ctx, seed=seed or 0)
        kind = kind_of(what) or "subject"
        given = {"--tokens": tokens, "--load": load, "--subject": subject, "--corpus": corpus}
        _refuse_unused(what, kind, given)
        if kind == "corpus":
            ok = _corpus(what, subject, settings, text, as_json=as_json)
        elif kind == "sae":
            text = text.model_copy(update={"n_tokens": tokens or _TRIED})
            ok = _sae(what, subject, settings, text, as_json=as_json)
        else:
            text = text.model_copy(update={"n_tokens": tokens or text.n_tokens})
            ok = _subject(what, settings, text, load=load, as_json=as_json)
        if not ok:
            raise typer.Exit(ExitCode.SOME_FAILED)


def _refuse_unused(what: str, kind: Kind, given: Mapping[str, object]) -> None:
    for option in _UNUSED[kind]:
        if given[option]:
            advice = "leave it out"
            if (option, kind) == ("--corpus", "subject"):
                advice = f"autointerp inspect {given[option]} --subject {what} looks at the text"
            raise InputError(f"{option} says nothing about {_CALLED[kind]}; {advice}")


def _corpus(
    what: str, subject: str | None, settings: Settings, text: CorpusConfig, *, as_json: bool
) -> bool:
    from autointerp.cli.rendering.corpus_look_table import (  # noqa: PLC0415
        corpus_json,
        print_corpus,
    )
    from autointerp.corpora.corpus_look import look_at_corpus  # noqa: PLC0415

    tokenizer = None
    if subject is not None:
        say_loading()
        # Imported when it is needed: it brings torch, which takes seconds.
        from autointerp.wiring.subject_look import tokenizer_of  # noqa: PLC0415

        tokenizer = tokenizer_of(subject, settings)
    say(f"reading {what}")
    started = time.monotonic()
    looks = look_at_corpus(text.model_copy(update={"corpus": what}), tokenizer)
    _show(
        partial(corpus_json, looks, text, subject),
        partial(print_corpus, looks, text, subject),
        started=started,
        as_json=as_json,
    )
    return True


def _sae(
    what: str, subject: str | None, settings: Settings, text: CorpusConfig, *, as_json: bool
) -> bool:
    say_loading()
    # Imported when the command runs: they bring torch, which takes seconds.
    from autointerp.cli.rendering.sae_look_table import print_sae, sae_json  # noqa: PLC0415
    from autointerp.wiring.inspections import sae_item  # noqa: PLC0415
    from autointerp.wiring.sae_look import look_at_sae  # noqa: PLC0415

    started = time.monotonic()
    look = look_at_sae(sae_item(what), subject, settings, text)
    _show(partial(sae_json, look), partial(print_sae, look), started=started, as_json=as_json)
    return look.fit is None or look.fit.refused is None


def _subject(
    what: str, settings: Settings, text: CorpusConfig, *, load: bool, as_json: bool
) -> bool:
    say_loading()
    # Imported when the command runs: they bring torch, which takes seconds.
    from autointerp.cli.rendering.subject_look_table import (  # noqa: PLC0415
        print_subject,
        subject_json,
    )
    from autointerp.wiring.inspections import none_of_the_three  # noqa: PLC0415
    from autointerp.wiring.subject_look import is_here, look_at_subject  # noqa: PLC0415

    started = time.monotonic()
    if not is_here(what):
        raise none_of_the_three(what, "nothing of that name is on this machine")
    look = look_at_subject(what, settings, text, load=load)
    _show(
        partial(subject_json, look, text),
        partial(print_subject, look, text),
        started=started,
        as_json=as_json,
    )
    return True


def _show(
    values: Callable[[], Mapping[str, Any]],
    draw: Callable[[Console], None],
    *,
    started: float,
    as_json: bool,
) -> None:
    """Prints a look with the seconds that it took; libraries were loaded before."""
    seconds = round(time.monotonic() - started, 2)
    if as_json:
        print_json({**values(), "seconds": seconds})
    else:
        draw(result_console())
        say(f"looked at in {seconds} s")
