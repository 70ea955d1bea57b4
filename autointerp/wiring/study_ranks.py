"""Is each unit the best of its layer for its own label? Of a dictionary's labels, by layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from statistics import median

from autointerp.core.errors import InputError
from autointerp.core.own_label_rank import OwnLabelRank
from autointerp.core.progress import Progress, SilentProgress
from autointerp.core.study_report import Asked, Cell, Column, StudyReport, StudyTable, StudyValue
from autointerp.dictionary import Dictionary, open_dictionary
from autointerp.dictionary.chosen_labels import chosen_labels
from autointerp.settings import Settings
from autointerp.statistics.closed_form_intervals import wilson_interval
from autointerp.subjects import SubjectModel
from autointerp.wiring.kept_ranks import KeptRanks, Sides
from autointerp.wiring.own_label_ranks import rank_own_labels
from autointerp.wiring.study_folder import begin_study, finish_study
from autointerp.wiring.study_runs import provenance_of

_NOTES = (
    "All units of a hook point are compared on the held-out windows on which a label was scored, "
    "by the same weighted correlation with what its explanation predicts there; a label's own is "
    "its score.",
    "Other units are compared on the better of their two sides. The rank is by all windows. For "
    "the margin, documents are dealt out in two halves: the best other unit is chosen on one and "
    "compared on the other, and the other way round, as the best of many on some text is partly "
    "the luckiest there. So a margin may be above 0 where the rank is not 1. As half of the "
    "documents do not always tell which is the best, margins are rather too high than too low: "
    "whether a unit is surely the best is told by the best other on all windows.",
    "A label that another unit follows more closely is not wrong: it says something of a direction "
    "that both share, or too little of what its own unit does.",
    "Intervals of margins are over documents, one of them left out at a time; with fewer than "
    "three in a half there is none.",
)
_GREAT = 10
"""A rank that is still among the first."""


def study_ranks(  # noqa: PLR0913 - a convenience for notebooks
    dictionary: Dictionary | Path | str,
    *,
    subject: SubjectModel | str | None = None,
    units: str | None = None,
    limit: int | None = None,
    encoders: Sequence[str] = (),
    seed: int = 0,
    keep: bool = False,
    out: Path | str | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> StudyReport:
    """Compares every unit of a layer with what each label there predicts.

    Args:
        dictionary: labels whose predictions were kept, as those of every run are.
        subject: the model of the labels, or where it lies now; as their job names it where None.
        units: whose labels, as on the command line; all where None.
        limit: so many labels at random; all where None.
        encoders: folders of SAEs that have moved, as ``sae:FOLDER``.
        seed: of the random choice and of the halves into which documents are dealt out.
        keep: store each unit's ranks beside its labels in that folder, as evidence of the kind
            ``rank``, and take what was kept of them before.
        out: folder for ``study.json`` and ``report.html``; nowhere if None.
        settings: from the environment where None.
        progress: told about every stage.

    Raises:
        InputError: no label can be compared, or model or text are not those of the labels.
        StorageError: the disk refuses.
    """
    opened = dictionary if isinstance(dictionary, Dictionary) else open_dictionary(dictionary)
    asked: dict[str, Asked] = {
        "dir": str(opened.folder),
        "units": units,
        "limit": limit,
        "seed": seed,
    }
    if limit is not None and limit < 1:
        raise InputError(f"limit is {limit}; give 1 or more, or leave it out")
    chosen = chosen_labels(opened, units=units, limit=limit, seed=seed)
    if out is not None:
        begin_study(Path(out), "ranks", asked, resume=True)
    rank = partial(
        rank_own_labels,
        opened,
        subject=subject,
        encoders=encoders,
        seed=seed,
        settings=settings,
        progress=progress or SilentProgress(),
    )
    ranks = _kept(KeptRanks(opened, seed=seed), chosen, rank) if keep else list(rank(chosen))
    report = _report(opened, asked, ranks, seed)
    if out is not None:
        finish_study(Path(out), report)
    return report


def _kept(
    kept: KeptRanks, chosen: Sides, rank: Callable[[Sides], Iterator[OwnLabelRank]]
) -> list[OwnLabelRank]:
    every = kept.with_other_sides(chosen)
    found = {(one.unit, one.side): one for one in kept.known(dict.fromkeys(u for u, _ in every))}
    left = [side for side in every if side not in found]
    if left:
        found |= {(one.unit, one.side): one for one in kept.keep(rank(left))}
    return [found[side] for side in chosen if side in found]


def _report(
    labels: Dictionary, asked: dict[str, Asked], ranks: Sequence[OwnLabelRank], seed: int
) -> StudyReport:
    known = [rank for rank in ranks if rank.rank is not None]
    if not known:
        why = ranks[0].reason if ranks else "there is none"
        raise InputError(
            f"none of {len(ranks):,} labels of {labels.folder} can be compared with other units: "
            f"{why}"
        )
    by_layer: dict[tuple[int, str], list[OwnLabelRank]] = {}
    for rank in ranks:
        by_layer.setdefault((rank.unit.layer, rank.unit.hook), []).append(rank)
    chance = f"1 of {2 * known[0].n_units - 1:,}"
    n_best = sum(rank.rank == 1 for rank in known)
    first = max(known, key=lambda rank: rank.margin or 0.0)
    last = min(known, key=lambda rank: rank.margin or 0.0)
    return StudyReport(
        kind="ranks",
        title=f"Units that follow their own label most closely: {labels.manifest.subject}",
        asked=asked,
        paragraphs=(
            f"{n_best:,} of {len(known):,} labelled units ({100 * n_best / len(known):.0f} %) "
            "follow their own label more closely than any other unit of their hook point does; by "
            f"chance, both sides of the others being tried, {chance} would.",
            f"Furthest ahead is {first.unit.layer}:{first.unit.index}: {first.sentence}. Furthest "
            f"behind is {last.unit.layer}:{last.unit.index}: {last.sentence}.",
        ),
        tables=(
            StudyTable(
                "By hook point",
                _LAYER_COLUMNS,
                tuple(_layer_row(hook, own) for (_, hook), own in sorted(by_layer.items())),
                "Surely best: rank 1, and the best other on the same windows is behind by an "
                "interval above 0; surely not: another rank, and the margin is below 0. "
                f"Among {_GREAT}: the rank is {_GREAT} or better. No rank: nothing could be "
                "compared.",
            ),
            StudyTable("Every label", _LABEL_COLUMNS, tuple(map(_label_row, ranks))),
        ),
        notes=_NOTES,
        seed=seed,
        provenance=provenance_of(labels.manifest),
    )


_LAYER_COLUMNS = (
    *(Column("hook point", "text"), Column("labels", "count"), Column("best", "share")),
    *(Column("surely best", "share"), Column("surely not", "share")),
    *(Column(f"among {_GREAT}", "share"), Column("median rank", "count")),
    *(Column("median margin", "signed"), Column("no rank", "count")),
)
_LABEL_COLUMNS = (
    *(Column("unit", "text"), Column("rank", "count"), Column("own", "number")),
    *(Column("best other", "text"), Column("its", "number"), Column("margin", "signed")),
)


def _layer_row(hook: str, ranks: Sequence[OwnLabelRank]) -> tuple[Cell, ...]:
    known = [one for one in ranks if one.rank is not None]
    places = [one.rank for one in known if one.rank is not None]
    margins = [one.margin for one in known if one.margin is not None]
    shares = (
        sum(place == 1 for place in places),
        sum(one.is_surely_best for one in known),
        sum(one.is_surely_not_best for one in known),
        sum(place <= _GREAT for place in places),
    )
    n = len(known)
    values = [
        StudyValue(k / n, *wilson_interval(k, n, confidence=0.95)) if n else None for k in shares
    ]
    middles = (median(places), median(margins)) if n else (None, None)
    return (hook, len(ranks), *values, *middles, len(ranks) - n)


def _label_row(one: OwnLabelRank) -> tuple[Cell, ...]:
    unit = f"{one.unit.short} {one.side.value}"
    if one.rank is None:
        return (unit, None, one.own, one.reason or "", None, None)
    other = "" if one.other is None else one.other.short
    margin = None if one.margin is None else StudyValue(one.margin, one.low, one.high)
    return (unit, one.rank, one.own, other, one.best_other, margin)
