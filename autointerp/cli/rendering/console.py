"""Where output goes: results to stdout, everything else to stderr."""

from __future__ import annotations

import json
import os

import typer
from rich.console import Console
from rich.text import Text

from autointerp.cli.rendering.formats import visible


def result_console() -> Console:
    """The console for the result of a command, on stdout."""
    return _console(stderr=False)


def side_console() -> Console:
    """The console for progress, notes and errors, on stderr."""
    return _console(stderr=True)


def say(message: str, *, label: str = "", style: str = "") -> None:
    """Prints one sentence on stderr; the terminal wraps it, so that paths stay whole."""
    text = Text().append(label, style).append(visible(message))
    side_console().print(text, soft_wrap=True)


def print_json(value: object) -> None:
    """Prints one JSON document on stdout, in ASCII so that any pipe carries it."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=True, allow_nan=False))


def _console(*, stderr: bool) -> Console:
    dumb = os.environ.get("TERM") == "dumb"
    return Console(
        stderr=stderr, highlight=False, emoji=False, markup=False, no_color=True if dumb else None
    )
