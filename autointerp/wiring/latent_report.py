"""What ``study latents`` tells: shares, scores, and how pairs of a latent and a neuron differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

import numpy as np
from numpy.typing import NDArray

from autointerp.core.explanations import Label, LabelStatus
from autointerp.core.study_report import (
    Asked,
    Cell,
    Column,
    StudyReport,
    StudyTable,
    StudyValue,
)
from autointerp.dictionary import Dictionary
from autointerp.statistics.closed_form_intervals import welch_interval, wilson_interval
from autointerp.statistics.studies.pairs import MeanDifference, mean_difference
from autointerp.statistics.studies.rank_trends import median_interval
from autointerp.wiring.study_runs import provenance_of

_DENSE = 0.1
"""Share of tokens at which a latent that is called dense is active."""
_NOTES = (
    "Latents are drawn from those that are alive; neurons are the ones of the same layer that are "
    "as often active as these, each in one pair: how often a unit is active decides much of what a "
    "label can score. Active is a tenth of the strongest activation or more, on the stronger side.",
    "Neurons of gated MLPs are active, weakly, at nearly every token, and latents of an SAE at "
    "few: where no neuron is active as seldom, pairs are unlike, which the first table shows.",
    "Scores are population scores on documents held out, and the token table's are beside: what a "
    "table of each token's mean activation scores by itself.",
    "The paired interval is Student's over pairs, the unpaired one Welch's; of medians, order "
    "statistics. A label without a score is in no mean, and counted.",
)


@dataclass(frozen=True, slots=True)
class Activity:
    """What one group of units does on the text, place by place."""

    hook: str
    density: NDArray[np.float64]
    """Share of tokens above 0, on the stronger side."""
    activity: NDArray[np.float64]
    """Share of tokens at a tenth of the strongest activation or more, on that side."""
    dead: NDArray[np.bool_]


def latent_report(
    asked: Mapping[str, Asked],
    groups: tuple[Activity, Activity],
    pairs: Sequence[tuple[int, int]],
    labels: Dictionary,
) -> StudyReport:
    """The report of units in pairs (latent, neuron), from the labels that were made of them."""
    found = {(label.unit.hook, label.unit.index): label for label in labels}
    sides = [
        [found.get((group.hook, pair[side])) for pair in pairs] for side, group in enumerate(groups)
    ]
    scores = [[_score(label) for label in own] for own in sides]
    both = [(a, b) for a, b in zip(*scores, strict=True) if a is not None and b is not None]
    paired, tables = mean_difference(both), mean_difference(_both_lookups(sides))
    known = [[s for s in own if s is not None] for own in scores]
    names = ("latents", "neurons")
    return StudyReport(
        kind="latents",
        title=f"Latents of {groups[0].hook} beside neurons of {groups[1].hook}",
        asked=asked,
        paragraphs=tuple(_sentences(groups[0], known, paired, tables)),
        tables=(
            StudyTable(
                "Units",
                _UNIT_COLUMNS,
                tuple(
                    _unit_row(name, group, [pair[side] for pair in pairs], own)
                    for side, (name, group, own) in enumerate(
                        zip(names, groups, sides, strict=True)
                    )
                ),
                "Dead: never active in the text. Dense: active at more than a tenth of the tokens. "
                "Labelled: of the units in pairs, those whose label has a score.",
            ),
            StudyTable(
                "Scores of those in pairs",
                _SCORE_COLUMNS,
                tuple(
                    _score_row(name, own, [_lookup(label) for label in side])
                    for name, own, side in zip(names, known, sides, strict=True)
                ),
            ),
            StudyTable(
                "Latents less neurons",
                (Column("how", "text"), Column("difference", "signed"), Column("p", "short")),
                _difference_rows(paired, tables, known),
            ),
            StudyTable(
                "Every pair",
                (
                    *(Column("latent", "text"), Column("score"), Column("label", "text")),
                    *(Column("neuron", "text"), Column("score"), Column("label", "text")),
                ),
                tuple(
                    (
                        *_cells(pair[0], groups[0], sides[0][i]),
                        *_cells(pair[1], groups[1], sides[1][i]),
                    )
                    for i, pair in enumerate(pairs)
                ),
                "Beside each unit the share of tokens at which it is active.",
            ),
        ),
        notes=_NOTES,
        seed=int(asked["seed"] or 0),
        provenance=provenance_of(labels.manifest),
    )


_UNIT_COLUMNS = (
    *(
        Column("", "text"),
        Column("all", "count"),
        Column("dead", "share"),
        Column("dense", "share"),
    ),
    *(Column("in pairs", "count"), Column("labelled", "share"), Column("active there", "share")),
)
_SCORE_COLUMNS = (
    *(Column("", "text"), Column("labels", "count"), Column("median", "number")),
    *(Column("mean", "number"), Column("median of the token table", "number")),
)


def _score(label: Label | None) -> float | None:
    return None if label is None or label.status is not LabelStatus.OK else label.headline.value


def _lookup(label: Label | None) -> float | None:
    return None if label is None else label.score("lookup").value


def _share(n: int, of: int) -> StudyValue | None:
    if not of:
        return None
    return StudyValue(n / of, *wilson_interval(n, of, confidence=0.95))


def _unit_row(
    name: str, group: Activity, places: Sequence[int], labels: Sequence[Label | None]
) -> tuple[Cell, ...]:
    n = len(group.dead)
    n_scored = sum(_score(label) is not None for label in labels)
    return (
        *(name, n, _share(int(group.dead.sum()), n)),
        *(_share(int((group.density > _DENSE).sum()), n), len(places)),
        *(_share(n_scored, len(places)), median(float(group.activity[i]) for i in places)),
    )


def _score_row(
    name: str, scores: Sequence[float], lookups: Sequence[float | None]
) -> tuple[Cell, ...]:
    tables = [value for value in lookups if value is not None]
    return (
        *(
            name,
            len(scores),
            StudyValue(median(scores), *median_interval(scores)) if scores else None,
        ),
        *(fmean(scores) if scores else None, median(tables) if tables else None),
    )


def _both_lookups(sides: Sequence[Sequence[Label | None]]) -> list[tuple[float, float]]:
    """The token tables' scores of pairs of which both have a label with a score."""
    return [
        (a, b)
        for first, second in zip(*sides, strict=True)
        if _score(first) is not None
        and _score(second) is not None
        and (a := _lookup(first)) is not None
        and (b := _lookup(second)) is not None
    ]


