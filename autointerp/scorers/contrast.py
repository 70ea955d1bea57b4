"""Contrast: detection with the own explanation against detection with those of other units.

Every window is asked about twice, once with each. What both find equally easy, such as a short
window or a judge that tends to yes, cancels.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from autointerp.core.explanations import Explanation, PromptRef
from autointerp.core.scores import Score, ScorerResult, Trial
from autointerp.llm import ChatModel
from autointerp.scorers.detection import Detection
from autointerp.scorers.llm_judge import (
    STRONG,
    Verdict,
    derived_random,
    is_strong,
    judged_weights,
    trial_of,
)
from autointerp.scorers.scorer_inputs import ScoringSet
from autointerp.statistics.bootstrap import named_groups, replicate, without_singles
from autointerp.statistics.judge_correction import CorrectedScores, corrected_scores, judge_errors
from autointerp.statistics.scored_windows import Floats
from autointerp.statistics.sufficient_statistics import rank_area

_NAMES = ("balanced_accuracy_over_others", "auroc_over_others")


class Contrast:
    """Asks what detection asks, so what detection was answered is not paid again."""

    name = "contrast"

    def __init__(self, model: ChatModel, *, windows_per_call: int = 1) -> None:
        """Asks one window at a time, or several in a numbered list."""
        self._detection = Detection(model, windows_per_call=windows_per_call)

    @property
    def prompts(self) -> tuple[PromptRef, ...]:
        """The detection prompt."""
        return self._detection.prompts

    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """How far balanced accuracy and AUROC lie above those of other units' explanations."""
        others = [e.text for e in windows.others if e.text != explanation.text]
        if not others:
            reason = "there is no other unit's explanation to compare with"
            scores = tuple(Score.undefined(name, reason) for name in _NAMES)
            return ScorerResult(self.name, explanation.text, scores, ())
        own, foreign = await asyncio.gather(
            self._detection.answers(explanation.text, windows),
            self._foreign(others, windows),
        )
        first = _trials(windows, own)
        second = _trials(windows, foreign)
        corrected = _corrected(windows, first, second)
        return ScorerResult(
            scorer=self.name,
            explanation=explanation.text,
            scores=(*_differences(windows, first, second), *corrected.scores),
            trials=first + second,
            notes=(
                *corrected.notes,
                f"the first {len(first)} trials are of this explanation, the others of "
                f"{len(set(others))} other units' explanations, dealt out at random",
                f"a window activates where its peak is at least {STRONG:.0%} of the greatest",
            ),
        )

    async def _foreign(self, others: Sequence[str], windows: ScoringSet) -> list[Verdict]:
        """Answers with another unit's explanation at each window, each other used as often."""
        rng = derived_random(windows, self.name)
        order = rng.sample(range(len(windows.records)), len(windows.records))
        names = sorted(set(others))
        rng.shuffle(names)
        told = {windows.records[at].window: names[i % len(names)] for i, at in enumerate(order)}
        parts = {
            text: replace(
                windows, records=tuple(r for r in windows.records if told[r.window] == text)
            )
            for text in names
        }
        answers = await asyncio.gather(*(self._detection.answers(t, p) for t, p in parts.items()))
        found = {
            record.window: answer
            for part, replies in zip(parts.values(), answers, strict=True)
            for record, answer in zip(part.records, replies, strict=True)
        }
        return [found[record.window] for record in windows.records]


def _trials(windows: ScoringSet, answers: Sequence[Verdict]) -> tuple[Trial, ...]:
    return tuple(trial_of(r, a) for r, a in zip(windows.records, answers, strict=True))


def _corrected(
    windows: ScoringSet, own: Sequence[Trial], foreign: Sequence[Trial]
) -> CorrectedScores:
    """F1 and others over all text, corrected for the judge's errors on foreign explanations."""
    judged = [trial for trial in own if trial.verdict is not None]
    strong = {record.window: is_strong(record, windows) for record in windows.records}
    return corrected_scores(
        [bool(trial.verdict) for trial in judged],
        [strong[trial.window] for trial in judged],
        judge_errors(foreign),
        windows.resampling,
        weights=judged_weights(windows, judged),
        strata=[trial.stratum for trial in judged],
    )


