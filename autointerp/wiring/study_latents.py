"""Latents of an SAE beside the neurons of its layer: how many live, and what labels score."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from autointerp.activations import CollectPlan, collect
from autointerp.activations.summary import HookSummary
from autointerp.core.config import NO_LLM
from autointerp.core.errors import InputError
from autointerp.core.explanations import Label, LabelStatus
from autointerp.core.progress import Progress, SilentProgress
from autointerp.core.seeds import derive_seed
from autointerp.core.study_report import (
    Asked,
    Cell,
    Column,
    StudyReport,
    StudyTable,
    StudyValue,
)
from autointerp.core.text import Split
from autointerp.corpora import TokenCorpus, load_corpus
from autointerp.dictionary import Dictionary
from autointerp.settings import Settings
from autointerp.statistics.closed_form_intervals import welch_interval, wilson_interval
from autointerp.statistics.studies.pairs import MeanDifference, mean_difference, nearest_pairs
from autointerp.statistics.studies.rank_trends import median_interval
from autointerp.subjects import HookUnits, SubjectModel, load_subject, open_sae
from autointerp.wiring.study_folder import begin_study, finish_study
from autointerp.wiring.study_runs import labelled, provenance_of, study_job

_DENSE = 0.1
"""Share of tokens at which a latent that is called dense is active."""
_LABELS = "labels"
_LEVEL_1 = 0.1
"""Of a unit's strongest activation: below it a reader sees a level of 0."""
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
class _Activity:
    """What one group of units does on the text, place by place."""

    hook: str
    density: NDArray[np.float64]
    """Share of tokens above 0, on the stronger side."""
    activity: NDArray[np.float64]
    """Share of tokens at a tenth of the strongest activation or more, on that side."""
    dead: NDArray[np.bool_]


