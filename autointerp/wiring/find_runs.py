"""Which units of a model carry a feature: labelled, ranked, tested on other documents."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import get_args

import numpy as np
from pydantic import ValidationError

from autointerp.activations.feature_ranking import FeatureRanking, rank_units
from autointerp.activations.token_examples import draw_tokens, read_tokens
from autointerp.core.config import CorpusConfig
from autointerp.core.errors import InputError, first_problem
from autointerp.core.feature_search import ClassCounts, FindReport, FoundUnit
from autointerp.core.progress import Progress, SilentProgress
from autointerp.core.text import TextTokenizer
from autointerp.corpora import check_corpus
from autointerp.corpora.features import (
    HARD,
    NEGATIVE,
    POSITIVE,
    Feature,
    LabelledCorpus,
    feature_named,
    label_corpus,
    label_examples,
    read_dataset,
    read_examples,
    regex_feature,
)
from autointerp.dictionary import Dictionary, open_dictionary
from autointerp.settings import Settings
from autointerp.statistics.probing.ranking import Measure
from autointerp.subjects import HookUnits, SubjectModel, load_subject, parse_units
from autointerp.wiring.units_beforehand import check_units_beforehand

N_LAYERS = 3
"""Hook points whose units are looked at more closely."""
N_CANDIDATES = 1024
"""Best units of each of these."""
_N_EACH = 2048
"""Tokens of either class that are recorded, at most, to test on."""


@dataclass(frozen=True, slots=True)
class LookedFor:
    """What is looked for; one of the four ways to say it."""

    feature: str | None = None
    """Name of a ready feature."""
    regex: str | None = None
    """A regular expression: tokens that overlap a match."""
    positive: Path | None = None
    """Texts with the feature, one a line; `negative` likewise without it."""
    negative: Path | None = None
    dataset: Path | None = None
    """JSON lines of texts with labels."""


Labelling = Callable[[CorpusConfig, TextTokenizer, Progress], LabelledCorpus]


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
        dictionary: what calls the units by their labels.
        seed: of the documents and of the tokens that are drawn.
        settings: from the environment where None.
        progress: told about every stage.

    Raises:
        InputError: something cannot be done as asked.
    """
    settings, progress = settings or Settings(), progress or SilentProgress()
    given = [_path(one) for one in (positive, negative, dataset)]
    name, own = (None, feature) if isinstance(feature, Feature) else (feature, None)
    looked_for = LookedFor(name, regex, *given)
    text, label = _labelling(looked_for, own, corpus)
    config = _config(text, tokens, n_ctx, seed, is_given=own is None and name is None and not regex)
    chosen = _measure(measure)
    if n < 1:
        raise InputError(f"n is how many of the best units are told; {n} is below 1")
    if isinstance(subject, str):
        check_units_beforehand(units, subject, settings)
    labels = _opened(dictionary)
    model = _subject(subject, settings, progress)
    search = _Search(model, parse_units(units, model, seed=seed), chosen, n, seed, progress)
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


def _labelling(
    looked_for: LookedFor, feature: Feature | None, corpus: str | None
) -> tuple[str, Labelling]:
    """The name of the text and what labels it; all is read that needs no tokenizer.

    Raises:
        InputError: nothing, or more than one thing, is looked for; or it cannot be read.
    """
    ways = {
        "--feature": looked_for.feature or feature,
        "--regex": looked_for.regex,
        "--positive with --negative": looked_for.positive or looked_for.negative,
        "--dataset": looked_for.dataset,
    }
    there = [way for way, value in ways.items() if value]
    if len(there) != 1:
        found = " and ".join(there) if there else "none of them"
        raise InputError(f"what is looked for? Give one of {', '.join(ways)}; found {found}")
    if there[0] in {"--feature", "--regex"}:
        if feature is None:
            feature = (
                feature_named(looked_for.feature)
                if looked_for.feature
                else regex_feature(looked_for.regex or "")
            )
        text = corpus or feature.corpus
        check_corpus(text)
        wanted = feature
        return text, lambda config, tokenizer, progress: label_corpus(
            config, wanted, tokenizer, progress=progress
        )
    if corpus is not None:
        raise InputError(f"{there[0]} brings its own text; leave --corpus {corpus} out")
    if looked_for.dataset is not None:
        examples, name = read_dataset(looked_for.dataset), looked_for.dataset.name
    elif looked_for.positive is None or looked_for.negative is None:
        other = "--negative" if looked_for.negative is None else "--positive"
        raise InputError(f"texts of one class were given only; add {other} FILE with the others")
    else:
        examples = read_examples(looked_for.positive, looked_for.negative)
        name = f"{looked_for.positive.name} and {looked_for.negative.name}"
    return name, lambda config, tokenizer, _progress: label_examples(examples, config, tokenizer)


