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

from autointerp.cli.text import visible
from autointerp.core.progress import Progress

_WIDE = 72


class BarProgress:
    """A bar for each stage."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def start(self, stage: str, total: int, unit: str) -> None:
        """Shows a bar for the stage, a fresh one where the stage begins again."""
        if stage in self._tasks:
            self._bars.remove_task(self._tasks[stage])
        self._tasks[stage] = self._bars.add_task(visible(stage), total=total, unit=unit)

    def advance(self, stage: str, amount: int) -> None:
        """Moves the stage's bar; a stage that never started has none."""
        if stage in self._tasks:
            self._bars.advance(self._tasks[stage], amount)

    def note(self, message: str) -> None:
        """Prints the sentence above the bars."""
        self._bars.console.print(Text(visible(message)))


class LineProgress:
    """A line when a stage starts: a log is no place for bars."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def start(self, stage: str, total: int, unit: str) -> None:
        """Prints the stage and its size."""
        self._line(f"{stage}: {total:,} {unit}")

    def advance(self, stage: str, amount: int) -> None:
        """Says nothing."""

    def note(self, message: str) -> None:
        """Prints the sentence."""
        self._line(message)

    def _line(self, message: str) -> None:
        self._console.print(Text(visible(message)), soft_wrap=True)


class _CountColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        unit = str(task.fields.get("unit", ""))
        return Text(f"{int(task.completed):,}/{int(task.total or 0):,} {unit}")


@contextmanager
def shown_progress(console: Console) -> Iterator[Progress]:
    """Progress on the console, until the block ends."""
    if not console.is_terminal or console.is_dumb_terminal:
        yield LineProgress(console)
        return
    columns: list[ProgressColumn] = [TextColumn("{task.description}"), _CountColumn()]
    if console.width >= _WIDE:
        columns[1:1] = [BarColumn()]
        columns += [TimeElapsedColumn(), TimeRemainingColumn()]
    with Bars(*columns, console=console) as bars:
        yield BarProgress(bars)
