"""Progress for people: bars where stderr is a terminal, lines where it is a file."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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

from autointerp.cli.rendering.console import side_console, told, visible
from autointerp.core.progress import Progress

_WIDE = 72
_EVERY_S = 30.0
_BETWEEN_STEPS_S = 2.0
_MINUTES_FROM_S = 90.0


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
    def at(self, stage: str, place: str) -> None:
        if stage in self._tasks:
            text = f"{visible(stage)} ({visible(place)})"
            self._bars.update(self._tasks[stage], description=text)

    @override
    def note(self, message: str) -> None:
        self._bars.console.print(Text(told(message)))


@dataclass(slots=True)
class _Stage:
    """How far a stage is."""

    total: int
    unit: str
    began: float
    inside: bool = False
    """Whether it is a part of another, which is told instead."""
    told: int = 0
    """Tenths that were done when it was last told."""
    done: int = 0
    place: str = ""
    first: tuple[float, int] | None = None
    """When the first part was done, and how much: what had to come before it comes no more."""

    @property
    def is_open(self) -> bool:
        return self.done < self.total

    @property
    def tenths(self) -> int:
        return 10 * self.done // max(1, self.total)

    def advance(self, amount: int, now: float) -> None:
        self.done += amount
        if self.first is None and amount:
            self.first = now, amount

    def text(self, name: str, now: float) -> str:
        place = f" ({self.place})" if self.place else ""
        done = f"{name}: {self.done:,} of {self.total:,} {self.unit}{place}"
        since, before = self.first or (now, self.done)
        if self.done == before:
            return done
        left = (now - since) * (self.total - self.done) / (self.done - before)
        return f"{done}, about {duration(left)} left"


class LineProgress(Progress):
    """A line when a stage starts, and every 30 s or tenth of it: bars would fill a log."""

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._stages: dict[str, _Stage] = {}
        self._last = -math.inf

    @override
    def start(self, stage: str, total: int, unit: str) -> None:
        # What begins again and again for parts of a longer stage is told once.
        inside = any(one.is_open for name, one in self._stages.items() if name != stage)
        if total and not (inside and stage in self._stages):
            self._line(f"{stage}: {total:,} {unit.removesuffix('s') if total == 1 else unit}")
        self._stages[stage] = _Stage(total, unit, self._clock(), inside)

    @override
    def advance(self, stage: str, amount: int) -> None:
        known, now = self._stages.get(stage), self._clock()
        if known is None:
            return
        known.advance(amount, now)
        is_long = now >= max(self._last, known.began) + _EVERY_S
        is_step = known.tenths > known.told and now >= self._last + _BETWEEN_STEPS_S
        if known.is_open and known.done and (is_long or (is_step and not known.inside)):
            known.told = known.tenths
            self._line(known.text(stage, now))

    @override
    def at(self, stage: str, place: str) -> None:
        if stage in self._stages:
            self._stages[stage].place = place

    @override
    def note(self, message: str) -> None:
        self._line(message)

    def _line(self, message: str) -> None:
        self._last = self._clock()
        self._console.print(Text(told(message)), soft_wrap=True)


def duration(seconds: float) -> str:
    """``40 s``, ``12 min``, ``2 h 10 min``."""
    if seconds < _MINUTES_FROM_S:
        return f"{max(1, round(seconds))} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


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
        yield LineProgress(console)
        return
    columns: list[ProgressColumn] = [TextColumn("{task.description}"), _CountColumn()]
    if console.width >= _WIDE:
        columns[1:1] = [BarColumn()]
        columns += [TimeElapsedColumn(), TimeRemainingColumn()]
    with Bars(*columns, console=console) as bars:
        yield _BarProgress(bars)
