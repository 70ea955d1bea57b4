"""Scorers that need no LLM: token rules, the full token lookup table, and programs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from autointerp.core.errors import InputError
from autointerp.core.explanations import Explanation, PromptRef, TokenRule
from autointerp.core.identity_cache import cached_by_identity
from autointerp.core.records import MAX_LEVEL, ActivationRecord, TokenMeans
from autointerp.core.scores import ScorerResult
from autointerp.programs.language import n_windows_in_time, parse_program
from autointerp.scorers.scorer_inputs import (
    Prediction,
    Scorer,
    ScoringSet,
    judged_windows,
    predicted_results,
)
from autointerp.statistics.population import population_value
from autointerp.statistics.scored_windows import Floats, joined

Ints = NDArray[np.int64]


class FreeScorer(Scorer):
    """Predicts activations by program, and asks nobody."""

    prompts: tuple[PromptRef, ...] = ()

    def predict(self, explanation: Explanation, windows: ScoringSet) -> Prediction:
        """What it predicts.

        Raises:
            InputError: the explanation is of another kind.
        """
        raise NotImplementedError

    @override
    async def score(self, explanation: Explanation, windows: ScoringSet) -> ScorerResult:
        return predicted_results([self.predict(explanation, windows)])[0]


class Rules(FreeScorer):
    """Predicts exactly what an explanation made of rules says, by program."""

    name = "rules"

    @override
    def predict(self, explanation: Explanation, windows: ScoringSet) -> Prediction:
        """The rules' activations; 0 where no rule matches."""
        ids, lengths = token_ids(windows.records)
        predicted = apply_rules(explanation.rules, ids, lengths)
        return Prediction(self.name, explanation.text, windows, predicted)


class Lookup(FreeScorer):
    """The strong baseline: every token's mean activation over explain text."""

    name = "lookup"

    def __init__(self, means: TokenMeans) -> None:
        self._means = means

    @override
    def predict(self, explanation: Explanation, windows: ScoringSet) -> Prediction:
        """The table's means, whatever the explanation says."""
        return self._predicted(windows)

    def value(self, windows: ScoringSet) -> float | None:
        """The population score alone, without its interval; None where it is undefined."""
        judged = judged_windows(windows, self._predicted(windows).trials())
        return population_value(judged, windows.strata)

    def _predicted(self, windows: ScoringSet) -> Prediction:
        ids, _ = token_ids(windows.records)
        known, values, _ = (np.asarray(column) for column in self._means.columns())
        table = np.full(1 + max(known.max(initial=0), ids.max(initial=0)), self._means.overall)
        table[known] = values
        what = "mean activation of each token over explain text"
        return Prediction(self.name, what, windows, table[ids])


class Programs(FreeScorer):
    """Predicts exactly what a program says: ``level / 10`` of the explain set's peak."""

    name = "program"

    @override
    def predict(self, explanation: Explanation, windows: ScoringSet) -> Prediction:
        """The program's activations.

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
        predicted = joined(
            [
                [level / MAX_LEVEL * windows.peak for level in program.levels(record.tokens)]
                for record in part.records
            ]
        )
        why = f"scored on {n} of {len(lengths)} windows: its regular expressions could take long"
        notes = () if n >= len(lengths) else (why,)
        return Prediction(self.name, explanation.text, part, predicted, notes)


@cached_by_identity(16)
def token_ids(records: tuple[ActivationRecord, ...]) -> tuple[Ints, Ints]:
    """Vocabulary ids of all windows, one after the other, and how many each has."""
    lengths = np.array([len(record.token_ids) for record in records], dtype=np.int64)
    every = itertools.chain.from_iterable(record.token_ids for record in records)
    return np.fromiter(every, np.int64, lengths.sum()), lengths


def apply_rules(rules: Sequence[TokenRule], ids: Ints, lengths: Ints) -> Floats:
    """Predicted activation per token, model units: the longest rule that ends there, else 0.

    The tokens are those of windows of these lengths, one after the other.
    """
    place = np.arange(len(ids)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    table = np.zeros(1 + ids.max(initial=0))
    for rule in rules:
        if len(rule.tokens) == 1 and 0 <= rule.tokens[0] < len(table):
            table[rule.tokens[0]] = rule.activation
    result = table[ids]
    for rule in sorted(rules, key=lambda rule: len(rule.tokens)):
        n = len(rule.tokens)
        if n > 1:
            ends = np.flatnonzero((ids == rule.tokens[-1]) & (place >= n - 1))
            for back, token in enumerate(reversed(rule.tokens)):
                ends = ends[ids[ends - back] == token]
            result[ends] = rule.activation
    return result
