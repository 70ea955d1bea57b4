"""``autointerp doctor``: what is installed, which devices there are, what can be reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.text import Text

from autointerp.cli.command_options import AsJson
from autointerp.cli.rendering.console import (
    ExitCode,
    plain_table,
    print_json,
    result_console,
    say_loading,
    visible,
)

if TYPE_CHECKING:
    from autointerp.wiring.diagnostics import Check

_WIDE = 80
_STYLES = {"ok": "green", "missing": "yellow", "problem": "red"}


def register(app: typer.Typer) -> None:
    """Adds the command."""

    @app.command()
    def doctor(as_json: AsJson = False) -> None:
        """Shows what is installed, what can be reached, and what to do about the rest."""
        say_loading()
        # Together these take longer to import than --help may take.
        from autointerp.settings import read_settings  # noqa: PLC0415
        from autointerp.wiring.diagnostics import (  # noqa: PLC0415
            State,
            local_checks,
            upstream_checks,
        )

        settings = read_settings()
        checks = [*local_checks(settings), *upstream_checks(settings)]
        if as_json:
            rows = [asdict(check) for check in checks]
            print_json({"checks": rows, "settings": settings.shown()})
        else:
            _print(checks, settings.shown(), result_console())
        if any(check.upstream and check.state is State.PROBLEM for check in checks):
            raise typer.Exit(ExitCode.UPSTREAM)


def _print(checks: Sequence[Check], settings: dict[str, str | None], console: Console) -> None:
    wide = console.width >= _WIDE
    table = plain_table("what")
    table.add_column("state")
    table.add_column("found" if wide else "found, and what to do", overflow="fold")
    if wide:
        table.add_column("what to do", overflow="fold")
    for check in checks:
        state = Text(check.state, _STYLES[check.state])
        detail, advice = visible(check.detail), visible(check.advice)
        if wide:
            table.add_row(Text(check.name), state, Text(detail), Text(advice))
        else:
            table.add_row(Text(check.name), state, Text("\n".join(filter(None, (detail, advice)))))
    console.print(table)
    console.print(Text("\nsettings", "bold"))
    for name, value in settings.items():
        console.print(Text(f"{name}={visible(value or '')}"), soft_wrap=True)
