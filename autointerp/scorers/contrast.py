"""Contrast: detection with the own explanation against detection with those of other units.

Every window is asked about twice, once with each. What both find equally easy, such as a short
window or a judge that tends to yes, cancels.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from autointerp.core.explanations import Explanation, PromptRef
from autointerp.core.scores import Score, ScorerResult, Trial
from autointerp.llm import ChatModel
from autointerp.scorers.detection import SMALL_VERSION, VERSION, Detection
from autointerp.scorers.llm_judge import derived_random, trials_of
from autointerp.scorers.scorer_inputs import Scorer, ScoringSet
from autointerp.scorers.scorer_spec import ScorerSpec, window_calls
from autointerp.scorers.verdict_replies import Verdict
from autointerp.scorers.window_verdicts import is_strong, judged_lists, what_activates
from autointerp.statistics.classification import paired_classification
from autointerp.statistics.judge_correction import CorrectedScores, corrected_scores, judge_errors

_NAMES = ("balanced_accuracy_over_others", "auroc_over_others")


class Contrast(Scorer):
    """Asks what detection asks, so what detection was answered is not paid again."""

    name = "contrast"

    def __init__(self, model: ChatModel, *, windows_per_call: int = 1) -> None:
        self._detection = Detection(model, windows_per_call=windows_per_call)

    @property
    @override
    def prompts(self) -> tuple[PromptRef, ...]:
        return self._detection.prompts

    @override
    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """How far balanced accuracy and AUROC lie above those of other units' explanations."""
        others = [e.text for e in windows.others if e.text != explanation.text]
        if not others:
            reason = "there is no other unit's explanation to compare with"
            scores = tuple(Score.undefined(name, reason) for name in _NAMES)
            return ScorerResult(self.name, explanation.text, scores, ())
        own, mismatched = await asyncio.gather(
            self._detection.answers(explanation.text, windows),
            self._mismatched(others, windows),
        )
        first = trials_of(windows, own)
        second = trials_of(windows, mismatched)
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
                what_activates(windows),
            ),
        )

    async def _mismatched(self, others: Sequence[str], windows: ScoringSet) -> list[Verdict]:
        """Answers with another unit's explanation at each window, each other used as often."""
        rng = derived_random(windows, self.name)
        order = rng.sample(range(len(windows.records)), len(windows.records))
        names = sorted(set(others))
        rng.shuffle(names)
        on_event = {windows.records[at].window: names[i % len(names)] for i, at in enumerate(order)}
        parts = {
            text: replace(
                windows, records=tuple(r for r in windows.records if on_event[r.window] == text)
            )
            for text in names
        }
        answers = await asyncio.gather(*(self._detection.answers(t, p) for t, p in parts.items()))
        result = {
            record.window: answer
            for part, replies in zip(parts.values(), answers, strict=True)
            for record, answer in zip(part.records, replies, strict=True)
        }
        return [result[record.window] for record in windows.records]


def _corrected(
    windows: ScoringSet, own: Sequence[Trial], mismatched: Sequence[Trial]
) -> CorrectedScores:
    """F1 and others over all text, corrected by the judge's errors on mismatched explanations."""
    judged = [trial for trial in own if trial.verdict is not None]
    verdicts, how = [bool(trial.verdict) for trial in judged], windows.resampling
    truths, strata, weights = judged_lists(windows, judged)
    return corrected_scores(
        verdicts, truths, judge_errors(mismatched), how, weights=weights, strata=strata
    )


def _differences(
    windows: ScoringSet, own: Sequence[Trial], mismatched: Sequence[Trial]
) -> tuple[Score, Score]:
    pairs = [
        (is_strong(record, windows), one, other)
        for record, one, other in zip(windows.records, own, mismatched, strict=True)
        if one.failure is None and other.failure is None
    ]
    truths, strata = [truth for truth, _, _ in pairs], [one.stratum for _, one, _ in pairs]
    message = ([bool(one.verdict) for _, one, _ in pairs], [bool(o.verdict) for _, _, o in pairs])
    accuracy = paired_classification(
        "balanced_accuracy", message, truths, strata, windows.resampling
    )
    known = ([one.probability for _, one, _ in pairs], [o.probability for _, _, o in pairs])
    if any(probability is None for side in known for probability in side):
        reason = "the endpoint gives no log-probabilities"
        return accuracy, Score.undefined(_NAMES[1], reason, n_windows=len(pairs))
    first, second = ([probability or 0.0 for probability in side] for side in known)
    area = paired_classification("auroc", (first, second), truths, strata, windows.resampling)
    return accuracy, area


SPEC = ScorerSpec(
    name=Contrast.name,
    build=lambda d: Contrast(d.model, windows_per_call=d.config.windows_per_call),
    headline=_NAMES[0],
    calls=window_calls(
        "detect",
        list_prompt="detect_many",
        n_each=2,
        version=VERSION,
        small_version=SMALL_VERSION,
    ),
    judges_windows=True,
    fewest_labels=2,
)
