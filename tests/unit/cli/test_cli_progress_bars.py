from __future__ import annotations

import io

from rich.console import Console

from autointerp.cli.rendering.progress_bars import shown_progress


def shown(console: Console, output: io.StringIO) -> str:
    with shown_progress(console) as progress:
        progress.start("collect", 1_000, "tokens")
        progress.advance("collect", 1_000)
        progress.advance("never started", 1)
        progress.note("the \x1b[31mmodel[/] is slow")
        progress.start("collect", 2_000, "tokens")
        progress.advance("collect", 500)
    return output.getvalue()


def test_a_log_gets_a_line_a_stage() -> None:
    output = io.StringIO()
    found = shown(Console(file=output, width=20), output)
    assert found.splitlines() == [
        "collect: 1,000 tokens",
        "the \\x1b[31mmodel[/] is slow",
        "collect: 2,000 tokens",
    ]


def test_a_terminal_gets_bars_with_counts_and_a_stage_may_begin_again() -> None:
    output = io.StringIO()
    found = shown(Console(file=output, width=100, force_terminal=True), output)
    last = next(line for line in reversed(found.splitlines()) if "collect" in line)
    assert "500/2,000 tokens" in last
    assert "1,000/1,000" not in last
    assert "the \\x1b[31mmodel[/] is slow" in found


def test_a_narrow_terminal_gets_counts_without_bars() -> None:
    output = io.StringIO()
    found = shown(Console(file=output, width=40, force_terminal=True), output)
    assert "500/2,000 tokens" in found
    assert "━" not in found


def test_a_dumb_terminal_gets_lines() -> None:
    output = io.StringIO()
    console = Console(file=output, width=40, force_terminal=True, _environ={"TERM": "dumb"})
    assert "collect: 1,000 tokens" in shown(console, output)
    assert "\x1b" not in output.getvalue()
