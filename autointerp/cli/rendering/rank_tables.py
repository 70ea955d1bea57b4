"""Ranks of units among those of their layer, for their own labels."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from autointerp.cli.rendering.console import number, plain_table, visible
from autointerp.core.own_label_rank import OwnLabelRank


def print_ranks(found: Sequence[OwnLabelRank], console: Console) -> None:
    """Prints a row a label, and of several how many are the best."""
    if not found:
        return
    known = [one for one in found if one.rank is not None]
    if len(known) > 1:
        n_best = sum(one.rank == 1 for one in known)
        surely = sum(one.is_surely_best for one in known)
        never = sum(one.is_surely_not_best for one in known)
        said = f"{n_best:,} of {len(known):,} are the best of their layer for their own label"
        console.print(Text(f"{said}: {surely:,} surely, and {never:,} surely are not\n"))
    table = plain_table("unit")
    for name in ("rank", "own", "best other", "its"):
        table.add_column(name, justify="right", overflow="fold")
    table.add_column("margin over", overflow="fold")
    for one in found:
        rank = "-" if one.rank is None else f"{one.rank:,} of {one.n_units:,}"
        other = "-" if one.other is None else one.other.short
        table.add_row(
            Text(visible(f"{one.unit.short} {one.side.value}")),
            rank,
            number(one.own),
            Text(visible(other)),
            number(one.best_other),
            Text(visible(_margin(one))),
        )
    console.print(table)


def _margin(one: OwnLabelRank) -> str:
    if one.margin is None:
        return f"none: {one.reason}"
    known = one.low is not None and one.high is not None
    ends = f" [{one.low:+.2f}, {one.high:+.2f}]" if known else ""
    return f"{one.margin:+.2f}{ends}, {' and '.join(unit.short for unit in one.rivals)}"
