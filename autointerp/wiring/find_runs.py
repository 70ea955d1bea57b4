"""Which units of a model carry a feature: labelled, ranked, tested on other documents."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from autointerp.activations.feature_ranking import rank_units
from autointerp.activations.token_examples import TokenSample, draw_tokens, read_tokens
from autointerp.core.errors import InputError
from autointerp.core.feature_probes import FeatureProbes
from autointerp.core.feature_search import ClassCounts, FeatureUnit, FindReport
from autointerp.core.ids import UnitId
from autointerp.core.one_line import joined
from autointerp.core.progress import Progress, SilentProgress
from autointerp.corpora.features import (
    HARD,
    NEGATIVE,
    POSITIVE,
    Feature,
    LabelledCorpus,
)
from autointerp.dictionary import Dictionary, open_dictionary
from autointerp.settings import Settings
from autointerp.statistics.probing.ranking import Measure
from autointerp.statistics.probing.sparse_probes import DEFAULT_KS, SweepOptions, check_ks
from autointerp.subjects import HookUnits, SubjectModel, load_subject, parse_units
from autointerp.wiring.find_probes import examples_of, probe_units
from autointerp.wiring.looked_for import LookedFor, config_of, labelling_of
from autointerp.wiring.units_beforehand import check_units_beforehand

N_LAYERS = 3
"""Hook points whose units are looked at more closely."""
N_CANDIDATES = 1024
"""Best units of these together, on which probes are fitted."""
_N_EACH = 2048
"""Tokens of either class that are recorded, at most, to fit on and to test on."""


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
    chosen = _measure(measure)
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
    options = _fitting(options, [len(group.indices) for group in parsed], ks)
    search = _FeatureSearch(model, parsed, chosen, n, options, progress)
    began = time.monotonic()
    labelled = label(config, model.tokenizer, progress)
    labelled.check()
    search.seconds["text"] = time.monotonic() - began
    report = search.run(labelled)
    if labels is not None:
        report = _with_labels(report, labels, model)
    return report


def _fitting(
    options: SweepOptions, n_units_each: Sequence[int], asked: Sequence[int] | None
) -> SweepOptions:
    """The options, with no size of the usual ones that is beyond the candidates there can be.

    Raises:
        InputError: a size that was asked for is.
    """
    n_units = min(N_CANDIDATES, sum(sorted(n_units_each)[-N_LAYERS:]))
    if asked:
        check_ks(options.ks, n_units)
    return replace(options, ks=tuple(k for k in options.ks if k <= n_units))


def _path(given: Path | str | None) -> Path | None:
    return None if given is None else Path(given).expanduser()


def _measure(name: str) -> Measure:
    for known in get_args(Measure):
        if name.replace("-", "_") == known:
            return known  # type: ignore[no-any-return]
    raise InputError(f"units are not ranked by {name}; use one of {', '.join(get_args(Measure))}")


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


@dataclass(frozen=True, slots=True, eq=False)
class _Recorded:
    """Drawn tokens and what units do at them."""

    sample: TokenSample
    lines: Mapping[tuple[str, int], NDArray[np.float32]]
    """Activations by hook point and index, shape (n_examples,)."""


class _FeatureSearch:
    """One feature, looked for in one model."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a search
        self,
        subject: SubjectModel,
        units: Sequence[HookUnits],
        measure: Measure,
        n: int,
        options: SweepOptions,
        progress: Progress,
    ) -> None:
        self._subject, self._units, self._measure = subject, tuple(units), measure
        self._n, self._options, self._progress = n, options, progress
        self.seconds: dict[str, float] = {}

    def run(self, labelled: LabelledCorpus) -> FindReport:
        """Ranks, records, probes and tests."""
        if labelled.corpus.n_ctx > self._subject.max_n_ctx:
            raise InputError(
                f"windows of {labelled.corpus.n_ctx} tokens do not fit {self._subject.name}, "
                f"which takes {self._subject.max_n_ctx}; lower --n-ctx"
            )
        with self._timed("rank"):
            (ranking,) = rank_units(
                self._subject,
                [labelled],
                self._units,
                measure=self._measure,
                progress=self._progress,
            )
        best = ranking.best(self._n)
        candidates = ranking.candidates(N_LAYERS, N_CANDIDATES) if self._options.ks else ()
        too_many = [str(k) for k in self._options.ks if k > len(candidates)]
        notes = labelled.notes
        if too_many and candidates:
            # The largest hook points were counted beforehand; these are the best ones.
            notes += (
                f"no probe of {joined(too_many)} units: the {N_LAYERS} hook points whose best unit "
                f"ranks highest have {len(candidates)}",
            )
        with self._timed("record"):
            tested = self._recorded(labelled, labelled.test, (*best, *candidates))
            fitted = self._recorded(labelled, labelled.train, candidates) if candidates else None
        probes = None
        if fitted is not None:
            with self._timed("probe"):
                self._progress.note(f"fitting probes on {len(candidates):,} units")
                probes = self._probed(candidates, fitted, tested)
        return FindReport(
            subject=self._subject.name,
            feature=labelled.name,
            marks=labelled.marks,
            hard=labelled.hard,
            corpus=labelled.corpus.id,
            measure=self._measure,
            n_units=sum(len(group.indices) for group in ranking.units),
            ranked=_counts(labelled, labelled.train),
            tested=_counts(labelled, labelled.test),
            units=ranking.found(best, tested.lines, tested.sample),
            layers=ranking.layers(),
            probes=probes,
            notes=notes,
            seconds=dict(self.seconds),
        )

    @contextmanager
    def _timed(self, stage: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self.seconds[stage] = time.monotonic() - began

    def _recorded(
        self, labelled: LabelledCorpus, windows: range, units: Sequence[tuple[str, int]]
    ) -> _Recorded:
        wanted: dict[str, list[int]] = {}
        for hook, index in dict.fromkeys(units):
            wanted.setdefault(hook, []).append(index)
        sample = draw_tokens(labelled, windows, n_each=_N_EACH, seed=self._options.seed)
        read = read_tokens(
            self._subject, labelled.corpus, sample.places, wanted, progress=self._progress
        )
        lines = {
            (hook, index): read[hook][:, column]
            for hook, own in wanted.items()
            for column, index in enumerate(own)
        }
        return _Recorded(sample, lines)

    def _probed(
        self, candidates: Sequence[tuple[str, int]], fitted: _Recorded, tested: _Recorded
    ) -> FeatureProbes:
        units = [UnitId(self._subject.name, hook, index) for hook, index in candidates]
        train, test = (
            examples_of(np.stack([one.lines[key] for key in candidates], axis=1), one.sample)
            for one in (fitted, tested)
        )
        ks = tuple(k for k in self._options.ks if k <= len(units))
        return probe_units(units, train, test, replace(self._options, ks=ks))


def _counts(labelled: LabelledCorpus, windows: range) -> ClassCounts:
    counts, corpus = labelled.counts(windows), labelled.corpus
    hard = counts.get(HARD, 0)
    return ClassCounts(
        n_positive=counts.get(POSITIVE, 0),
        n_negative=counts.get(NEGATIVE, 0) + hard,
        n_hard=hard,
        n_documents=len(np.unique(corpus.document_of[windows.start : windows.stop])),
    )
