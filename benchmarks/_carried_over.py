"""Predictions for text that nobody was asked about: of each token the mean of what was said of it.

The neuron's activations on that text cost a forward pass and no LLM. What a label says of a token
only in some contexts is lost; most of its mistakes at single places are, too.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from _cheaper_words import as_lines, called
from _scoring_plans import ALL, Form, Labelled, rescored, words

from autointerp.core.scores import Trial
from autointerp.scorers import ScoringSet


def _means(
    windows: ScoringSet, trials: Iterable[Trial]
) -> Callable[[Sequence[str]], tuple[float, ...]]:
    tokens_of = {record.window: record.tokens for record in windows.records}
    said: defaultdict[str, list[float]] = defaultdict(list)
    for trial in trials:
        if trial.predicted is not None and trial.window in tokens_of:
            for token, level in zip(tokens_of[trial.window], trial.predicted, strict=True):
                said[token].append(level)
    means = {token: sum(levels) / len(levels) for token, levels in said.items()}
    return lambda tokens: tuple(means.get(token, 0.0) for token in tokens)


def _everywhere(label: Labelled, windows: ScoringSet, trials: Sequence[Trial]) -> float:
    return label.text.correlation(windows.unit, windows.side, _means(windows, trials))


def _drawn(label: Labelled, windows: ScoringSet, trials: Sequence[Trial]) -> float:
    predict = _means(windows, trials)
    tokens = {record.window: record.tokens for record in label.windows.records}
    carried = [replace(trial, predicted=predict(tokens[trial.window])) for trial in trials]
    return rescored(label.windows, carried).value or 0.0


_WORDS = words(ALL)
_ALL_TEXT = called(_WORDS, "carried to all text", scored=_everywhere)
_DRAWN = called(_WORDS, "carried to 40 windows", scored=_drawn)
CARRIED: tuple[tuple[tuple[Form, ...], tuple[int, ...]], ...] = (
    ((_ALL_TEXT, called(_ALL_TEXT, "as lines", counted=as_lines)), (8, 12, 16, 20)),
    ((_DRAWN,), (12, 16, 20)),
)
"""Forms that ask the same, the first of which is asked, with their numbers of windows."""
