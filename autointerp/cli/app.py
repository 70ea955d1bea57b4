"""The application: its commands, and the one place where errors become exit codes."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from autointerp import __version__
from autointerp.cli import (
    cancel,
    collect,
    demo,
    diff,
    doctor,
    download,
    explain_file,
    export,
    label,
    merge,
    retry,
    sanity,
    score_file,
    serve,
    show,
    status,
    store,
    submit,
    wait,
)
from autointerp.cli.console import say
from autointerp.cli.runner import Runner, run_job
from autointerp.core.errors import InputError, StorageError, UpstreamError

_INPUT, _UPSTREAM, _BUG, _INTERRUPTED = 2, 3, 70, 130
_REPORT = (
    "this is a bug in autointerp: run again with AUTOINTERP_DEBUG=1 and report the traceback "
    "together with the output of `autointerp doctor --json`"
)


class _Group(TyperGroup):
    """Says so when a command is interrupted, which Typer would do without a word."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            say("interrupted")
            raise typer.Exit(_INTERRUPTED) from None


def build_app(runner: Runner = run_job) -> typer.Typer:
    """The application with every command.

    Args:
        runner: what ``label`` and ``demo`` call.
    """
    app = typer.Typer(
        cls=_Group,
        help="Gives every neuron of a language model a short, scored explanation.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    demo.register(app, runner)
    label.register(app, runner)
    collect.register(app)
    merge.register(app)
    explain_file.register(app)
    score_file.register(app)
    show.register(app)
    diff.register(app)
    sanity.register(app)
    export.register(app)
    store.register(app)
    serve.register(app)
    for remote in (submit, status, wait, cancel, retry, download):
        remote.register(app)
    doctor.register(app)
    return app


def run(arguments: Sequence[str], *, runner: Runner = run_job) -> int:
    """The exit code of one call of the command line.

    0 done; 1 some units failed; 2 the input was wrong; 3 an LLM, a store or the disk could not
    be used; 70 a bug; 130 interrupted.
    """
    try:
        build_app(runner)(args=list(arguments), prog_name="autointerp")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0
    except InputError as error:
        return _failed(error, _INPUT)
    except (UpstreamError, StorageError) as error:
        return _failed(error, _UPSTREAM)
    except Exception as error:  # noqa: BLE001 - outermost frame: a bug is told, not shown
        return _bug(error)
    return 0


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            # A terminal that cannot show a character shows its number instead.
            reconfigure(errors="backslashreplace")
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
    """Options of no command."""


def _failed(error: Exception, code: int) -> int:
    say(" ".join(str(error).split()), label="error: ", style="bold red")
    return code


def _bug(error: Exception) -> int:
    if os.environ.get("AUTOINTERP_DEBUG") == "1":
        traceback.print_exception(error)
    said = " ".join(f"{type(error).__name__}: {error}".split())
    say(f"{said}; {_REPORT}", label="error: ", style="bold red")
    return _BUG
