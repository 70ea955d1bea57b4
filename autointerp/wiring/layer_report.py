"""The report of kinds, states, scores and densities by layer, from rows of labels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from autointerp.core.errors import InputError
from autointerp.core.evidence_words import title_of
from autointerp.core.explanations import LabelStatus
from autointerp.core.study_report import (
    Asked,
    Cell,
    Column,
    Series,
    StudyChart,
    StudyReport,
    StudyTable,
    StudyValue,
    written,
)
from autointerp.core.unit_kinds import UnitKind, kind_title
from autointerp.statistics.studies.rank_trends import RankTrend, rank_trend
from autointerp.wiring.layer_tallies import (
    MEASURED,
    LabelRow,
    LayerCounts,
    counted_layers,
    has_evidence,
    kinds_in,
    median_of,
    strongest_of_kinds,
)

_STATES = {
    LabelStatus.NO_SIGNAL: "no signal",
    LabelStatus.DEAD: "dead",
    LabelStatus.FAILED: "failed",
}
_MOST_LINES = 5
_FEW = 30
_WEAK = 0.2
"""Rank correlation below which a trend is called little."""


@dataclass(frozen=True, slots=True)
class LayerRequest:
    """What the report says of where its labels are from."""

    where: str
    """The folder, for messages."""
    subject: str
    asked: Mapping[str, Asked]
    provenance: Mapping[str, str]
    seed: int


def layer_report(rows: Sequence[LabelRow], request: LayerRequest) -> StudyReport:
    """The report.

    Raises:
        InputError: there is no label, or none has a score.
    """
    layers, whole = counted_layers(rows), LayerCounts()
    for row in rows:
        whole.add(row)
    if not whole.scores:
        found = f"none of {whole.n:,} labels has a score" if whole.n else "there is no label"
        raise InputError(
            f"{request.where} cannot be compared by layer: {found}; label its units with "
            "`autointerp label`, which scores what it says"
        )
    trends = dict(_trends(rows, whole, request.seed))
    named = [*((str(layer), one) for layer, one in layers.items()), ("all", whole)]
    tables = [_score_table(named, whole), _trend_table(trends)]
    if whole.n_with_evidence:
        tables += [_kind_table(named, whole), _median_table(named, whole), _example_table(rows)]
    return StudyReport(
        kind="layers",
        title=f"Labels of {request.subject} by layer",
        asked=request.asked,
        paragraphs=tuple(_paragraphs(layers, whole, trends, request.subject)),
        tables=tuple(tables),
        charts=tuple(_charts(layers, whole)),
        notes=tuple(_notes(rows, layers, whole)),
        seed=request.seed,
        provenance=request.provenance,
    )


def _trends(
    rows: Sequence[LabelRow], whole: LayerCounts, seed: int
) -> Iterator[tuple[str, RankTrend | None]]:
    for name, title in (
        ("score", "score"),
        ("score_lookup", "score of the token table"),
        ("density", "density"),
    ):
        known = [row for row in rows if row[name] is not None]
        yield title, _trend(known, [float(row[name]) for row in known], seed)
    known = [row for row in rows if has_evidence(row)]
    for kind in _occurring(whole):
        yield kind_title(kind), _trend(known, [float(kind in kinds_in(row)) for row in known], seed)
    if known:
        yield "of no known kind", _trend(known, [float(not row["kinds"]) for row in known], seed)


def _trend(rows: Sequence[LabelRow], values: Sequence[float], seed: int) -> RankTrend | None:
    return rank_trend([int(row["layer"]) for row in rows], values, seed=seed)


def _occurring(whole: LayerCounts) -> list[UnitKind]:
    return [kind for kind in UnitKind if whole.kinds[kind]]


def _score_table(named: Sequence[tuple[str, LayerCounts]], whole: LayerCounts) -> StudyTable:
    states = [(state, words) for state, words in _STATES.items() if whole.statuses[state]]
    columns = (
        Column("layer", "text"),
        Column("labels", "count"),
        *(Column(words, "count") for _, words in states),
        Column("score"),
        Column("token table"),
        Column("density", "share"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            one.n,
            *(one.statuses[state] for state, _ in states),
            median_of(one.scores),
            median_of(one.lookup),
            median_of(one.densities),
        )
        for name, one in named
    ]
    return StudyTable(
        "Scores and states",
        columns,
        tuple(rows),
        "Medians over the labels of a layer, with their intervals. Score: correlation of real and "
        "predicted activations over all held-out text. Token table: the same of each token's mean "
        "activation. Density: tokens on which the unit is active.",
    )


def _kind_table(named: Sequence[tuple[str, LayerCounts]], whole: LayerCounts) -> StudyTable:
    kinds = _occurring(whole)
    columns = (
        Column("layer", "text"),
        Column("labels", "count"),
        *(Column(kind_title(kind), "share") for kind in kinds),
        Column("of no known kind", "share"),
    )
    rows: list[tuple[Cell, ...]] = [
        (
            name,
            one.n_with_evidence,
            *(one.share(one.kinds[kind]) for kind in kinds),
            one.share(one.n_unknown),
        )
        for name, one in named
    ]
    return StudyTable(
        "Kinds",
        columns,
        tuple(rows),
        "Shares of the labels with evidence; a unit may be of several kinds, by stated thresholds.",
    )


def _median_table(named: Sequence[tuple[str, LayerCounts]], whole: LayerCounts) -> StudyTable:
    known = [quantity for quantity in MEASURED if whole.values[quantity]]
    columns = (Column("layer", "text"), *(Column(title_of(one), "short") for one in known))
    rows: list[tuple[Cell, ...]] = []
    for name, counts in named:
        medians = [median_of(counts.values[one]) for one in known]
        rows.append((name, *(None if one is None else one.value for one in medians)))
    return StudyTable("Evidence", columns, tuple(rows), "Medians over the labels of a layer.")


def _example_table(rows: Sequence[LabelRow]) -> StudyTable:
    columns = (
        Column("kind", "text"),
        Column("unit", "text"),
        Column("strength", "short"),
        Column("label", "text"),
    )
    return StudyTable(
        "The most pronounced of each kind",
        columns,
        tuple(
            (kind_title(one.kind), one.unit, one.strength, one.text)
            for one in strongest_of_kinds(rows)
        ),
    )


def _trend_table(trends: Mapping[str, RankTrend | None]) -> StudyTable:
    rows: list[tuple[Cell, ...]] = [
        (name, None, 0)
        if trend is None
        else (name, StudyValue(trend.value, trend.low, trend.high), trend.n)
        for name, trend in trends.items()
    ]
    return StudyTable(
        "Trends with depth",
        (Column("what", "text"), Column("Spearman", "signed"), Column("labels", "count")),
        tuple(rows),
        "Rank correlation with the layer: above 0 what grows with depth, below 0 what shrinks. "
        "The interval is from units drawn anew within each layer.",
    )


def _charts(layers: Mapping[int, LayerCounts], whole: LayerCounts) -> Iterator[StudyChart]:
    if len(layers) < 2:
        return
    places = tuple(map(str, layers))
    series = [Series("label", tuple(median_of(one.scores) for one in layers.values()))]
    if whole.lookup:
        series.append(
            Series("token table", tuple(median_of(one.lookup) for one in layers.values()))
        )
    yield StudyChart("Median score by layer", "lines", "layer", places, tuple(series))
    often = [kind for kind, _ in whole.kinds.most_common(_MOST_LINES)]
    if often:
        kinds = tuple(
            Series(kind_title(kind), tuple(one.share(one.kinds[kind]) for one in layers.values()))
            for kind in often
        )
        yield StudyChart("Most frequent kinds by layer", "lines", "layer", places, kinds, "share")


def _paragraphs(
    layers: Mapping[int, LayerCounts],
    whole: LayerCounts,
    trends: Mapping[str, RankTrend | None],
    subject: str,
) -> Iterator[str]:
    medians = {layer: median_of(one.scores) for layer, one in layers.items()}
    known = {layer: one for layer, one in medians.items() if one is not None}
    median = written(median_of(whole.scores), "number")
    yield (
        f"{len(whole.scores):,} labels of {subject} in {_numbered(len(layers), 'layer')} score "
        f"{median} in the median. {_said_trend(trends['score'])}"
    )
    if len(known) > 1:
        best, worst = (of(known, key=lambda layer: known[layer].value) for of in (max, min))
        yield (
            f"Labels score highest in layer {best} (median {written(known[best], 'number')}) and "
            f"lowest in layer {worst} ({written(known[worst], 'number')})."
        )
    if whole.n_with_evidence:
        often = ", ".join(
            f"{kind_title(kind)} {written(whole.share(n), 'share', with_interval=False)} (most in "
            f"layer {_most_in(layers, kind)})"
            for kind, n in whole.kinds.most_common(3)
        )
        unknown = written(whole.share(whole.n_unknown), "share", with_interval=False)
        yield (
            f"{unknown} of the labels are of no kind that these rules know"
            f"{'; ' if often else ''}{often}."
        )


def _said_trend(trend: RankTrend | None) -> str:
    if trend is None:
        return "There is no trend to tell: all are of one layer, or score the same."
    value = StudyValue(trend.value, trend.low, trend.high)
    said = f"The rank correlation of layer and score is {written(value, 'signed')}: "
    if trend.low is None or trend.high is None:
        return f"{said}of {trend.n} labels, too few for an interval."
    if trend.low <= 0 <= trend.high:
        return f"{said}no trend beyond chance."
    way = "rise" if trend.value > 0 else "fall"
    return f"{said}scores {way}{' a little' if abs(trend.value) < _WEAK else ''} with depth."


def _most_in(layers: Mapping[int, LayerCounts], kind: UnitKind) -> str:
    shares = {
        layer: one.kinds[kind] / one.n_with_evidence
        for layer, one in layers.items()
        if one.n_with_evidence
    }
    layer = max(shares, key=lambda one: shares[one])
    return f"{layer}: {written(shares[layer], 'share')}"


def _numbered(n: int, noun: str) -> str:
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def _notes(
    rows: Sequence[LabelRow], layers: Mapping[int, LayerCounts], whole: LayerCounts
) -> Iterator[str]:
    scorers = sorted({str(row["scorer"]) for row in rows if row["scorer"] is not None})
    yield f"Scores are of {', '.join(scorers)}."
    if whole.n > len(whole.scores):
        n = whole.n - len(whole.scores)
        yield f"{_numbered(n, 'label')} without a score: not in medians of scores."
    if whole.n > whole.n_with_evidence:
        yield (
            f"{whole.n - whole.n_with_evidence:,} labels have no evidence, which older versions "
            "did not keep, and so no kind."
        )
    hooks = {str(row["hook"]).split(".", 2)[-1] for row in rows}
    if len(hooks) > 1:
        yield f"A layer's labels are of several hook points: {', '.join(sorted(hooks))}."
    least = min(one.n for one in layers.values())
    if least < _FEW:
        yield f"The smallest layer has {_numbered(least, 'label')}: what is said of it says little."