def _config(text: str, n_tokens: int, n_ctx: int, seed: int, *, is_given: bool) -> CorpusConfig:
    # Given texts are few: each part gets enough of them to say something.
    shares = {"explain": 0.4, "validation": 0.2} if is_given else {}
    try:
        return CorpusConfig(corpus=text, n_tokens=n_tokens, n_ctx=n_ctx, seed=seed, **shares)
    except ValidationError as error:
        raise InputError(first_problem(error, whole="the text")) from error


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


def _labelled(unit: FoundUnit, labels: Dictionary) -> FoundUnit:
    label = labels.label_without_trials(unit.unit, unit.side)
    return (
        unit
        if label is None
        else replace(unit, label=None if label.explanation is None else label.explanation.text)
    )


class _Search:
    """One feature, looked for in one model."""

    def __init__(  # noqa: PLR0913, PLR0917 - the parts of a search
        self,
        subject: SubjectModel,
        units: Sequence[HookUnits],
        measure: Measure,
        n: int,
        seed: int,
        progress: Progress,
    ) -> None:
        self._subject, self._units, self._measure = subject, tuple(units), measure
        self._n, self._seed, self._progress = n, seed, progress
        self.seconds: dict[str, float] = {}

    def run(self, labelled: LabelledCorpus) -> FindReport:
        """Ranks, records and tests."""
        if labelled.corpus.n_ctx > self._subject.max_n_ctx:
            raise InputError(
                f"windows of {labelled.corpus.n_ctx} tokens do not fit {self._subject.name}, "
                f"which takes {self._subject.max_n_ctx}; lower --n-ctx"
            )
        began = time.monotonic()
        ranking = rank_units(
            self._subject, labelled, self._units, measure=self._measure, progress=self._progress
        )
        ranked = time.monotonic()
        units = self._tested(ranking, labelled)
        self.seconds |= {"rank": ranked - began, "test": time.monotonic() - ranked}
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
            units=units,
            layers=ranking.layers(),
            notes=labelled.notes,
            seconds=dict(self.seconds),
        )

    def _tested(self, ranking: FeatureRanking, labelled: LabelledCorpus) -> tuple[FoundUnit, ...]:
        best = ranking.best(self._n)
        indices = {group.hook: group.indices for group in ranking.units}
        wanted: dict[str, list[int]] = {}
        for hook, place in best:
            wanted.setdefault(hook, []).append(indices[hook][place])
        sample = draw_tokens(labelled, labelled.test, n_each=_N_EACH, seed=self._seed)
        read = read_tokens(
            self._subject, labelled.corpus, sample.places, wanted, progress=self._progress
        )
        columns = {
            hook: {index: read[hook][:, column] for column, index in enumerate(own)}
            for hook, own in wanted.items()
        }
        return ranking.found(best, columns, sample)


def _counts(labelled: LabelledCorpus, windows: range) -> ClassCounts:
    counts, corpus = labelled.counts(windows), labelled.corpus
    hard = counts.get(HARD, 0)
    return ClassCounts(
        n_positive=counts.get(POSITIVE, 0),
        n_negative=counts.get(NEGATIVE, 0) + hard,
        n_hard=hard,
        n_documents=len(np.unique(corpus.document_of[windows.start : windows.stop])),
    )
