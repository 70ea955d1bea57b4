"""Which units of a model carry a feature: labelled, ranked, tested on other documents."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from autointerp.activations.searching_features import (
    N_CANDIDATES,
    FeatureSearch,
    fitting_options,
    measure_named,
)
from autointerp.core.errors import InputError
from autointerp.core.feature_search import FeatureUnit, FindReport
from autointerp.core.progress import Progress, SilentProgress
from autointerp.corpora.features import Feature
from autointerp.corpora.features.looked_for import LookedFor, config_of, labelling_of
from autointerp.dictionary import Dictionary, open_dictionary
from autointerp.settings import Settings
from autointerp.statistics.probing.sparse_probes import DEFAULT_KS, SweepOptions, check_ks
from autointerp.subjects import SubjectModel, load_subject, parse_units
from autointerp.wiring.units_beforehand import check_units_beforehand


def find(  # noqa: PLR0913 - a convenience for notebooks
    subject: SubjectModel | str,
    feature: Feature | str | None = None,
    *,
    regex: str | None = None,
    positive: Path | str | None = None,
    negative: Path | str | None = None,
    dataset: Path | str | None = None,
    units: str = "all",
    corpus: str | None = None,
    tokens: int = 65_536,
    n_ctx: int = 64,
    measure: str = "average_precision",
    n: int = 20,
    ks: Sequence[int] | None = None,
    exact_s: float = 60.0,
    dictionary: Dictionary | Path | str | None = None,
    seed: int = 0,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> FindReport:
    """The units of a model that tell a feature best, and how well on documents held out.

    What is looked for is one of: a feature, by its name (`autointerp.corpora.features`) or a
    `Feature`; a regular expression; texts with and without it, one a line; a dataset of texts
    with labels.

    Args:
        subject: a subject model, or its name or folder.
        feature: a ready feature, such as ``years``.
        regex: tokens that overlap a match carry the feature.
        positive: a file of texts that carry it.
        negative: a file of texts that do not.
        dataset: a JSON lines file of texts with labels of the whole, of spans, or of tokens.
        units: which are ranked.
        corpus: the text that a feature is looked for in; the feature's own where None.
        tokens: to read.
        n_ctx: tokens a window.
        measure: units are ranked by it: average_precision, f_statistic, mean_difference or
            mutual_information.
        n: so many of the best units are told.
        ks: sizes of the probes on the best 1,024 units of the best three hook points; from 256
            to 1 where None, no probes where empty; 1 is always among them.
        exact_s: seconds of each exact search, which probes of up to four units get.
        dictionary: what calls the units by their labels.
        seed: of the documents and of the tokens that are drawn.
        settings: from the environment where None.
        progress: told about every stage.

    Raises:
        InputError: something cannot be done as asked.
    """
    settings, progress = settings or Settings(), progress or SilentProgress()
    looked_for = LookedFor(feature, regex, *map(_path, (positive, negative, dataset)))
    text, label = labelling_of(looked_for, corpus)
    config = config_of(looked_for, text, tokens, n_ctx, seed)
    chosen = measure_named(measure)
    if n < 1:
        raise InputError(f"n is how many of the best units are told; {n} is below 1")
    options = SweepOptions(DEFAULT_KS if ks is None else tuple(ks), time_limit_s=exact_s, seed=seed)
    if ks:
        check_ks(options.ks, N_CANDIDATES)
    if isinstance(subject, str):
        check_units_beforehand(units, subject, settings)
    labels = _opened(dictionary)
    model = _subject(subject, settings, progress)
    parsed = parse_units(units, model, seed=seed)
    options = fitting_options(options, [len(group.indices) for group in parsed], ks)
    search = FeatureSearch(model, parsed, chosen, n, options, progress)
    began = time.monotonic()
    labelled = label(config, model.tokenizer, progress)
    labelled.check()
    search.seconds["text"] = time.monotonic() - began
    report = search.run(labelled)
    if labels is not None:
        report = _with_labels(report, labels, model)
    return report


def _path(given: Path | str | None) -> Path | None:
    return None if given is None else Path(given).expanduser()


def _subject(given: SubjectModel | str, settings: Settings, progress: Progress) -> SubjectModel:
    if isinstance(given, SubjectModel):
        return given
    progress.note(f"loading {given}")
    return load_subject(given, device=settings.device, cache_dir=settings.cache_dir)


def _opened(given: Dictionary | Path | str | None) -> Dictionary | None:
    return given if given is None or isinstance(given, Dictionary) else open_dictionary(given)


def _with_labels(report: FindReport, labels: Dictionary, subject: SubjectModel) -> FindReport:
    """The report with what a dictionary calls the units."""
    made = labels.manifest
    if made.subject != subject.name or made.subject_revision != subject.revision:
        note = (
            f"{labels.folder} is of {made.subject}, revision {made.subject_revision}, and not of "
            "the model here: its labels are left out"
        )
        return replace(report, notes=(*report.notes, note))
    return replace(report, units=tuple(_labelled(one, labels) for one in report.units))


def _labelled(unit: FeatureUnit, labels: Dictionary) -> FeatureUnit:
    label = labels.label_without_trials(unit.unit, unit.side)
    return (
        unit
        if label is None
        else replace(unit, label=None if label.explanation is None else label.explanation.text)
    )