def study_latents(  # noqa: PLR0913 - a convenience for notebooks
    subject: str | None = None,
    *,
    sae: str,
    units_each: int = 100,
    corpus: str = "wiki",
    tokens: int = 65_536,
    llm: str = NO_LLM,
    llm_model: str | None = None,
    seed: int = 0,
    out: Path | str | None = None,
    resume: bool = False,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> StudyReport:
    """Compares labels of an SAE's latents with those of neurons that are as often active.

    Args:
        subject: the model that the SAE reads; smollm2-135m if None.
        sae: its folder in SAELens' layout, or a release as ``RELEASE/ID``.
        units_each: latents drawn, and neurons in pairs with them.
        corpus: text that is read.
        tokens: of it.
        llm: ``none``, ``embedded`` or the base URL of an endpoint.
        llm_model: model at that endpoint.
        seed: of the text and the units.
        out: folder for ``study.json``, ``report.html`` and the labels; nowhere if None.
        resume: goes on with the labels that are there.
        settings: from the environment where None.
        progress: told about every stage.

    Raises:
        InputError: the SAE does not fit the model, or nothing of it is alive.
        UpstreamError: the LLM cannot be used; finished labels are kept.
        StorageError: the disk refuses.
    """
    if units_each < 2:
        raise InputError(f"units_each is {units_each}; give 2 or more")
    asked: dict[str, Asked] = {
        "subject": subject or "smollm2-135m",
        "sae": sae,
        "units_each": units_each,
        "corpus": corpus,
        "tokens": tokens,
        "llm": llm,
        "llm_model": llm_model,
        "seed": seed,
    }
    known, told = settings or Settings(), progress or SilentProgress()
    if out is None:
        with TemporaryDirectory(prefix="autointerp-study-") as made:
            return _study(Path(made), asked, known, told, resume=False)
    return _study(Path(out), asked, known, told, resume=resume)


def _study(
    folder: Path,
    asked: Mapping[str, Asked],
    settings: Settings,
    progress: Progress,
    *,
    resume: bool,
) -> StudyReport:
    encoder = open_sae(str(asked["sae"]))
    model = load_subject(
        str(asked["subject"]), device=settings.device, cache_dir=settings.cache_dir
    )
    hook = model.attach(encoder)
    begin_study(folder, "latents", asked, resume=resume)
    text = load_corpus(
        str(asked["corpus"]),
        model,
        n_tokens=int(asked["tokens"] or 0),
        seed=int(asked["seed"] or 0),
        progress=progress,
    )
    neurons = f"blocks.{hook.split('.')[1]}.mlp.{model.neuron_kind}"
    latents, own = _groups(model, text, (hook, neurons), progress)
    pairs = _pairs(latents, own, int(asked["units_each"] or 0), int(asked["seed"] or 0))
    place = asked["sae"]
    units = [f"sae:{place}:{latent}" for latent, _ in pairs]
    units += [f"{neurons}:{neuron}" for _, neuron in pairs]
    options = ("subject", "corpus", "tokens", "llm", "llm_model", "seed")
    job = study_job({**{name: asked[name] for name in options}, "units": ",".join(units)})
    labels = labelled(job, folder / _LABELS, settings, progress)
    report = _report(asked, (latents, own), pairs, labels)
    finish_study(folder, report)
    return report


def _groups(
    model: SubjectModel, text: TokenCorpus, hooks: tuple[str, str], progress: Progress
) -> tuple[_Activity, _Activity]:
    units = [HookUnits(hook, tuple(range(model.width(hook)))) for hook in hooks]
    plan = CollectPlan(token_means=False)
    summary = collect(model, text, units=units, plan=plan, progress=progress)
    first, second = (
        _group(hook, [summary.split(hook, split) for split in Split], model.two_sided(hook))
        for hook in hooks
    )
    return first, second


def _group(hook: str, halves: Sequence[HookSummary], two_sided: bool) -> _Activity:  # noqa: FBT001
    """Of all the text: what a unit does is asked here, and nothing is tested on it."""
    counts = np.sum([half.histogram for half in halves], axis=0).astype(np.float64)
    lowest = np.min([half.minimum for half in halves], axis=0)
    highest = np.max([half.maximum for half in halves], axis=0)
    edges, n = halves[0].histogram_edges, counts.sum(axis=1)
    is_low = np.full(len(n), two_sided) & (-lowest > highest)
    peaks = np.where(is_low, -lowest, highest)
    signed = np.where(is_low[:, None], counts[:, ::-1], counts)
    lower = np.where(is_low[:, None], -edges[1:][::-1], edges[:-1])
    dead = peaks <= 0
    least = np.where(dead, np.inf, _LEVEL_1 * peaks)[:, None]
    return _Activity(
        hook,
        (signed * (lower >= 0)).sum(axis=1) / n if two_sided else _density(halves, n),
        (signed * (lower >= least)).sum(axis=1) / n,
        dead,
    )


def _density(halves: Sequence[HookSummary], n: NDArray[np.float64]) -> NDArray[np.float64]:
    active = np.sum([half.density * half.n_tokens for half in halves], axis=0)
    return np.asarray(active / n, dtype=np.float64)


def _pairs(latents: _Activity, neurons: _Activity, n: int, seed: int) -> list[tuple[int, int]]:
    """(latent, neuron): latents that are alive, drawn, each with a neuron as often active."""
    there = [int(i) for i in np.flatnonzero(latents.activity > 0)]
    if len(there) < 2:
        raise InputError(
            f"{len(there)} of {len(latents.dead):,} latents of {latents.hook} are active in the "
            "text, and at least 2 are needed; read more --tokens, or text that it was trained on"
        )
    drawn = random.Random(derive_seed(seed, "latents")).sample(there, min(n, len(there)))
    others = [int(i) for i in np.flatnonzero(neurons.activity > 0)]
    found = nearest_pairs(
        [math.log(latents.activity[i]) for i in drawn],
        [math.log(neurons.activity[j]) for j in others],
    )
    return sorted((drawn[i], others[j]) for i, j in found)


def _report(
    asked: Mapping[str, Asked],
    groups: tuple[_Activity, _Activity],
    pairs: Sequence[tuple[int, int]],
    labels: Dictionary,
) -> StudyReport:
    found = {(label.unit.hook, label.unit.index): label for label in labels}
    sides = [
        [found.get((group.hook, pair[side])) for pair in pairs] for side, group in enumerate(groups)
    ]
    scores = [[_score(label) for label in own] for own in sides]
    both = [(a, b) for a, b in zip(*scores, strict=True) if a is not None and b is not None]
    paired = mean_difference(both)
    known = [[s for s in own if s is not None] for own in scores]
    names = ("latents", "neurons")
    return StudyReport(
        kind="latents",
        title=f"Latents of {groups[0].hook} beside neurons of {groups[1].hook}",
        asked=asked,
        paragraphs=tuple(_sentences(groups[0], known, paired)),
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
                _difference_rows(paired, known),
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
    name: str, group: _Activity, places: Sequence[int], labels: Sequence[Label | None]
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


def _difference_rows(
    paired: MeanDifference | None, known: Sequence[Sequence[float]]
) -> tuple[tuple[Cell, ...], ...]:
    rows = list[tuple[Cell, ...]]()
    if paired is not None:
        value = StudyValue(paired.value, paired.low, paired.high)
        rows.append((f"in {paired.n} pairs", value, paired.p_value))
    if min(map(len, known)) > 1:
        first, second = known
        value = StudyValue(
            fmean(first) - fmean(second), *welch_interval(first, second, confidence=0.95)
        )
        rows.append(("all, unpaired", value, None))
    return tuple(rows)


def _cells(index: int, group: _Activity, label: Label | None) -> tuple[Cell, Cell, Cell]:
    text = "no label" if label is None else label.reason or ""
    if label is not None and label.explanation is not None:
        text = label.explanation.text
    share = f"{100 * float(group.activity[index]):.2g} %"
    return f"{index:,} ({share})", _score(label), text


def _sentences(
    latents: _Activity, known: Sequence[Sequence[float]], paired: MeanDifference | None
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
    if paired is not None and paired.low is not None and paired.p_value is not None:
        sure = "" if paired.p_value < 0.05 else "; it may be chance"
        said.append(
            f"In {paired.n} pairs latents score {paired.value:+.2f} more "
            f"[{paired.low:+.2f}, {paired.high:+.2f}], p = {paired.p_value:.2g}{sure}."
        )
    return said
