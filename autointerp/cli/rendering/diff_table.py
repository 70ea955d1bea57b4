"""A comparison of two dictionaries, for people and for machines."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autointerp.cli.rendering.console import counted, number, plain_table, visible
from autointerp.cli.rendering.result_tables import one_heading, row_name, side_name
from autointerp.dictionary.comparison import CHANCE, Comparison, Matchup, Pair
from autointerp.dictionary.comparison_json import name_json, pair_json, summary_json
from autointerp.dictionary.score_differences import INTERVALS, PAIRED, Difference

if TYPE_CHECKING:
    from autointerp.dictionary.label_tables import RatedLabel

_WIDE, _WIDEST = 100, 140
_SHOWN_MISSING = 20


def print_comparison(comparison: Comparison, pairs: Sequence[Pair], console: Console) -> None:
    """Prints these units, the ways of explaining against each other, and the counts of all."""
    if pairs:
        hook = one_heading(pair.a.unit for pair in pairs)
        if hook is not None:
            console.print(Text(visible(hook), "bold", overflow="fold"))
        console.print(_unit_table(pairs, hook, width=console.width))
    if comparison.matchups:
        console.print(_matchup_table(comparison.matchups, width=console.width))
    for name, missing in (("A", comparison.only_a), ("B", comparison.only_b)):
        if missing:
            console.print(Text(f"only in {name}: {_listed(missing)}"))
    for line in _summary(comparison):
        console.print(Text(line))


def comparison_json(
    comparison: Comparison, pairs: Sequence[Pair], a: Path, b: Path, *, differing: tuple[str, ...]
) -> dict[str, object]:
    """A comparison for ``--json``."""
    return {
        "a": str(a),
        "b": str(b),
        "differing_inputs": list(differing),
        **summary_json(comparison),
        "units": [pair_json(pair) for pair in pairs],
        "only_a": [name_json(rated) for rated in comparison.only_a],
        "only_b": [name_json(rated) for rated in comparison.only_b],
    }


def _unit_table(pairs: Sequence[Pair], hook: str | None, *, width: int) -> Table:
    wide = width >= _WIDE
    table = plain_table(expand=True)
    table.add_column("unit", no_wrap=wide, overflow="fold")
    if wide:
        table.add_column("changed", overflow="fold")
    table.add_column("explanation: A, then B", ratio=1, overflow="fold")
    if wide:
        table.add_column("A", justify="right", no_wrap=True)
        table.add_column("B", justify="right", no_wrap=True)
    table.add_column("B - A", justify="right", no_wrap=wide)
    by_llm = wide and any(pair.llm_difference for pair in pairs)
    if by_llm:
        table.add_column("B - A, LLM's", justify="right", no_wrap=True)
    for pair in pairs:
        cells = [Text(row_name(side_name(pair.a.unit, pair.a.side), hook))]
        cells += [Text(", ".join(pair.changed))] if wide else []
        cells += [_texts(pair)]
        cells += [Text(number(pair.a.score)), Text(number(pair.b.score))] if wide else []
        cells += [_difference_cell(pair.difference, wide=wide)]
        if by_llm:
            cells.append(_difference_cell(pair.llm_difference, wide=width >= _WIDEST))
        table.add_row(*cells)
    return table


def _texts(pair: Pair) -> Text:
    before, after = _text_of(pair.a), _text_of(pair.b)
    if before == after:
        return Text(before, "dim")
    return Text().append(f"- {before}\n", "dim").append(f"+ {after}")


def _text_of(rated: RatedLabel) -> str:
    text = visible(rated.text or "")
    return text if rated.status == "ok" else f"{rated.status}: {text}".rstrip(": ")


def _difference_cell(difference: Difference | None, *, wide: bool) -> Text:
    if difference is None:
        return Text("-")
    text = f"{difference.value:+.2f}"
    if wide and difference.low is not None and difference.high is not None:
        text += f" [{difference.low:+.2f}, {difference.high:+.2f}]"
    if not difference.moved:
        return Text(text)
    return Text(f"{text} *", "green" if difference.value > 0 else "red")


def _matchup_table(matchups: tuple[Matchup, ...], *, width: int) -> Table:
    wide = width >= _WIDE
    table = plain_table("explained in A", "in B")
    table.add_column("units", justify="right")
    if wide:
        table.add_column("median A", justify="right")
        table.add_column("median B", justify="right")
    table.add_column("B wins", justify="right")
    table.add_column("up, down", justify="right")
    for m in matchups:
        medians = [number(m.median_a), number(m.median_b)] if wide else []
        row = [visible(m.a), visible(m.b), str(m.n), *medians]
        row += [f"{m.win_rate_b:.0%}", f"{m.n_up}, {m.n_down}"]
        table.add_row(*(Text(cell) for cell in row))
    return table


def _summary(comparison: Comparison) -> Iterator[str]:
    n_changed = sum(bool(pair.changed) for pair in comparison.pairs)
    yield f"{counted(len(comparison.pairs), 'unit')} in both, {n_changed} with another label"
    if comparison.n_opposite:
        yield (
            f"{counted(comparison.n_opposite, 'unit')} more in both, but on opposite sides of "
            "zero: the stronger side is another there"
        )
    n_moved = sum(pair.moved for pair in comparison.pairs)
    by_chance = CHANCE * comparison.n_testable
    yield (
        f"{n_moved} of {counted(comparison.n_testable, 'score')} moved (*); "
        f"{by_chance:.1f} would by chance alone"
    )
    methods = [pair.difference.method for pair in comparison.pairs if pair.difference is not None]
    if methods:
        yield (
            "moved: the interval of B - A leaves out 0; "
            f"{methods.count(PAIRED)} paired on the same windows, "
            f"{methods.count(INTERVALS)} from the two scores' own intervals"
        )
    if comparison.spearman is None:
        yield f"Spearman of the scores is undefined: {comparison.spearman_reason}"
    else:
        units = counted(comparison.n_scored, "unit")
        yield f"Spearman of the scores: {number(comparison.spearman)} over {units}"
    llm = comparison.llm
    if llm is not None:
        medians = f"median {number(llm.median_a)} in A, {number(llm.median_b)} in B"
        yield (
            f"the LLM's explanations, {counted(llm.n, 'unit')}: {medians}; "
            f"{llm.n_moved} of {counted(llm.n_testable, 'score')} moved, "
            f"{CHANCE * llm.n_testable:.1f} would by chance alone"
        )


def _listed(missing: tuple[RatedLabel, ...]) -> str:
    names = [side_name(rated.unit, rated.side) for rated in missing[:_SHOWN_MISSING]]
    rest = len(missing) - len(names)
    return ", ".join(names) + (f" and {rest:,} more" if rest else "")
