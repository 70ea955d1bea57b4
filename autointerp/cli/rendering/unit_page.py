"""Everything about one side of a unit, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich import box
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from autointerp.cli.rendering.formats import bars, interval, number, short, visible, visible_token
from autointerp.cli.rendering.token_colours import Colours, TokenPainter
from autointerp.cli.rendering.unit_windows import exemplar_parts, held_out_parts
from autointerp.cli.unit_view import UnitView
from autointerp.core.explanations import Candidate, Label
from autointerp.core.records import NeuronStats
from autointerp.core.scores import ScorerResult

_NARROW = 64
_MAX_BARS = 60


def print_view(view: UnitView, console: Console, *, full: bool = False) -> None:
    """Prints one side of a unit.

    Args:
        view: the side.
        console: where to; without colours, activations are written as levels.
        full: whole windows and all of them, instead of the telling parts.
    """
    for part in _parts(view, console.width, colours=Colours.of(console), full=full):
        console.print(part)


def _parts(view: UnitView, width: int, *, colours: Colours, full: bool) -> Iterator[RenderableType]:
    label = view.label
    yield from _header(label)
    if label.candidates:
        yield Text("\nexplanations", "bold underline")
        yield _candidate_table(label)
    if label.results:
        yield Text("\nscores", "bold underline")
        yield _score_table(label, width)
        yield from _notes(label)
    yield Text("\nstatistics", "bold underline")
    yield from _statistics(label.stats, width)
    if view.peak > 0:
        yield from _windows(view, TokenPainter(view.peak, colours), full=full)


def _windows(view: UnitView, painter: TokenPainter, *, full: bool) -> Iterator[RenderableType]:
    if view.explain:
        yield Text("\nexemplars", "bold underline")
        yield painter.legend()
        yield from exemplar_parts(view, painter, full=full)
    if view.held_out:
        yield Text("\nheld-out windows", "bold underline")
        yield from held_out_parts(view, painter, full=full)


def _header(label: Label) -> Iterator[Text]:
    title = Text(visible(str(label.unit)), "bold", overflow="fold")
    yield title.append(f"  {label.side} side", "not bold")
    status = f"{label.status}: {label.reason}" if label.reason else str(label.status)
    yield Text(visible(status))
    if label.explanation is not None:
        yield Text(visible(label.explanation.text), "italic")
    if label.top_tokens:
        tokens = " ".join(visible_token(token) for token in label.top_tokens)
        yield Text(f"tokens with the greatest mean: {tokens}")


def candidate_text(candidate: Candidate) -> Text:
    """The explanation, its explainer, and why it has no validation score."""
    text = Text(visible(candidate.explanation.text))
    text.append(f"  {candidate.explanation.explainer}", "dim")
    return text.append(f": {visible(candidate.reason)}" if candidate.reason else "", "dim")


def _candidate_table(label: Label) -> Table:
    table = Table(box=None, pad_edge=False, expand=True)
    table.add_column("")
    table.add_column("validation", justify="right")
    table.add_column("explanation", ratio=1, overflow="fold")
    for candidate in label.candidates:
        mark = ">" if candidate.chosen else " "
        table.add_row(mark, number(candidate.validation_score), candidate_text(candidate))
    return table


def _score_table(label: Label, width: int) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("scorer", overflow="fold")
    table.add_column("score", overflow="fold")
    table.add_column("value [95 %]" if width >= _NARROW else "value", justify="right")
    if width >= _NARROW:
        table.add_column("windows", justify="right")
        table.add_column("failed", justify="right")
        table.add_column("why there is none", overflow="fold")
    for result in _headline_first(label):
        for score in result.scores:
            row = [result.scorer, score.name]
            if width < _NARROW:
                row.append(number(score.value))
            else:
                row += [interval(score), str(score.n_windows), str(result.n_failed)]
                row.append(score.reason or "")
            table.add_row(*(Text(visible(cell)) for cell in row))
    return table


def _headline_first(label: Label) -> list[ScorerResult]:
    order = (label.preferred, f"{label.preferred}_null", "lookup")
    places = {name: place for place, name in enumerate(order)}
    return sorted(label.results, key=lambda r: places.get(r.scorer, len(order)))


def _notes(label: Label) -> Iterator[Text]:
    for result in label.results:
        for note in result.notes:
            yield Text(f"{result.scorer}: {visible(note)}", "dim")


def _statistics(stats: NeuronStats, width: int) -> Iterator[Text]:
    yield Text(
        f"active on {stats.density:.2%} of {stats.n_tokens:,} tokens and "
        f"{stats.window_density:.2%} of {stats.n_windows:,} windows"
    )
    yield Text(
        f"mean {short(stats.mean)}, standard deviation {short(stats.variance**0.5)}, "
        f"smallest {short(stats.minimum)}, largest {short(stats.maximum)}"
    )
    if stats.quantiles:
        bands = ", ".join(f"{q:.0%} {short(peak)}" for q, peak in stats.quantiles)
        yield Text(f"peaks of activating windows: {bands}")
    if stats.histogram:
        row = bars(stats.histogram, width=min(_MAX_BARS, width - 2))
        yield Text(f"▕{row}▏", no_wrap=True)
        low, high = stats.bin_edges[0], stats.bin_edges[-1]
        yield Text(
            f"tokens by activation from {short(low)} to {short(high)}, heights as square roots",
            "dim",
        )
