"""Everything about one side of a unit, as text for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, zip_longest

from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

from autointerp.cli.rendering.console import (
    bars,
    counted,
    short,
    visible,
    visible_token,
)
from autointerp.cli.rendering.evidence_lines import evidence_parts, kept_parts
from autointerp.cli.rendering.explanation_parts import (
    explanation_parts,
    receipt_parts,
)
from autointerp.cli.rendering.token_colours import Colours, TokenPainter
from autointerp.cli.rendering.unit_scores import score_parts
from autointerp.cli.unit_view import PredictedRecord, UnitView
from autointerp.core.characters import whole_slice
from autointerp.core.explanations import Label
from autointerp.core.ids import Side
from autointerp.core.records import ActivationRecord, NeuronStats, band_order

_NARROW, _WIDE = 64, 100
_MAX_BARS = 60
_BEFORE, _TOKENS = 11, 16
_BAND_NAMES = {"random": "random, the same for every unit", "other": "strongest of the other side"}
_PER_BAND, _HELD_OUT, _N_LOGITS = 3, 4, 5


def print_view(
    view: UnitView, console: Console, *, full: bool = False, all_scores: bool = False
) -> None:
    """Prints one side of a unit.

    Whole windows and all of them with `full`, else the telling parts; every score and candidate
    with `all_scores`. Without colours, activations are written as levels.
    """
    colours, width = Colours.of(console), console.width
    for part in _parts(view, width, colours=colours, full=full, all_scores=all_scores):
        console.print(part)


def _parts(
    view: UnitView, width: int, *, colours: Colours, full: bool, all_scores: bool
) -> Iterator[RenderableType]:
    """What it does before what was measured of it."""
    label = view.label
    yield from _header(label)
    yield from explanation_parts(label, shown=not _has_senses(label), full=full)
    if view.peak > 0:
        yield from _windows(view, TokenPainter(view.peak, colours), full=full)
    yield from receipt_parts(label, width, full=full)
    yield from score_parts(label, width, every=all_scores)
    yield Text("\nstatistics", "bold underline")
    yield from _statistics(label.stats, width)
    yield from evidence_parts(label)
    yield from kept_parts(view.evidence, view.labels)


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
    if label.reason is not None:
        yield Text(visible(f"{label.status}: {label.reason}"))
    if label.explanation is not None and not _has_senses(label):
        yield Text(visible(label.explanation.text), "italic")
    if label.top_tokens:
        tokens = " ".join(visible_token(token) for token in label.top_tokens)
        yield Text(f"tokens with the greatest mean: {tokens}")
    yield from _logit_lines(label)


def _logit_lines(label: Label) -> Iterator[Text]:
    """Tokens that the side makes more and less probable, with what it adds to their logits."""
    effects = {
        "promotes": (label.promoted, label.promoted_values),
        "suppresses": (label.suppressed, label.suppressed_values),
    }
    for verb, (tokens, values) in effects.items():
        # Labels of before the values were kept have tokens alone.
        said = zip_longest(tokens[:_N_LOGITS], values[:_N_LOGITS])
        parts = [
            visible_token(token) + ("" if value is None else f" {value:+.2g}")
            for token, value in said
        ]
        if parts:
            yield Text(f"{verb}: {', '.join(parts)}")


def _has_senses(label: Label) -> bool:
    """Whether the description is a list of senses, which stands below with what each is worth."""
    chosen = label.explanation
    return bool(chosen and len(chosen.senses) > 1 and label.llm and label.llm.explanation == chosen)


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


@dataclass(frozen=True, slots=True)
class ShownTokens:
    """Which tokens of a window are shown."""

    start: int
    """0-based, inclusive."""
    stop: int
    """0-based, exclusive."""
    n: int
    """Tokens of the window."""

    @classmethod
    def around(cls, values: Sequence[float], *, full: bool) -> ShownTokens:
        """Sixteen tokens with the greatest value among them, or all of them.

        More stand before it than after it: what comes after cannot have caused it.
        """
        n = len(values)
        if full or n <= _TOKENS:
            return cls(0, n, n)
        peak = max(range(n), key=values.__getitem__)
        start = min(max(0, peak - _BEFORE), n - _TOKENS)
        return cls(start, start + _TOKENS, n)

    def paint(self, painter: TokenPainter, tokens: Sequence[str], values: Sequence[float]) -> Text:
        """The tokens shown, with an ellipsis where the window goes on."""
        chosen = whole_slice(tokens, self.start, self.stop)
        text = Text("…" if chosen.start else "", overflow="fold")
        text.append_text(painter.paint(tokens[chosen], values[chosen]))
        return text.append("…" if chosen.stop < self.n else "")


def exemplar_parts(
    view: UnitView, painter: TokenPainter, *, full: bool
) -> Iterator[RenderableType]:
    """The windows of explain text, strongest band first; all on one scale."""
    ordered = sorted(view.explain, key=lambda r: band_order(r.stratum))
    for band, group in groupby(ordered, key=lambda r: r.stratum):
        own = view.label.side
        side = own if band != "other" else next(one for one in Side if one is not own)
        records = sorted(group, key=lambda r: -r.peak(side))
        shown = records if full else records[:_PER_BAND]
        yield Text(_band_title(band, len(shown), len(records)), "bold")
        rows = ((short(r.peak(side)), _painted(r, painter, side, full=full)) for r in shown)
        yield _grid(rows)


def held_out_parts(
    view: UnitView, painter: TokenPainter, *, full: bool
) -> Iterator[RenderableType]:
    """Held-out windows, each real above predicted on the same scale."""
    side = view.label.side
    judged = [s for s in view.held_out if s.predicted is not None]
    ordered = sorted(judged, key=lambda s: -s.record.peak(side))
    shown = ordered if full else _spread(ordered, _HELD_OUT)
    for scored in shown:
        yield _grid(_real_and_predicted(scored, painter, side, full=full))
    hidden = len(judged) - len(shown)
    unjudged = len(view.held_out) - len(judged)
    if hidden or unjudged:
        yield Text(_left_out(hidden, unjudged), "dim")


def _painted(record: ActivationRecord, painter: TokenPainter, side: Side, *, full: bool) -> Text:
    values = record.side(side)
    return ShownTokens.around(values, full=full).paint(painter, record.tokens, values)


def _real_and_predicted(
    scored: PredictedRecord, painter: TokenPainter, side: Side, *, full: bool
) -> Iterator[tuple[str, Text]]:
    real, predicted = scored.record.side(side), scored.predicted or ()
    # Where the window is silent, what was predicted wrongly is what matters.
    excerpt = ShownTokens.around(real if any(real) else predicted, full=full)
    for name, values in (("real", real), ("predicted", predicted)):
        yield name, excerpt.paint(painter, scored.record.tokens, values)


def _grid(rows: Iterable[tuple[str, Text]]) -> Table:
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(justify="right", no_wrap=True, style="dim", min_width=9)
    grid.add_column(ratio=1, overflow="fold")
    for name, text in rows:
        grid.add_row(name, text)
    return grid


def _spread(scored: Sequence[PredictedRecord], n: int) -> Sequence[PredictedRecord]:
    if len(scored) <= n:
        return scored
    return [scored[i * (len(scored) - 1) // (n - 1)] for i in range(n)]


def _band_title(band: str, n_shown: int, n: int) -> str:
    name = _BAND_NAMES.get(band, band)
    return f"{name} ({n_shown} of {n}, --full for all)" if n_shown < n else f"{name} ({n})"


def _left_out(hidden: int, unjudged: int) -> str:
    parts = [f"{counted(hidden, 'more window')} with --full"] if hidden else []
    if unjudged:
        parts.append(f"{counted(unjudged, 'window')} without a predicted row")
    return "; ".join(parts)
