"""Input test (Gur-Arieh et al. 2025): does the unit tell texts that should activate it apart?"""

from __future__ import annotations

from statistics import fmean

from typing_extensions import override

from autointerp.core.scores import Score
from autointerp.core.variants import Need
from autointerp.llm import ChatModel
from autointerp.scorers.scorer_inputs import ScoringSet
from autointerp.scorers.scorer_spec import ScorerSpec, writing_calls
from autointerp.scorers.written_texts import RunTexts, WrittenTextsScorer
from autointerp.statistics.closed_form_intervals import welch_interval


class InputTest(WrittenTextsScorer):
    """Asks an LLM for texts by the explanation and runs the subject model on them."""

    name = "input_test"
    score_names = ("difference", "passed")

    def __init__(self, model: ChatModel, *, n_texts: int = 5) -> None:
        """Writes so many texts that should activate the unit, at least 2, and as many others."""
        super().__init__(model, "input_test", n_texts, fewest=2)

    @override
    def compare(
        self, tried: RunTexts, windows: ScoringSet
    ) -> tuple[tuple[Score, ...], tuple[str, ...]]:
        """``difference`` of the mean peaks, in explain peaks, and ``passed``, 1 where above 0."""
        should = [peak / windows.peak for peak in tried.should]
        should_not = [peak / windows.peak for peak in tried.should_not]
        n = len(should) + len(should_not)
        value = fmean(should) - fmean(should_not)
        low, high = welch_interval(should, should_not, confidence=windows.confidence)
        difference = Score("difference", value, low, high, n, None)
        passed = Score("passed", float(value > 0), None, None, n, None)
        up, down = fmean(tried.should) / windows.peak, fmean(tried.should_not) / windows.peak
        note = (
            f"mean peak {up:.2f} on {self._n} texts that should activate it, "
            f"{down:.2f} on {self._n} others"
        )
        return (difference, passed), (note,)


SPEC = ScorerSpec(
    name=InputTest.name,
    aliases=("input_based",),
    build=lambda d: InputTest(d.model),
    headline="difference",
    calls=writing_calls("input_test", 10),
    needs=frozenset({Need.LLM, Need.SUBJECT}),
)
