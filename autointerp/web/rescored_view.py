"""What pages show of labels on another text: all of them, and one beside its own text."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from autointerp.core.ids import Side, UnitId
from autointerp.core.scores import Score
from autointerp.dictionary.rescored_labels import (
    LayerTally,
    Outcome,
    RescoredLabel,
    RescoreReport,
)
from autointerp.dictionary.rescored_windows import RescoredWindows
from autointerp.dictionary.rescored_words import advice, report_sentences
from autointerp.statistics.text_differences import TextScore
from autointerp.store.label_records import ScoredRecord
from autointerp.web.model_view import BarPiece
from autointerp.web.token_rows import WindowRows, WindowTokens, shown_text

OUTCOME_WORDS = {
    Outcome.LOWER: "worse there",
    Outcome.SAME: "not told apart",
    Outcome.HIGHER: "better there",
    Outcome.SILENT: "unit silent there",
    Outcome.ABSENT: "nothing of it there",
    Outcome.UNTESTED: "not tested",
}
"""How pages name what a label came to, in the order in which they are drawn."""
_SIGNS = {Side.POSITIVE: "+", Side.NEGATIVE: "-"}
_MOST_OF_A_LAYER, _MOST_LABELS = 100, 2_000
_HALF = 50.0

LinkOf = Callable[[UnitId], str]


@dataclass(frozen=True, slots=True)
class RescoredLine:
    """One label in a list."""

    unit: str
    """With the sign of its side."""
    link: str
    difference: str
    text: str
    outcome: str


@dataclass(frozen=True, slots=True)
class RescoredLayer:
    """The labels of one layer, or of all of them where it is -1."""

    tally: LayerTally
    bar: tuple[BarPiece, ...]
    said: str
    """The bar in words."""
    distrusted: tuple[RescoredLine, ...]
    """The greatest loss first, at most 100."""

    @property
    def n(self) -> int:
        """Labels."""
        return sum(self.tally.counts.values())

    @property
    def n_lower(self) -> int:
        """Labels to distrust."""
        return self.tally.counts[Outcome.LOWER]


@dataclass(frozen=True, slots=True)
class ReportView:
    """The page of all labels."""

    report: RescoreReport
    sentences: tuple[str, ...]
    layers: tuple[RescoredLayer, ...]
    whole: RescoredLayer
    lines: tuple[RescoredLine, ...]
    """The greatest loss first, at most 2,000."""
    outcomes: tuple[tuple[Outcome, str], ...]
    """Those that occur, with their words."""

    @classmethod
    def of(cls, report: RescoreReport, link: LinkOf) -> ReportView:
        """Links are of units' pages."""
        worst = {
            layer: [*labels]
            for layer, labels in groupby(
                sorted(report.distrusted, key=lambda label: label.unit.layer),
                key=lambda label: label.unit.layer,
            )
        }
        counts = report.all.counts
        return cls(
            report,
            tuple(report_sentences(report)),
            tuple(_layer(tally, worst.get(tally.layer, ()), link) for tally in report.layers),
            _layer(report.all, (), link),
            tuple(_line(one, link) for one in sorted(report.labels, key=_by_loss)[:_MOST_LABELS]),
            tuple((one, words) for one, words in OUTCOME_WORDS.items() if counts[one]),
        )


def _layer(tally: LayerTally, worst: Sequence[RescoredLabel], link: LinkOf) -> RescoredLayer:
    n, x, pieces = sum(tally.counts.values()), 0.0, []
    for outcome in OUTCOME_WORDS:
        width = 100 * tally.counts[outcome] / max(1, n)
        if width:
            pieces.append(BarPiece(outcome.value, x, width))
        x += width
    said = ", ".join(
        f"{tally.counts[o]:,} {words}" for o, words in OUTCOME_WORDS.items() if tally.counts[o]
    )
    lines = tuple(_line(label, link) for label in worst[:_MOST_OF_A_LAYER])
    return RescoredLayer(tally, tuple(pieces), said, lines)


def _line(label: RescoredLabel, link: LinkOf) -> RescoredLine:
    return RescoredLine(
        f"{label.unit.short} {_SIGNS[label.side]}",
        link(label.unit),
        _signed(None if label.difference is None else label.difference.value),
        shown_text(label.text or "nothing is said"),
        OUTCOME_WORDS[label.outcome],
    )


def _by_loss(label: RescoredLabel) -> tuple[bool, float]:
    value = None if label.difference is None else label.difference.value
    return value is None, value or 0.0


def _signed(value: float | None) -> str:
    return "–" if value is None else f"{round(value, 2) + 0.0:+.2f}"


@dataclass(frozen=True, slots=True)
class ShownWindow:
    """A window of either text, real above predicted."""

    rows: WindowRows
    source: str


