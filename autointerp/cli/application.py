"""The application: its commands, and the one place where errors become exit codes."""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup
from typing_extensions import override

from autointerp import __version__
from autointerp.cli import (
    collect,
    demo,
    diff,
    doctor,
    evidence,
    export,
    feature_probe,
    find,
    inspecting,
    label,
    match,
    planning,
    remote,
    rescore,
    sanity,
    search,
    serve,
    show,
    study,
    text_activations,
)
from autointerp.cli.rendering.console import ExitCode, say
from autointerp.cli.usage_hints import add_hint
from autointerp.core.errors import InputError, StorageError, UpstreamError
from autointerp.core.garbage import search_for_garbage_less

if TYPE_CHECKING:
    from autointerp.cli.label import Runner

_REPORT = (
    "this is a bug in autointerp: run again with AUTOINTERP_DEBUG=1 and report the traceback "
    "together with the output of `autointerp doctor --json`"
)
_NO_MEMORY = re.compile("(?i)can(no|')t allocate memory|out of memory")
"""In what PyTorch and the system say."""
_OUT_OF_MEMORY = (
    "memory ran out; what is finished is kept. Free some, raise the limit (ulimit -v, the "
    "container's), or ask for less: `autointerp plan` says what fewer --units or --tokens, or "
    "--dtype bfloat16, need"
)


class _InterruptibleGroup(TyperGroup):
    """Prints that a command was interrupted, and what may be meant by what it does not take."""

    @override
    def make_context(self, *arguments: Any, **extra: Any) -> Any:
        with _hints():
            return super().make_context(*arguments, **extra)

    @override
    def invoke(self, ctx: Any) -> Any:
        try:
            with _hints():
                return super().invoke(ctx)
        except KeyboardInterrupt:
            say("interrupted")
            raise typer.Exit(ExitCode.INTERRUPTED) from None


@contextmanager
def _hints() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        add_hint(error)
        raise


def build_app(runner: Runner | None = None) -> typer.Typer:
    """The application with every command.

    The runner stands in for `autointerp.wiring.runs.run_job` in ``label`` and ``demo``.
    """
    app = typer.Typer(
        cls=_InterruptibleGroup,
        help="Gives every neuron of a language model a short, scored explanation.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    demo.register(app, runner)
    label.register(app, runner)
    for commands in (
        inspecting,
        planning,
        collect,
        show,
        search,
        text_activations,
        diff,
        evidence,
        match,
        find,
        feature_probe,
        rescore,
        sanity,
        study,
        export,
        serve,
        remote,
        doctor,
    ):
        commands.register(app)
    return app


def run(arguments: Sequence[str], *, runner: Runner | None = None) -> int:
    """The exit code of one call of the command line.

    0 where everything was done; the others are those of `ExitCode`.
    """
    try:
        build_app(runner)(args=list(arguments), prog_name="autointerp")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except InputError as error:
        return _failed(error, ExitCode.INPUT)
    except (UpstreamError, StorageError) as error:
        return _failed(error, ExitCode.UPSTREAM)
    except Exception as error:  # noqa: BLE001 - outermost frame: a bug is reported in one line
        if isinstance(error, MemoryError) or _NO_MEMORY.search(str(error)):
            return _failed(MemoryError(_OUT_OF_MEMORY), ExitCode.UPSTREAM)
        return _bug(error)
    return 0


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            # A terminal that cannot show a character shows its number instead.
            reconfigure(errors="backslashreplace")
    search_for_garbage_less()
    sys.exit(run(sys.argv[1:]))


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"autointerp {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[  # noqa: ARG001 - read by its callback
        bool,
        typer.Option(
            "--version", help="Show the version and exit.", callback=_show_version, is_eager=True
        ),
    ] = False,
) -> None:
    """The options of the application itself."""


def _failed(error: Exception, code: ExitCode) -> int:
    say(" ".join(str(error).split()), label="error: ", style="bold red")
    return code


def _bug(error: Exception) -> int:
    if os.environ.get("AUTOINTERP_DEBUG") == "1":
        traceback.print_exception(error)
    message = " ".join(f"{type(error).__name__}: {error}".split())
    say(f"{message}; {_REPORT}", label="error: ", style="bold red")
    return ExitCode.BUG
