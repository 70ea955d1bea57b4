"""One feature looked for among the units of one model: ranked, recorded, probed, tested."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from autointerp.activations.feature_probing import examples_of, probe_units
from autointerp.activations.feature_ranking import rank_units
from autointerp.activations.token_examples import TokenSample, draw_tokens, read_tokens
from autointerp.core.errors import InputError
from autointerp.core.feature_probes import FeatureProbes
from autointerp.core.feature_search import ClassCounts, FindReport
from autointerp.core.ids import UnitId
from autointerp.core.one_line import joined
from autointerp.core.progress import Progress
from autointerp.corpora.features import HARD, NEGATIVE, POSITIVE, LabelledCorpus
from autointerp.statistics.probing.ranking import Measure
from autointerp.statistics.probing.sparse_probes import SweepOptions, check_ks
from autointerp.subjects import HookUnits, SubjectModel

N_LAYERS = 3
"""Hook points whose units are looked at more closely."""
N_CANDIDATES = 1024
"""Best units of these together, on which probes are fitted."""
_N_EACH = 2048
"""Tokens of either class that are recorded, at most, to fit on and to test on."""


def measure_named(name: str) -> Measure:
    """What units are ranked by.

    Raises:
        InputError: something else.
    """
    for known in get_args(Measure):
        if name.replace("-", "_") == known:
            return known  # type: ignore[no-any-return]
    raise InputError(f"units are not ranked by {name}; use one of {', '.join(get_args(Measure))}")


def fitting_options(
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


@dataclass(frozen=True, slots=True, eq=False)
class _Recorded:
    """Drawn tokens and what units do at them."""

    sample: TokenSample
    lines: Mapping[tuple[str, int], NDArray[np.float32]]
    """Activations by hook point and index, shape (n_examples,)."""


class FeatureSearch:
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
            units=ranking.found(best, tested.lines, tested.sample, seed=self._options.seed),
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
