"""Input test (Gur-Arieh et al. 2025): does the unit tell texts that should activate it apart?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, variance

from autointerp.core.errors import InputError
from autointerp.core.explanations import Explanation, PromptRef
from autointerp.core.scores import Score, ScorerResult
from autointerp.llm import ChatModel
from autointerp.scorers.scorer_inputs import ScoringSet
from autointerp.scorers.written_texts import NO_PROBE, TriedTexts, try_texts
from autointerp.statistics.intervals import t_quantile
from autointerp.templates import load_template


class InputTest:
    """Asks an LLM for texts by the explanation and runs the subject model on them."""

    name = "input_test"

    def __init__(self, model: ChatModel, *, n_texts: int = 5) -> None:
        """Takes the LLM.

        Args:
            model: writes the texts.
            n_texts: texts that should activate the unit, and as many that should not; at least 2.
        """
        if n_texts < 2:
            msg = f"an input test needs at least 2 texts of each kind, found {n_texts}"
            raise InputError(msg)
        self._model, self._n = model, n_texts
        self._template = load_template("input_test", "v1")

    @property
    def prompts(self) -> tuple[PromptRef, ...]:
        """The prompt that asks for texts."""
        return (self._template.ref,)

    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """``difference`` of the mean peaks, in explain peaks, and ``passed``, 1 where above 0."""
        if windows.probe is None:
            scores = tuple(Score.undefined(name, NO_PROBE) for name in ("difference", "passed"))
            return ScorerResult(self.name, explanation.text, scores, ())
        tried = await try_texts(
            self._model,
            self._template,
            explanation.text,
            windows,
            probe=windows.probe,
            n=self._n,
        )
        return ScorerResult(
            scorer=self.name,
            explanation=explanation.text,
            scores=_scores(tried, windows),
            trials=tried.trials,
            notes=_notes(tried, windows),
        )


def _scores(tried: TriedTexts, windows: ScoringSet) -> tuple[Score, Score]:
    if tried.failure:
        reason = f"no texts were written: {tried.failure}"
        return Score.undefined("difference", reason), Score.undefined("passed", reason)
    should = [peak / windows.peak for peak in tried.should]
    should_not = [peak / windows.peak for peak in tried.should_not]
    n = len(should) + len(should_not)
    value = fmean(should) - fmean(should_not)
    low, high = _welch(value, should, should_not, windows.confidence)
    passed = Score("passed", float(value > 0), None, None, n, None)
    return Score("difference", value, low, high, n, None), passed


def _welch(
    value: float, first: Sequence[float], second: Sequence[float], confidence: float
) -> tuple[float | None, float | None]:
    """Welch's interval of a difference of means; none where nothing varies."""
    parts = [(variance(sample) / len(sample), len(sample) - 1) for sample in (first, second)]
    total = sum(part for part, _ in parts)
    if total <= 0:
        return None, None
    df = 1 / sum((part / total) ** 2 / freedom for part, freedom in parts)
    reach = t_quantile(confidence, df) * math.sqrt(total)
    return value - reach, value + reach


def _notes(tried: TriedTexts, windows: ScoringSet) -> tuple[str, ...]:
    if tried.failure:
        return ()
    up, down = fmean(tried.should) / windows.peak, fmean(tried.should_not) / windows.peak
    n = len(tried.should)
    return (f"mean peak {up:.2f} on {n} texts that should activate it, {down:.2f} on {n} others",)
