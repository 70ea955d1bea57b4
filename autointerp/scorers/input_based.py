"""Input test (Gur-Arieh et al. 2025): does the unit tell texts that should activate it apart?"""

from __future__ import annotations

from statistics import fmean

from autointerp.core.errors import InputError
from autointerp.core.explanations import Explanation, PromptRef
from autointerp.core.scores import Score, ScorerResult
from autointerp.core.variants import Need
from autointerp.llm import ChatModel
from autointerp.scorers.scorer_inputs import ScoringSet
from autointerp.scorers.scorer_spec import ScorerSpec, writing_calls
from autointerp.scorers.written_texts import NO_PROBE, TriedTexts, try_texts
from autointerp.statistics.intervals import welch_interval
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
    low, high = welch_interval(should, should_not, confidence=windows.confidence)
    passed = Score("passed", float(value > 0), None, None, n, None)
    return Score("difference", value, low, high, n, None), passed


def _notes(tried: TriedTexts, windows: ScoringSet) -> tuple[str, ...]:
    if tried.failure:
        return ()
    up, down = fmean(tried.should) / windows.peak, fmean(tried.should_not) / windows.peak
    n = len(tried.should)
    return (f"mean peak {up:.2f} on {n} texts that should activate it, {down:.2f} on {n} others",)


SPEC = ScorerSpec(
    name=InputTest.name,
    aliases=("input_based",),
    build=lambda d: InputTest(d.model),
    headline="difference",
    calls=writing_calls("input_test", 10),
    needs=frozenset({Need.LLM, Need.SUBJECT}),
)
