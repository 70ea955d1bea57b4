"""The report of a study in a terminal: sentences, tables that fit the width, charts as bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autointerp.cli.rendering.console import plain_table, visible
from autointerp.core.study_report import (
    Cell,
    Column,
    Series,
    StudyChart,
    StudyReport,
    StudyTable,
    written,
)

_GAP = 3
_MOST_TEXT = 30
"""Characters that a column of texts claims; what is longer is broken into lines."""
_MOST_ROWS = 40
"""Of a table; its report has the rest."""
_BARS = "▁▂▃▄▅▆▇█"


def print_study(report: StudyReport, console: Console) -> None:
    """Prints it for people."""
    console.print(Text(visible(report.title), "bold"))
    for paragraph in report.paragraphs:
        console.print()
        console.print(Text(visible(paragraph)))
    for table in report.tables:
        console.print()
        console.print(Text(visible(table.title), "bold"))
        for part in _fitting(replace(table, rows=table.rows[:_MOST_ROWS]), console.width):
            console.print(part)
        if (more := len(table.rows) - _MOST_ROWS) > 0:
            console.print(Text(f"and {more:,} rows more, in the report of --out and in --json"))
        if table.caption:
            console.print(Text(visible(table.caption), "dim"))
    for chart in report.charts:
        console.print()
        console.print(Text(visible(chart.title), "bold"))
        for line in _chart_lines(chart, console.width):
            console.print(Text(line), soft_wrap=True)
    console.print()
    for note in report.notes:
        console.print(Text(visible(note), "dim"))


def _fitting(table: StudyTable, width: int) -> Iterator[Table]:
    """The table whole, without intervals, or in parts that each begin with the first column."""
    for with_intervals in (True, False):
        widths = _widths(table, with_intervals=with_intervals)
        if _total(widths) <= width:
            every = range(len(widths))
            yield _part(table, every, widths, width, with_intervals=with_intervals)
            return
    taken: list[int] = []
    for column in range(1, len(widths)):
        if taken and _total([widths[i] for i in (0, *taken, column)]) > width:
            yield _part(table, (0, *taken), widths, width, with_intervals=False)
            taken = []
        taken.append(column)
    yield _part(table, (0, *taken), widths, width, with_intervals=False)


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _widths(table: StudyTable, *, with_intervals: bool) -> list[int]:
    """What each column needs: its longest value, or word of its head; of long texts less."""
    return [
        max([_longest_word(column.name), *(min(_MOST_TEXT, n) for n in lengths)])
        for column, lengths in zip(
            table.columns, _lengths(table, with_intervals=with_intervals), strict=True
        )
    ]


def _lengths(table: StudyTable, *, with_intervals: bool) -> list[list[int]]:
    return [
        [len(_cell(row[i], column, with_intervals=with_intervals)) for row in table.rows]
        for i, column in enumerate(table.columns)
    ]


def _longest_word(name: str) -> int:
    """Heads are broken between words."""
    return max(map(len, name.split()), default=0)


def _part(
    table: StudyTable,
    columns: Sequence[int],
    widths: Sequence[int],
    width: int,
    *,
    with_intervals: bool,
) -> Table:
    """Some columns; what room is left goes to long texts, then to heads."""
    shown, spare = plain_table(), max(0, width - _total([widths[i] for i in columns]))
    lengths = _lengths(table, with_intervals=with_intervals)
    room = dict(zip(columns, (widths[i] for i in columns), strict=True))
    for wanted in (
        {i: max([0, *lengths[i]]) for i in columns if table.columns[i].form == "text"},
        {i: len(table.columns[i].name) for i in columns},
    ):
        # The column that is broken into the most lines first.
        while spare and (short := [i for i in wanted if wanted[i] > room[i]]):
            room[max(short, key=lambda i: wanted[i] / room[i])] += 1
            spare -= 1
    for i in columns:
        shown.add_column(
            visible(table.columns[i].name),
            justify="left" if table.columns[i].form == "text" else "right",
            overflow="fold",
            width=min(room[i], width),
        )
    for row in table.rows:
        shown.add_row(
            *(_cell(row[i], table.columns[i], with_intervals=with_intervals) for i in columns)
        )
    return shown


def _cell(value: Cell, column: Column, *, with_intervals: bool) -> str:
    return visible(written(value, column.form, with_interval=with_intervals))


def _chart_lines(chart: StudyChart, width: int) -> Iterator[str]:
    low, high = chart.span
    if chart.shape == "bars":
        yield from _bar_lines(chart, width, high - low)
    else:
        head = max((len(one.name) for one in chart.series), default=0)
        for one in chart.series:
            yield f"{visible(one.name).ljust(head)}  {_spark(one, low, high)}"
    if chart.places:
        ends = (written(end, chart.form) for end in (low, high))
        yield (
            f"{chart.axis} {chart.places[0]} to {chart.places[-1]}; heights from "
            f"{' to '.join(ends)}"
            if chart.shape == "lines"
            else chart.axis
        )


def _bar_lines(chart: StudyChart, width: int, span: float) -> Iterator[str]:
    several = len(chart.series) > 1
    rows = [
        (f"{place}, {one.name}" if several else place, one.values[i])
        for i, place in enumerate(chart.places)
        for one in chart.series
    ]
    head = min(width // 2, max((len(name) for name, _ in rows), default=0))
    room = max(5, min(40, width - head - 12))
    for name, value in rows:
        n = 0 if value is None else round(room * abs(value.value) / span)
        number = written(value, chart.form, with_interval=False)
        yield f"{visible(name)[:head].ljust(head)}  {number:>8} {'█' * n}"


def _spark(series: Series, low: float, high: float) -> str:
    top = len(_BARS) - 1
    return "".join(
        " " if one is None else _BARS[round(top * (one.value - low) / (high - low))]
        for one in series.values
    )
