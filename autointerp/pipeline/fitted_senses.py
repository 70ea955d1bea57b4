"""Levels of senses: a reader says where each applies, judged windows say how active the unit is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from autointerp.core.explanations import Explanation
from autointerp.core.records import MAX_LEVEL, ActivationRecord
from autointerp.core.scores import Score
from autointerp.core.sense_types import Sense, SenseScore, senses_text
from autointerp.scorers import ScoringSet
from autointerp.scorers.simulation.senses_simulation import (
    SensePlaces,
    SensesSimulation,
    senses_of,
    windows_in_time,
)
from autointerp.statistics.population import population_score
from autointerp.statistics.sense_levels import FittedLevels, SenseWindows, fit_levels
from autointerp.statistics.sense_mass import mass_explained

_FOLDS = 4

Judged = list[tuple[ActivationRecord, SensePlaces]]
"""Windows of which a reader's reply could be read, with the places it named."""


async def fit_senses(
    judge: SensesSimulation, explanation: Explanation, windows: ScoringSet
) -> tuple[Explanation, Score]:
    """The explanation with fitted levels, without senses that predict nothing, and its score.

    The score is of levels that were fitted on other of the windows than those they predict.
    """
    part = windows_in_time(explanation, windows)
    windows = part if part.records else windows
    replies = [one[0] for one in await judge.places([explanation], windows)]
    places = [None if isinstance(one, str) else one for one in replies]
    judged = judged_places(windows, places)
    if not judged:
        failed = next((one for one in replies if isinstance(one, str)), "there is no window")
        return explanation, Score.undefined("population", f"no trial could be read: {failed}")
    guesses = [sense.level / MAX_LEVEL * windows.peak for sense in explanation.senses]
    levels = fit_levels(_windows(judged, windows), guesses, windows.strata)
    return _with_levels(explanation, levels), _cross_fitted(judged, guesses, windows)


def sense_scores(
    explanation: Explanation, places: Sequence[SensePlaces | None], windows: ScoringSet
) -> tuple[Score | None, tuple[SenseScore, ...]]:
    """The share of the side's activation that all senses account for, and what each is worth."""
    part = windows_in_time(explanation, windows)
    drawn = {record.window: record for record in part.records}
    pairs = judged_places(windows, places)
    judged = [(drawn[record.window], own) for record, own in pairs if record.window in drawn]
    if not judged:
        return None, ()
    levels = levels_of(explanation, windows.peak)
    sense_mass = mass_explained(_windows(judged, part), levels, part.strata, part.resampling)
    strengths = np.concatenate([np.asarray(own.strengths) for _, own in judged])
    n_places = np.count_nonzero(strengths, axis=0).tolist()
    scores = zip(sense_mass.shares, sense_mass.gains, n_places, strict=True)
    return sense_mass.explained, tuple(
        SenseScore(replace(mass, name="mass"), replace(gain, name="gain"), n)
        for mass, gain, n in scores
    )


def judged_places(windows: ScoringSet, places: Sequence[SensePlaces | None]) -> Judged:
    """The windows whose reply could be read."""
    pairs = zip(windows.records, places, strict=True)
    return [(record, own) for record, own in pairs if own is not None]


def levels_of(explanation: Explanation, peak: float) -> FittedLevels:
    """What its senses predict: the fitted activations, or what their writer expects."""
    senses = senses_of(explanation)
    n = len(senses)
    return FittedLevels(
        activations=tuple(_activation(sense, peak) for sense in senses),
        background=explanation.background or 0.0,
        scale=1.0,
        n_places=(0,) * n,
        n_effective=(0.0,) * n,
        dropped=(None,) * n,
    )


def _activation(sense: Sense, peak: float) -> float:
    return sense.level / MAX_LEVEL * peak if sense.activation is None else sense.activation


def _with_levels(explanation: Explanation, levels: FittedLevels) -> Explanation:
    """Without the senses that were dropped, unless all were."""
    fitted = [
        replace(sense, activation=activation)
        for sense, activation in zip(explanation.senses, levels.activations, strict=True)
    ]
    stored = [s for s, dropped in zip(fitted, levels.dropped, strict=True) if dropped is None]
    senses = tuple(stored or fitted)
    return replace(
        explanation, text=senses_text(senses), senses=senses, background=levels.background
    )


def _cross_fitted(judged: Judged, guesses: Sequence[float], windows: ScoringSet) -> Score:
    """The population score of levels that were fitted on the other folds of windows."""
    ordered = sorted(judged, key=lambda pair: pair[0].window)
    folds = [ordered[i::_FOLDS] for i in range(_FOLDS)]
    predicted = []
    for fold in folds:
        others = [pair for other in folds if other is not fold for pair in other]
        if not fold or not others:
            continue
        levels = fit_levels(_windows(others, windows), guesses, windows.strata)
        predicted += list(_windows(fold, windows).predicted(levels))
    return population_score(predicted, windows.strata, windows.resampling)


def _windows(judged: Judged, windows: ScoringSet) -> SenseWindows:
    return SenseWindows.of(
        [record.side(windows.side) for record, _ in judged],
        [np.asarray(own.strengths, dtype=np.float64) for _, own in judged],
        [record.stratum for record, _ in judged],
        [record.weight for record, _ in judged],
    )