def _differences(
    windows: ScoringSet, own: Sequence[Trial], foreign: Sequence[Trial]
) -> tuple[Score, Score]:
    """Both differences over the windows that were judged with either explanation."""
    truths, pairs = [], []
    for record, one, other in zip(windows.records, own, foreign, strict=True):
        if one.failure is None and other.failure is None:
            truths.append(is_strong(record, windows))
            pairs.append((one, other))
    paired = _Paired(np.array(truths, dtype=bool), [one.stratum for one, _ in pairs], windows)
    said = [[float(bool(trial.verdict)) for trial in side] for side in zip(*pairs, strict=True)]
    accuracy = paired.difference(_NAMES[0], said, _balanced)
    if any(trial.probability is None for pair in pairs for trial in pair):
        reason = "the endpoint gives no log-probabilities"
        return accuracy, Score.undefined(_NAMES[1], reason, n_windows=len(pairs))
    known = [[trial.probability or 0.0 for trial in side] for side in zip(*pairs, strict=True)]
    return accuracy, paired.difference(_NAMES[1], known, _area)


# Answers above and below all others, to windows of both classes that were not seen.
_UNSEEN_ANSWERS = np.array([2.0, -1.0, 2.0, -1.0])
_UNSEEN_TRUTHS = np.array([True, True, False, False])


@dataclass(frozen=True, slots=True)
class _Paired:
    """Windows that were judged twice."""

    truths: np.ndarray[tuple[int], np.dtype[np.bool_]]
    strata: list[str]
    windows: ScoringSet

    def difference(
        self,
        name: str,
        answers: Sequence[Sequence[float]],
        metric: Callable[[Floats, Floats, Floats], Floats],
    ) -> Score:
        """The metric of the first answers minus that of the second, resampled together.

        As for a single score, each resample also adds right and wrong answers that were not
        seen, so that a judge which was always right is not promised to stay so.
        """
        n = len(self.truths)
        if not self.truths.any() or self.truths.all():
            kind = "truly silent" if n and self.truths.any() else "that truly activates"
            return Score.undefined(name, f"no window {kind} was judged twice", n_windows=n)
        both = [np.concatenate([side, _UNSEEN_ANSWERS]) for side in answers]
        truths = np.concatenate([self.truths, _UNSEEN_TRUTHS])
        how = self.windows.resampling
        rng = np.random.default_rng([how.seed, 1])

        def estimate(counts: Floats, unseen: Floats) -> Floats:
            values = []
            for i, side in enumerate(both):
                mass = np.concatenate([counts, unseen[:, i]], axis=1)
                with np.errstate(divide="ignore", invalid="ignore"):
                    values.append(metric(side, mass * truths, mass * ~truths))
            return np.asarray(values[0] - values[1])

        def twice(counts: Floats) -> Floats:
            none = np.zeros((len(counts), 2, 4))
            added = rng.gamma(0.5, size=none.shape)
            return np.stack([estimate(counts, none), estimate(counts, added)], axis=1)

        value = float(estimate(np.ones((1, n)), np.zeros((1, 2, 4)))[0])
        found = replicate(without_singles(named_groups(self.strata)), twice, how)
        tail = (1.0 - how.confidence) / 2
        ends = [value]
        for column in found.T:
            # Without the unseen ones a resample may lack a class, and has no value then.
            defined = column[np.isfinite(column)]
            ends += np.quantile(defined, [tail, 1.0 - tail]).tolist() if len(defined) else []
        low, high = np.clip([min(ends), max(ends)], -1.0, 1.0).tolist()
        return Score(name, value, low, high, n, None)


def _balanced(verdicts: Floats, up: Floats, down: Floats) -> Floats:
    said = verdicts > 0
    found = (up * said).sum(-1) / up.sum(-1)
    refused = (down * ~said).sum(-1) / down.sum(-1)
    return np.asarray((found + refused) / 2)


def _area(probabilities: Floats, up: Floats, down: Floats) -> Floats:
    order = np.argsort(probabilities, kind="stable")
    starts = np.flatnonzero(np.diff(probabilities[order], prepend=-np.inf)).tolist()
    pairs = rank_area(up[..., order], down[..., order], starts)
    return np.asarray(pairs / (up.sum(-1) * down.sum(-1)))
