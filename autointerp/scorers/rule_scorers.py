"""Scorers that need no LLM: token rules, the full token lookup table, and programs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from typing_extensions import override

from autointerp.core.errors import InputError
from autointerp.core.explanations import Explanation, PromptRef, TokenRule
from autointerp.core.records import MAX_LEVEL, TokenMeans
from autointerp.core.scores import ScorerResult
from autointerp.programs.language import n_windows_in_time, parse_program
from autointerp.scorers.scorer_inputs import Scorer, ScoringSet, predicted_result


class Rules(Scorer):
    """Predicts exactly what an explanation made of rules says, by program."""

    name = "rules"
    prompts: tuple[PromptRef, ...] = ()

    @override
    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """Scores of the rules' activations; 0 where no rule matches."""
        tables = rules_by_length(explanation.rules)
        predicted = [apply_rules(tables, record.token_ids) for record in windows.records]
        return predicted_result(self.name, explanation.text, windows, predicted)


class Lookup(Scorer):
    """The strong baseline: every token's mean activation over explain text."""

    name = "lookup"
    prompts: tuple[PromptRef, ...] = ()

    def __init__(self, means: TokenMeans) -> None:
        self._means = means

    @override
    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """Scores of the table, whatever the explanation says."""
        return predicted_result(
            self.name,
            "mean activation of each token over explain text",
            windows,
            [self._means.predict(record.token_ids) for record in windows.records],
        )


class Programs(Scorer):
    """Predicts exactly what a program says: ``level / 10`` of the explain set's peak."""

    name = "program"
    prompts: tuple[PromptRef, ...] = ()

    @override
    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        """Scores of the program's activations.

        Raises:
            InputError: the explanation is not a program, or its program cannot be read.
        """
        if explanation.program is None:
            msg = f"the explanation {explanation.text!r} is not a program; score it by simulation"
            raise InputError(msg)
        program = parse_program(explanation.program)
        lengths = [len(record.tokens) for record in windows.records]
        n = max(1, n_windows_in_time(program.n_steps, lengths))
        part = windows.first(n)
        predicted = [
            tuple(level / MAX_LEVEL * windows.peak for level in program.levels(record.tokens))
            for record in part.records
        ]
        result = predicted_result(self.name, explanation.text, part, predicted)
        why = f"scored on {n} of {len(lengths)} windows: its regular expressions could take long"
        return result if n >= len(lengths) else replace(result, notes=(why,))


def rules_by_length(rules: Sequence[TokenRule]) -> list[tuple[int, dict[tuple[int, ...], float]]]:
    """(number of tokens, activation by tokens), shortest first."""
    result: dict[int, dict[tuple[int, ...], float]] = {}
    for rule in rules:
        result.setdefault(len(rule.tokens), {})[rule.tokens] = rule.activation
    return sorted(result.items())


def apply_rules(
    by_length: Sequence[tuple[int, dict[tuple[int, ...], float]]], token_ids: Sequence[int]
) -> tuple[float, ...]:
    """Predicted activation per token, model units: the longest rule that ends there, else 0."""
    predicted = [0.0] * len(token_ids)
    for n, table in by_length:
        result = map(table.get, zip(*(token_ids[i:] for i in range(n)), strict=False))
        for end, value in enumerate(result, start=n - 1):
            if value is not None:
                predicted[end] = value
    return tuple(predicted)
