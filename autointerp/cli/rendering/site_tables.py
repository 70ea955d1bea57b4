"""One neuron at the sites of its MLP, side by side."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autointerp.cli.rendering.console import number, plain_table, short, visible, visible_token
from autointerp.core.unit_sites import SitePair, SiteText, UnitSites

_BEFORE, _AFTER = 8, 2


def print_sites(found: UnitSites, console: Console) -> None:
    """Prints what the neuron does at each site, then how alike the sites are."""
    unit = found.sites[-1].unit
    console.print(Text(f"{unit.layer}:{unit.index}", "bold"))
    console.print(_sites(found))
    console.print(_pairs(found))
    console.print()


def _name(hook: str) -> str:
    return hook.rpartition(".")[2]


def _sites(found: UnitSites) -> Table:
    table = plain_table("site")
    for name in ("above 0", "mean", "largest", "least"):
        table.add_column(name, justify="right")
    table.add_column("strongest texts", ratio=1, overflow="fold")
    for site in found.sites:
        texts = Text("\n").join(_text(text) for text in site.strongest)
        numbers = (short(value) for value in (site.mean, site.largest, site.least))
        table.add_row(_name(site.unit.hook), f"{site.density:.1%}", *numbers, texts)
    return table


def _text(text: SiteText) -> Text:
    start = max(0, text.peak - _BEFORE)
    around = enumerate(text.tokens[start : text.peak + _AFTER + 1], start)
    parts = [
        (visible_token(token), "bold reverse") if place == text.peak else visible(token)
        for place, token in around
    ]
    return Text.assemble("- ", *parts)


def _pairs(found: UnitSites) -> Table:
    table = plain_table("sites")
    for name in ("r", "95 % interval", "shared", "by chance"):
        table.add_column(name, justify="right")
    for pair in found.pairs:
        table.add_row(f"{_name(pair.first)}, {_name(pair.second)}", *_cells(pair))
    return table


def _cells(pair: SitePair) -> Iterator[str]:
    yield number(pair.correlation)
    yield "-" if pair.low is None else f"{number(pair.low)} to {number(pair.high)}"
    yield f"{pair.shared:.0%}"
    yield f"{pair.shared_by_chance:.0%}"