def _difference_rows(
    paired: MeanDifference | None,
    tables: MeanDifference | None,
    known: Sequence[Sequence[float]],
) -> tuple[tuple[Cell, ...], ...]:
    rows = list[tuple[Cell, ...]]()
    for one, of in ((paired, ""), (tables, "token table, ")):
        if one is not None:
            value = StudyValue(one.value, one.low, one.high)
            rows.append((f"{of}in {one.n} pairs", value, one.p_value))
    if min(map(len, known)) > 1:
        first, second = known
        value = StudyValue(
            fmean(first) - fmean(second), *welch_interval(first, second, confidence=0.95)
        )
        rows.append(("all, unpaired", value, None))
    return tuple(rows)


def _cells(index: int, group: Activity, label: Label | None) -> tuple[Cell, Cell, Cell]:
    text = "no label" if label is None else label.reason or ""
    if label is not None and label.explanation is not None:
        text = label.explanation.text
    share = f"{100 * float(group.activity[index]):.2g} %"
    return f"{index:,} ({share})", _score(label), text


def _sentences(
    latents: Activity,
    known: Sequence[Sequence[float]],
    paired: MeanDifference | None,
    tables: MeanDifference | None,
) -> list[str]:
    n, n_dead = len(latents.dead), int(latents.dead.sum())
    n_dense = int((latents.density > _DENSE).sum())
    said = [
        f"Of {n:,} latents {n_dead:,} are dead on this text and {n_dense:,} active at more than a "
        "tenth of its tokens."
    ]
    if all(known):
        medians = [f"{median(scores):.2f}" for scores in known]
        said.append(
            f"Labels of latents have a median score of {medians[0]}, those of neurons that are as "
            f"often active {medians[1]}."
        )
    for one, what in ((paired, "the score of the latent"), (tables, "that of its token table")):
        if one is not None and one.low is not None and one.p_value is not None:
            sure = "" if one.p_value < 0.05 else "; it may be chance"
            said.append(
                f"In {one.n} pairs {what} less that of the neuron is {one.value:+.2f} "
                f"[{one.low:+.2f}, {one.high:+.2f}], p = {one.p_value:.2g}{sure}."
            )
    return said
