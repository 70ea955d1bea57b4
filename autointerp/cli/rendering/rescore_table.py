"""Labels on another text: a sentence, a row a layer, and those that lost most."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autointerp.cli.rendering.console import number, plain_table, visible
from autointerp.cli.rendering.result_tables import one_heading, row_name, side_name
from autointerp.dictionary.rescored_labels import (
    RATE,
    LayerTally,
    Outcome,
    RescoredLabel,
    RescoreReport,
)
from autointerp.dictionary.rescored_words import report_sentences

_WIDE = 120
_MOST = 20
_LONGEST_NAME = 12
_COLUMNS = {
    Outcome.LOWER: "worse",
    Outcome.SAME: "alike",
    Outcome.HIGHER: "better",
    Outcome.SILENT: "silent",
    Outcome.ABSENT: "absent",
    Outcome.UNTESTED: "untested",
}
_MEANING = {
    Outcome.SILENT: "silent: the unit is active nowhere in that text, which says nothing against "
    "its label",
    Outcome.ABSENT: "absent: what the label names does not occur there, so there is nothing to "
    "score",
}


def print_rescored(report: RescoreReport, console: Console) -> None:
    """Prints what came out, for people."""
    for line in report_sentences(report):
        console.print(Text(visible(line)))
    console.print()
    console.print(_layer_table(report, width=console.width))
    distrusted = report.distrusted
    if distrusted:
        shown = distrusted[:_MOST]
        console.print()
        hook = one_heading(label.unit for label in shown)
        title = "to distrust there, greatest loss first" + (f", at {visible(hook)}" if hook else "")
        console.print(Text(title, "bold", overflow="fold"))
        console.print(_loss_table(report, shown, hook, width=console.width))
        if len(distrusted) > _MOST:
            console.print(Text(f"and {len(distrusted) - _MOST:,} more; --json has all"))
    console.print()
    for line in _legend(report):
        console.print(Text(visible(line), "dim"))


def _layer_table(report: RescoreReport, *, width: int) -> Table:
    every = report.all
    there = [outcome for outcome in Outcome if every.counts[outcome]]
    table = plain_table("layer")
    names = ["labels", *(_COLUMNS[outcome] for outcome in there)]
    own, other = _headings(report, width=width)
    names += [f"median, {own}", other]
    for name in names:
        table.add_column(visible(name), justify="right", overflow="fold")
    for tally in report.layers:
        table.add_row(str(tally.layer), *_tally_cells(tally, there))
    if len(report.layers) > 1:
        table.add_section()
        table.add_row(Text("all", "bold"), *_tally_cells(every, there))
    return table


def _headings(report: RescoreReport, *, width: int) -> tuple[str, str]:
    """Of the columns of scores on the two texts: their names, where these are short."""
    names = report.corpus, report.other
    fit = width >= _WIDE and max(map(len, names)) <= _LONGEST_NAME
    return names if fit else ("own", "there")


def _tally_cells(tally: LayerTally, there: Sequence[Outcome]) -> Iterator[Text]:
    yield Text(f"{sum(tally.counts.values()):,}")
    for outcome in there:
        n = tally.counts[outcome]
        yield Text(f"{n:,}" if n else "-", "red" if n and outcome is Outcome.LOWER else "")
    yield Text(number(tally.median_own))
    yield Text(number(tally.median_other))


def _loss_table(
    report: RescoreReport, labels: Sequence[RescoredLabel], hook: str | None, *, width: int
) -> Table:
    wide = width >= _WIDE
    table = plain_table(expand=True)
    table.add_column("unit", no_wrap=wide, overflow="fold")
    table.add_column("label", ratio=1, overflow="fold")
    own, other = _headings(report, width=width)
    for name in (own, other, "difference", *(("q", "tokens there") if wide else ())):
        table.add_column(visible(name), justify="right", overflow="fold")
    for label in labels:
        cells = [Text(row_name(side_name(label.unit, label.side), hook))]
        cells += [
            Text(visible(label.text or "")),
            Text(_value(label.own)),
            Text(_value(label.other)),
        ]
        cells.append(Text(_difference(label), "red"))
        if wide:
            cells += [Text(f"{label.q or 0:.1g}"), Text(_value(label.table))]
        table.add_row(*cells)
    return table


def _value(score: object) -> str:
    value = getattr(score, "value", None)
    return number(value)


def _difference(label: RescoredLabel) -> str:
    change = label.difference
    if change is None or change.value is None:
        return "-"
    if change.low is None or change.high is None:
        return f"{change.value:+.2f}"
    return f"{change.value:+.2f} [{change.low:+.2f}, {change.high:+.2f}]"


def _legend(report: RescoreReport) -> Iterator[str]:
    yield (
        "score: correlation of real and predicted activations over all held-out text; difference: "
        "the other text less its own, 95 % interval, both texts taken as samples of documents"
    )
    yield (
        f"worse: Benjamini-Hochberg over all tested labels, of which at most {RATE:.0%} are "
        f"expected to be mistakes; {report.n_under_any_dependence:,} however the tests depend on "
        "each other (Benjamini-Yekutieli)"
    )
    counts = report.all.counts
    yield from (text for outcome, text in _MEANING.items() if counts[outcome])
    reasons = Counter(
        label.reason or (label.difference.reason if label.difference else None) or "unknown"
        for label in report.labels
        if label.outcome is Outcome.UNTESTED
    )
    yield from (f"untested, {n:,}: {reason}" for reason, n in reasons.most_common(5))
    yield from chain(report.notes, [] if report.folder is None else [f"results: {report.folder}"])
