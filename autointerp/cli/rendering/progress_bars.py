"""Progress for people: bars where stderr is a terminal, lines where it is a file."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text
from typing_extensions import override

from autointerp.cli.rendering.console import side_console, visible
from autointerp.core.progress import Progress

_WIDE = 72


class _BarProgress(Progress):
    """A bar for each stage."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    @override
    def start(self, stage: str, total: int, unit: str) -> None:
        # Where a stage begins again, so does its bar.
        if stage in self._tasks:
            self._bars.remove_task(self._tasks[stage])
        self._tasks[stage] = self._bars.add_task(visible(stage), total=total, unit=unit)

    @override
    def advance(self, stage: str, amount: int) -> None:
        if stage in self._tasks:
            self._bars.advance(self._tasks[stage], amount)

    @override
    def note(self, message: str) -> None:
        self._bars.console.print(Text(visible(message)))


class _LineProgress(Progress):
    """A line when a stage starts: bars would fill a log."""

    def __init__(self, console: Console) -> None:
        self._console = console

    @override
    def start(self, stage: str, total: int, unit: str) -> None:
        self._line(f"{stage}: {total:,} {unit}")

    @override
    def advance(self, stage: str, amount: int) -> None:
        pass

    @override
    def note(self, message: str) -> None:
        self._line(message)

    def _line(self, message: str) -> None:
        self._console.print(Text(visible(message)), soft_wrap=True)


class _CountColumn(ProgressColumn):
    @override
    def render(self, task: Task) -> Text:
        unit = str(task.fields.get("unit", ""))
        return Text(f"{int(task.completed):,}/{int(task.total or 0):,} {unit}")


@contextmanager
def shown_progress(console: Console | None = None) -> Iterator[Progress]:
    """Progress on the console, stderr's where None, until the block ends."""
    console = console or side_console()
    if not console.is_terminal or console.is_dumb_terminal:
        yield _LineProgress(console)
        return
    columns: list[ProgressColumn] = [TextColumn("{task.description}"), _CountColumn()]
    if console.width >= _WIDE:
        columns[1:1] = [BarColumn()]
        columns += [TimeElapsedColumn(), TimeRemainingColumn()]
    with Bars(*columns, console=console) as bars:
        yield _BarProgress(bars)
