"""What a scorer is given, and what it is asked to do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from operator import is_
from typing import Protocol, Self

import numpy as np

from autointerp.core.errors import InputError
from autointerp.core.explanations import Explanation, PromptRef
from autointerp.core.identity_cache import cached_by_identity
from autointerp.core.ids import Side, UnitId
from autointerp.core.probe import UnitProbe
from autointerp.core.records import ActivationRecord, HeldOutSet, Stratum, ValidationSet
from autointerp.core.scores import Score, ScorerResult, Trial
from autointerp.core.seeds import derive_seed
from autointerp.llm import ChatModel
from autointerp.statistics.bootstrap import Resampling
from autointerp.statistics.population import sampled_scores, scores_of_each
from autointerp.statistics.proportional_sampling import proportional_sample
from autointerp.statistics.scored_windows import Floats, ScoredWindows, joined
from autointerp.statistics.sufficient_statistics import varies, window_sums

MOST_STRONG, _FEWEST_STRONG = 5, 3


@dataclass(frozen=True, slots=True)
class ScoringSet:
    """Windows with their strata, from the validation set or the held-out set."""

    unit: UnitId
    side: Side
    records: tuple[ActivationRecord, ...]
    strata: tuple[Stratum, ...]
    peak: float
    """Peak of the explain set, model units."""
    seed: int
    n_bootstrap: int = 1000
    confidence: float = 0.95
    fresh: bool = False
    """The replies in the cache were of no use before: ask anew."""
    others: tuple[Explanation, ...] = ()
    """Explanations of other units, the nearest unit's first."""
    probe: UnitProbe | None = None
    """Runs texts through the subject model, where it is at hand."""
    strong_level: int = MOST_STRONG
    """A window counts as activating from this level, where 10 is the explain set's peak."""

    @classmethod
    def of(  # noqa: PLR0913
        cls,
        windows: ValidationSet | HeldOutSet,
        *,
        seed: int,
        n_bootstrap: int,
        confidence: float,
        fresh: bool = False,
    ) -> ScoringSet:
        """The set of which an explanation is scored.

        Windows count as activating from half of the explain set's peak, or from the lower
        level that three of them reach, or a quarter: one text may be far above all others.
        """
        return cls(
            windows.unit,
            windows.side,
            windows.records,
            windows.strata,
            windows.peak,
            seed,
            n_bootstrap,
            confidence,
            fresh,
            strong_level=_strong_level(windows.records, windows.side, windows.peak),
        )

    @property
    def resampling(self) -> Resampling:
        """How intervals of scores on it are made."""
        return Resampling(self.n_bootstrap, self.confidence, self.seed)

    def first(self, n: int) -> ScoringSet:
        """A draw of n of the windows; each stands for more.

        Of windows that were drawn from all strata at once, a draw in proportion to their
        influence; of others the first n. The same n gives the same windows.
        """
        if n >= len(self.records):
            return self
        part = self._drawn(n)
        level = _strong_level(part.records, self.side, self.peak)
        return replace(part, strong_level=level)

    def _drawn(self, n: int) -> ScoringSet:
        if not all(stratum.joint for stratum in self.strata):
            return self._beginning(n)
        sizes = [record.weight * record.influence for record in self.records]
        drawn = proportional_sample(sizes, n, seed=derive_seed(self.seed, "draw", n))
        return self._with(
            [replace(self.records[i], weight=self.records[i].weight / p) for i, p in drawn]
        )

    def asked_about(self, trials: Sequence[Trial]) -> ScoringSet:
        """The part on which trials were asked, with the weights that they carry."""
        asked = [(trial.window, trial.weight) for trial in trials]
        if asked == [(record.window, record.weight) for record in self.records]:
            return self._with(self.records)
        weights = dict(asked)
        return self._with(
            [
                record
                if record.weight == weights[record.window]
                else replace(record, weight=weights[record.window])
                for record in self.records
                if record.window in weights
            ]
        )

    def _beginning(self, n: int) -> ScoringSet:
        part = self._with(self.records[:n])
        weights = {s.name: s.n_windows / s.n_sampled for s in part.strata if s.n_sampled}
        records = tuple(
            replace(record, weight=weights.get(record.stratum, record.weight))
            for record in part.records
        )
        return replace(part, records=records)

    def _with(self, records: Sequence[ActivationRecord]) -> ScoringSet:
        """Some of the windows; strata say how many of their windows these are."""
        n_drawn = Counter(record.stratum for record in records)
        strata = tuple(
            s if s.n_sampled == n_drawn[s.name] else replace(s, n_sampled=n_drawn[s.name])
            for s in self.strata
        )
        every = len(records) == len(self.records) and all(map(is_, records, self.records))
        if every and all(map(is_, strata, self.strata)):
            return self
        return replace(self, records=tuple(records), strata=strata)


