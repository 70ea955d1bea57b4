"""Units of two models beside each other: a sentence each way, and the pairs most alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autointerp.cli.rendering.console import number, plain_table, visible
from autointerp.cli.rendering.result_tables import one_heading, row_name
from autointerp.core.unit_matches import ALIKE, MatchReport, UnitMatch, match_tally

_WIDE = 100
_MOST = 20


def print_matches(report: MatchReport, console: Console) -> None:
    """Prints what came out, for people."""
    for line in _sentences(report):
        console.print(Text(visible(line)))
    known = [one for one in report.of_first if one.correlation is not None]
    shown = sorted(known, key=lambda one: -abs(one.correlation or 0.0))[:_MOST]
    if shown:
        console.print()
        console.print(Text("most alike", "bold"))
        console.print(_table(report, shown, wide=console.width >= _WIDE))
        if len(known) > len(shown):
            console.print(Text(f"and {len(known) - len(shown):,} more; --json has all"))
    console.print()
    for line in _legend(report):
        console.print(Text(visible(line), "dim"))


def _sentences(report: MatchReport) -> Iterator[str]:
    first, second = _places(report)
    for name, other, matches in (
        (first, second, report.of_first),
        (second, first, report.of_second),
    ):
        tally = match_tally(matches)
        if not tally.n_tested:
            yield f"No unit of {name} varies on both parts of the text."
            continue
        n_mutual = _numbered(
            tally.n_mutual, "is also the best of its", "are also the best of their"
        )
        alike = _numbered(tally.n_alike, "has", "have")
        has_intervals = any(one.low is not None for one in matches)
        yield (
            f"Of {_numbered(tally.n_tested, 'unit', 'units')} of {name}, "
            + (
                f"{alike} one in {other} whose activations correlate beyond {ALIKE:g} (95 % "
                f"interval), and {n_mutual} match. "
                if has_intervals
                else f"{n_mutual} match in {other}. "
            )
            + f"Median |r| {number(tally.median_correlation)}, by chance "
            f"{number(tally.median_chance)}; median share of variance explained by one unit "
            f"{number(tally.median_explained)}, by {report.n_several} "
            f"{number(tally.median_by_several)}."
        )


def _numbered(n: int, one: str, more: str) -> str:
    return f"{n:,} {one if n == 1 else more}"


def _places(report: MatchReport) -> tuple[str, str]:
    """Both models, with the layer of their units where it is one.

    With the hook points where that does not tell them apart.
    """
    sides = ((report.first, report.of_first), (report.second, report.of_second))
    first, second = (_place(name, {f"layer {m.unit.layer}" for m in of}) for name, of in sides)
    if first == second:
        first, second = (_place(name, {m.unit.hook for m in of}) for name, of in sides)
    return first, second


def _place(name: str, parts: set[str]) -> str:
    return f"{parts.pop()} of {name}" if len(parts) == 1 else name


def _table(report: MatchReport, matches: Sequence[UnitMatch], *, wide: bool) -> Table:
    hook = one_heading(one.unit for one in matches)
    other = one_heading(one.match for one in matches if one.match is not None)
    table = plain_table(
        *(
            visible(f"{name}{f', {at}' if at else ''}")
            for name, at in ((report.first, hook), (report.second, other))
        )
    )
    names = ("r", "95 % interval", "chance", "mutual", "explains", f"{report.n_several} explain")
    for name in names if wide else ("r", "mutual", "explains"):
        table.add_column(name, justify="right")
    for one in matches:
        cells = [
            number(one.correlation),
            "-" if one.low is None else f"{number(one.low)} to {number(one.high)}",
            number(one.chance),
            "yes" if one.mutual else "no",
            number(one.explained),
            number(one.explained_by_several),
        ]
        match = "-" if one.match is None else row_name(one.match.short, other)
        kept = cells if wide else [cells[0], cells[3], cells[4]]
        table.add_row(row_name(one.unit.short, hook), match, *kept)
    return table


def _legend(report: MatchReport) -> Iterator[str]:
    yield (
        f"matches are chosen on {report.n_chosen_tokens:,} tokens of {report.corpus} and every "
        f"number is of {report.n_tested_tokens:,} of {report.n_documents:,} other documents; "
        "chance: the same two steps with each window beside another"
    )
    yield (
        "explains: share of the unit's variance that a line through its match predicts; below 0 "
        "where the unit's mean would be nearer"
    )
    if all(one.low is None for one in report.of_first):
        yield "intervals need 16 documents; read more --tokens for them"
    yield from report.notes
