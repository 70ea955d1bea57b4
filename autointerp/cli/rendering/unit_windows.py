"""Exemplars by band, and held-out windows as a real row against a predicted row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from autointerp.cli.rendering.formats import counted, short
from autointerp.cli.rendering.token_colours import TokenPainter
from autointerp.cli.unit_view import PredictedRecord, UnitView
from autointerp.core.ids import Side
from autointerp.core.records import ActivationRecord

_BEFORE, _TOKENS = 11, 16
_PER_BAND, _HELD_OUT = 3, 4


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Which tokens of a window are shown."""

    start: int
    """0-based, inclusive."""
    stop: int
    """0-based, exclusive."""
    n: int
    """Tokens of the window."""

    @classmethod
    def around(cls, values: Sequence[float], *, full: bool) -> Excerpt:
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
        chosen = slice(self.start, self.stop)
        text = Text("…" if self.start else "", overflow="fold")
        text.append_text(painter.paint(tokens[chosen], values[chosen]))
        return text.append("…" if self.stop < self.n else "")


def exemplar_parts(
    view: UnitView, painter: TokenPainter, *, full: bool
) -> Iterator[RenderableType]:
    """The explain set's exemplars, strongest band first."""
    side = view.label.side
    ordered = sorted(view.explain, key=lambda r: _band_order(r.stratum))
    for band, group in groupby(ordered, key=lambda r: r.stratum):
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
    return Excerpt.around(values, full=full).paint(painter, record.tokens, values)


def _real_and_predicted(
    scored: PredictedRecord, painter: TokenPainter, side: Side, *, full: bool
) -> Iterator[tuple[str, Text]]:
    real, predicted = scored.record.side(side), scored.predicted or ()
    # Where the window is silent, what was predicted wrongly is what matters.
    excerpt = Excerpt.around(real if any(real) else predicted, full=full)
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


def _band_order(stratum: str) -> tuple[int, int, str]:
    if stratum == "top":
        return 0, 0, ""
    digits = stratum.removeprefix("band")
    if digits.isdigit():
        return 1, -int(digits), ""
    return 2, 0, stratum


def _band_title(band: str, n_shown: int, n: int) -> str:
    return f"{band} ({n_shown} of {n}, --full for all)" if n_shown < n else f"{band} ({n})"


def _left_out(hidden: int, unjudged: int) -> str:
    parts = [f"{counted(hidden, 'more window')} with --full"] if hidden else []
    if unjudged:
        parts.append(f"{counted(unjudged, 'window')} without a predicted row")
    return "; ".join(parts)