@dataclass(frozen=True, slots=True)
class TextColumn:
    """What one text shows of a label."""

    corpus: str
    is_own: bool
    score: str
    """With its interval over documents."""
    n_windows: int
    """Windows that were judged."""
    n_documents: int
    """Documents that these are of."""
    table: str
    """How far the label is ahead of a table of that text's tokens."""
    density: float | None
    """Share of tokens on which the side is active."""
    peak: float | None
    """Largest activation, where 1 is that on the own text."""
    strongest: tuple[ShownWindow, ...]
    predicted: tuple[ShownWindow, ...]
    """Others, for which the label predicts most."""


@dataclass(frozen=True, slots=True)
class DifferenceView:
    """The score on the other text less that on its own."""

    value: str
    """With its interval."""
    q: str | None
    at: float
    """Where the value and its interval stand on a bar from -1 to 1 that is 100 wide."""
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class RescoredSide:
    """One label on both texts."""

    title: str
    anchor: str
    text: str
    scorer: str | None
    outcome: Outcome
    outcome_words: str
    advice: str
    difference: DifferenceView | None
    reason: str | None
    """Why there is no difference, or no interval of it."""
    columns: tuple[TextColumn, TextColumn]
    peak: float | None
    """Of the scale of colours; None where no texts were kept."""


@dataclass(frozen=True, slots=True)
class RescoredUnitView:
    """The page of a unit."""

    unit: UnitId
    report: RescoreReport
    sides: tuple[RescoredSide, ...]
    previous: UnitId | None
    following: UnitId | None


def rescored_side(
    label: RescoredLabel, windows: RescoredWindows | None, report: RescoreReport
) -> RescoredSide:
    """One label with what was kept of its texts."""
    change = label.difference
    return RescoredSide(
        title=f"{label.side.value} side",
        anchor=label.side.value,
        text=shown_text(label.text or "nothing is said"),
        scorer=label.scorer,
        outcome=label.outcome,
        outcome_words=OUTCOME_WORDS[label.outcome],
        advice=advice(label, report),
        difference=_difference(label),
        reason=label.reason if change is None else change.reason,
        columns=(_column(label, windows, report, own=True), _column(label, windows, report)),
        peak=None if windows is None else windows.peak,
    )


def _difference(label: RescoredLabel) -> DifferenceView | None:
    change = label.difference
    if change is None or change.value is None:
        return None
    ends = (change.value, change.low, change.high)
    at, low, high = (
        _HALF * (1 + max(-1.0, min(1.0, change.value if one is None else one))) for one in ends
    )
    words = _with_interval(*ends, form=_signed)
    return DifferenceView(words, None if label.q is None else f"{label.q:.2g}", at, low, high)


def _column(
    label: RescoredLabel,
    windows: RescoredWindows | None,
    report: RescoreReport,
    *,
    own: bool = False,
) -> TextColumn:
    score = label.own if own else label.other
    corpus = shown_text(report.corpus if own else report.other)
    records = () if windows is None else windows.own if own else windows.other
    shown = [*_shown(records, windows, corpus)]
    over = label.own_over_table if own else label.over_table
    return TextColumn(
        corpus=corpus,
        is_own=own,
        score=_score(score),
        n_windows=0 if score is None else score.n_windows,
        n_documents=0 if score is None else score.n_documents,
        table=_over(over),
        density=label.density if own else label.other_density,
        peak=1.0 if own else label.other_peak,
        strongest=tuple(window for window, is_strong in shown if is_strong),
        predicted=tuple(window for window, is_strong in shown if not is_strong),
    )


def _shown(
    records: Sequence[ScoredRecord], windows: RescoredWindows | None, corpus: str
) -> Iterator[tuple[ShownWindow, bool]]:
    if windows is None:
        return
    for place, record in enumerate(records):
        tokens = WindowTokens(
            record.tokens,
            record.token_ids,
            record.offset,
            record.side(windows.side),
            record.predicted,
        )
        document = shown_text(record.source or f"document {record.document}")
        source = f"{corpus}: {document}, from token {record.offset:,}"
        shown = ShownWindow(tokens.rows(peak=windows.peak), source)
        yield shown, place < windows.n_strongest


def _score(score: TextScore | None) -> str:
    if score is None:
        return "–"
    return _with_interval(score.value, score.low, score.high)


def _over(score: Score | None) -> str:
    if score is None:
        return "–"
    return _with_interval(score.value, score.low, score.high, form=_signed)


def _two(value: float | None) -> str:
    return "–" if value is None else f"{round(value, 2) + 0.0:.2f}"


def _with_interval(
    value: float | None,
    low: float | None,
    high: float | None,
    *,
    form: Callable[[float | None], str] = _two,
) -> str:
    if value is None or low is None or high is None:
        return form(value)
    return f"{form(value)} (95\u00a0%: {form(low)} to {form(high)})"
