"""Whether an LLM answered anything at all, over many units."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from autointerp.core.scores import ScorerResult
from autointerp.core.variants import Need
from autointerp.pipeline.unit_input import Selection
from autointerp.scorers import SCORERS

_ASKING = frozenset(spec.name for spec in SCORERS if Need.LLM in spec.needs)


@dataclass(slots=True)
class LlmAnswers:
    """What became of the questions to an LLM. Rules that stand in for it count for nothing."""

    has_answered: bool = False
    """Whether one was answered readably."""
    first_failure: str | None = None

    @property
    def failure(self) -> str | None:
        """Why the first question failed, where all of them did; None where one was answered."""
        return None if self.has_answered else self.first_failure

    def add_selection(self, selection: Selection) -> None:
        """Counts the answers of explainers."""
        written = any(c.explanation.model is not None for c in selection.candidates)
        self.has_answered |= written or selection.found_no_pattern
        if selection.failures and self.first_failure is None:
            self.first_failure = selection.failures[0]

    def add_results(self, results: Iterable[ScorerResult]) -> None:
        """Counts the answers to scorers."""
        for result in results:
            if result.scorer.removesuffix("_null") in _ASKING:
                self.has_answered |= result.n_judged > 0
                if result.failure is not None and self.first_failure is None:
                    self.first_failure = f"{result.scorer}: {result.failure}"
