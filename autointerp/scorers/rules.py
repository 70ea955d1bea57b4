"""Scorers that need no LLM: rules applied by a program, and the full token lookup table."""

from __future__ import annotations

from collections.abc import Sequence

from autointerp.core.explanations import Explanation, PromptRef, TokenRule
from autointerp.core.records import TokenMeans
from autointerp.core.scores import ScorerResult, Trial
from autointerp.scorers.evidence import ScoringSet, predicted_scores

__all__ = ["Lookup", "Rules", "apply_rules"]


class Rules:
    """Predicts exactly what an explanation made of rules says, by program."""

    name = "rules"
    prompts: tuple[PromptRef, ...] = ()

    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """Scores of the rules' activations; 0 where no rule matches."""
        return _result(
            self.name,
            explanation.text,
            windows,
            [apply_rules(explanation.rules, record.token_ids) for record in windows.records],
        )


class Lookup:
    """The strong baseline: every token's mean activation over explain text."""

    name = "lookup"
    prompts: tuple[PromptRef, ...] = ()

    def __init__(self, means: TokenMeans) -> None:
        self._means = means

    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:  # noqa: ARG002
        """Scores of the table, whatever the explanation says."""
        return _result(
            self.name,
            "mean activation of each token over explain text",
            windows,
            [self._means.predict(record.token_ids) for record in windows.records],
        )


def apply_rules(rules: Sequence[TokenRule], token_ids: Sequence[int]) -> tuple[float, ...]:
    """Predicted activation per token, model units: the longest rule that ends there, else 0."""
    table = {rule.tokens: rule.activation for rule in rules}
    longest = max((len(rule.tokens) for rule in rules), default=0)
    predicted = []
    for end in range(1, len(token_ids) + 1):
        matches = (
            table.get(tuple(token_ids[end - n : end])) for n in range(min(longest, end), 0, -1)
        )
        predicted.append(next((value for value in matches if value is not None), 0.0))
    return tuple(predicted)


def _result(
    scorer: str, explanation: str, windows: ScoringSet, predictions: Sequence[tuple[float, ...]]
) -> ScorerResult:
    trials = tuple(
        Trial(
            window=record.window,
            stratum=record.stratum,
            weight=record.weight,
            predicted=predicted,
            verdict=None,
            probability=None,
            failure=None,
        )
        for record, predicted in zip(windows.records, predictions, strict=True)
    )
    return ScorerResult(scorer, explanation, predicted_scores(windows, trials), trials)
