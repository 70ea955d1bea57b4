"""A feature looked for among units: what was marked, the best units, how they were tested."""

from __future__ import annotations

from collections.abc import Iterator

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.table import Table
from rich.text import Text

from autointerp.cli.rendering.console import number, plain_table, visible
from autointerp.cli.rendering.probe_table import print_probes
from autointerp.cli.rendering.result_tables import one_heading, row_name
from autointerp.core.feature_search import ClassCounts, FeatureUnit, FindReport

_WIDE = 100
_N_LAYERS = 5
_LEAST = 12
"""Cells of a label at least."""
_WORDS = {
    "average_precision": "average precision",
    "f_statistic": "the F statistic",
    "mean_difference": "the difference of means",
    "mutual_information": "mutual information",
}


def print_found(report: FindReport, console: Console) -> None:
    """Prints what came out, for people."""
    for line in _sentences(report):
        console.print(Text(visible(line)))
    console.print()
    console.print(_table(report, console.width))
    console.print()
    if report.probes is not None:
        print_probes(report.probes, console)
        console.print()
    for line in _legend(report):
        console.print(Text(visible(line), "dim"))


def _sentences(report: FindReport) -> Iterator[str]:
    hard = f"; the hard negatives: {report.hard}" if report.hard else ""
    yield f"Looked for {report.feature}: {report.marks}{hard}."
    best = report.units[0]
    yield (
        f"Of {report.n_units:,} units of {report.subject}, {best.unit.short} tells it best by "
        f"{_WORDS[report.measure]}: average precision {number(best.tested)}{_spread(best)} on "
        f"documents held out, where chance is {number(report.tested.base_rate)}."
    )
    others = [f"{layer.best.short} ({number(layer.value)})" for layer in report.layers[1:_N_LAYERS]]
    if others:
        yield f"The best of other layers: {', '.join(others)}."


def _table(report: FindReport, width: int) -> Table:
    hook = one_heading(one.unit for one in report.units)
    table = plain_table(f"unit{f', {visible(hook)}' if hook else ''}")
    names = ["held out", "ranked on", "95 % held out", "F", "mean diff.", "information"]
    rows = []
    for one in report.units:
        cells = [
            number(one.tested),
            number(one.average_precision),
            _spread(one).strip(" []") or "-",
            "-" if one.f_statistic is None else f"{one.f_statistic:,.0f}",
            f"{one.mean_difference:+.2f}",
            f"{one.mutual_information:.4f}",
        ]
        sign = "+" if one.side.sign > 0 else "-"
        rows.append([f"{row_name(one.unit.short, hook)} {sign}", *cells])
    table.columns[0].min_width = max(len(row[0]) for row in rows)
    if width < _WIDE:
        names, rows = names[:2], [row[:3] for row in rows]
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    if any(one.label is not None for one in report.units):
        table.add_column("label", no_wrap=True)
        columns = zip([str(table.columns[0].header), *names], *rows, strict=True)
        # Three blanks between columns.
        room = width - sum(3 + max(map(len, column)) for column in columns)
        for row, one in zip(rows, report.units, strict=True):
            row.append(_cut(visible(one.label or "-"), max(room, _LEAST)))
    for row in rows:
        table.add_row(*row)
    return table


def _spread(one: FeatureUnit) -> str:
    if one.tested_low is None or one.tested_high is None:
        return ""
    return f" [{number(one.tested_low)} to {number(one.tested_high)}]"


def _cut(text: str, width: int) -> str:
    return text if cell_len(text) <= width else f"{set_cell_size(text, width - 1).rstrip()}…"


def _legend(report: FindReport) -> Iterator[str]:
    yield (
        "held out, ranked on: average precision of the side marked + (high activations) or - (low "
        f"ones), on {_tokens(report.tested)} and on {_tokens(report.ranked)} of {report.corpus}"
    )
    if report.units and report.units[0].tested_low is not None:
        yield "95 %: intervals resample the documents held out, and add what one more may have held"
    if report.units and any(one.label for one in report.units):
        yield "label: what the dictionary calls that side of the unit"
    yield from report.notes


def _tokens(counts: ClassCounts) -> str:
    return (
        f"{counts.n_positive + counts.n_negative:,} tokens ({counts.n_positive:,} positive, "
        f"{counts.n_hard:,} hard negatives) of {counts.n_documents:,} documents"
    )