def _strong_level(records: Sequence[ActivationRecord], side: Side, peak: float) -> int:
    peaks = sorted((record.peak(side) for record in records), reverse=True)
    if not peaks or peak <= 0:
        return MOST_STRONG
    reached = peaks[max(1, min(_FEWEST_STRONG, len(peaks) // 4)) - 1] / peak
    return max(1, min(MOST_STRONG, int(10 * reached)))


class Scorer(Protocol):
    """Judges an explanation on windows that the explainer has not seen."""

    @property
    def name(self) -> str:
        """``simulation``, ``detection``, ``rules``, ``lookup``."""

    @property
    def prompts(self) -> tuple[PromptRef, ...]:
        """Prompts it uses."""

    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """The scores, with every trial.

        Raises:
            UpstreamError: the LLM could not be used; nothing is scored.
        """


class LlmScorer(Scorer):
    """A scorer that puts all its questions to one LLM."""

    def __init__(self, model: ChatModel) -> None:
        self._model = model

    def asking(self, wrap: Callable[[ChatModel], ChatModel]) -> Self:
        """The same scorer, which asks a model around its own."""
        other = copy(self)
        other._model = wrap(self._model)
        return other


def judged_windows(windows: ScoringSet, trials: tuple[Trial, ...]) -> ScoredWindows:
    """Real and predicted activations of the side on every window with a prediction."""
    return _judged(windows.records, trials, windows.side.sign)


@cached_by_identity(16)
def _judged(
    every: tuple[ActivationRecord, ...], trials: tuple[Trial, ...], sign: int
) -> ScoredWindows:
    given = [(t.window, t.stratum, len(t.predicted or ())) for t in trials]
    if given == [(r.window, r.stratum, len(r.activations)) for r in every]:
        predicted = joined([trial.predicted or () for trial in trials])
        if np.isfinite(predicted).all():
            return _with_truth(every, sign).predicting(predicted)
    records = {record.window: record for record in every}
    judged = [trial for trial in trials if trial.predicted is not None]
    own = [records[trial.window] for trial in judged]
    return ScoredWindows.checked(
        [record.activations for record in own],
        [trial.predicted for trial in judged if trial.predicted is not None],
        [trial.stratum for trial in judged],
        [record.weight for record in own],
    ).rectified(sign)


@cached_by_identity(16)
def _with_truth(records: tuple[ActivationRecord, ...], sign: int) -> ScoredWindows:
    """The windows as if their activations had been predicted."""
    real = [record.activations for record in records]
    names, weights = [r.stratum for r in records], [r.weight for r in records]
    return ScoredWindows.checked(real, real, names, weights).rectified(sign)


def predicted_scores(windows: ScoringSet, trials: tuple[Trial, ...]) -> tuple[Score, ...]:
    """Every score of predicted activations; all undefined where no trial was judged."""
    judged = judged_windows(windows, trials)
    return sampled_scores(judged, windows.strata, windows.resampling)


def predicted_result(
    scorer: str, explanation: str, windows: ScoringSet, predictions: Sequence[Sequence[float]]
) -> ScorerResult:
    """The result of one prediction a window, none of which can fail.

    Raises:
        InputError: it does not predict one number a token.
    """
    lengths = [len(record.activations) for record in windows.records]
    if [len(values) for values in predictions] != lengths:
        raise InputError(
            f"{scorer} predicted {sum(map(len, predictions))} values in {len(predictions)} windows "
            f"of {len(lengths)} with {sum(lengths)} tokens; give one a token"
        )
    return predicted_results([Prediction(scorer, explanation, windows, joined(predictions))])[0]


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What is predicted for every window of a set, none of which can fail."""

    scorer: str
    explanation: str
    windows: ScoringSet
    values: Floats
    """Predicted activations, model units, one window after the other."""
    notes: tuple[str, ...] = ()

    @property
    def varies(self) -> bool:
        """Whether it tells any two tokens apart."""
        return varies(self.values)

    def trials(self) -> tuple[Trial, ...]:
        """A trial a window."""
        silent = _silent_trials(self.windows.records)
        lengths = np.array([len(trial.predicted or ()) for trial in silent], dtype=np.int64)
        ends, values = np.cumsum(lengths).tolist(), self.values.tolist()
        # Rules predict nothing in most windows, and a trial never changes.
        (told,) = window_sums(((self.values != 0) | np.signbit(self.values))[None], lengths)
        made = list(silent)
        for i in np.flatnonzero(told).tolist():
            trial, first = silent[i], ends[i - 1] if i else 0
            own = tuple(values[first : ends[i]])
            made[i] = Trial(trial.window, trial.stratum, trial.weight, own)
        return tuple(made)


@cached_by_identity(16)
def _silent_trials(records: tuple[ActivationRecord, ...]) -> tuple[Trial, ...]:
    """A trial a window in which no activation is predicted."""
    return tuple(
        [Trial(r.window, r.stratum, r.weight, (0.0,) * len(r.activations)) for r in records]
    )


def predicted_results(predictions: Sequence[Prediction]) -> list[ScorerResult]:
    """The result of each, in order; those of the same windows are scored together."""
    trials = [one.trials() for one in predictions]
    results: dict[int, ScorerResult] = {}
    for windows in {id(one.windows): one.windows for one in predictions}.values():
        places = [i for i, one in enumerate(predictions) if one.windows is windows]
        judged = [_judged_as(predictions[i], trials[i]) for i in places]
        scores = scores_of_each(judged, windows.strata, windows.resampling)
        for i, own in zip(places, scores, strict=True):
            one = predictions[i]
            results[i] = ScorerResult(one.scorer, one.explanation, own, trials[i], one.notes)
    return [results[i] for i in range(len(predictions))]


def _judged_as(prediction: Prediction, trials: tuple[Trial, ...]) -> ScoredWindows:
    """What `judged_windows` gives for these trials, from the array that they were made from."""
    records, sign = prediction.windows.records, prediction.windows.side.sign
    if not np.isfinite(prediction.values).all():
        return judged_windows(prediction.windows, trials)
    judged = _with_truth(records, sign).predicting(prediction.values)
    _judged.keep(judged, records, trials, sign)
    return judged
