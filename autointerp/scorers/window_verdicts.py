"""Scores of verdicts on whether windows activate strongly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from autointerp.core.records import ActivationRecord
from autointerp.core.scores import Score, Trial
from autointerp.scorers.scorer_inputs import ScoringSet
from autointerp.statistics.bootstrap import Resampling
from autointerp.statistics.classification import classification_score
from autointerp.statistics.population import population_weights
from autointerp.statistics.scored_windows import ScoredWindow

STRONG = 0.5
"""A text counts as strongly activating where its peak reaches this share of the explain set's."""


def is_strong(record: ActivationRecord, windows: ScoringSet) -> bool:
    """Whether the side's peak in the window reaches the level from which it counts."""
    return record.peak(windows.side) >= windows.strong_level / 10 * windows.peak


def what_activates(windows: ScoringSet) -> str:
    """Which windows count as activating, as a note."""
    return f"a window activates where its peak is at least {windows.strong_level}0% of the greatest"


def judged_weights(windows: ScoringSet, trials: Sequence[Trial]) -> list[float]:
    """How many windows of the split each judged trial stands for, failed ones left out."""
    carriers = [ScoredWindow((0.0,), (0.0,), t.stratum, t.weight) for t in trials]
    return population_weights(carriers, windows.strata)


def judged_lists(
    windows: ScoringSet, judged: Sequence[Trial]
) -> tuple[list[bool], list[str], list[float]]:
    """Of trials that did not fail: does the window activate strongly, its stratum, its weight."""
    strong = {record.window: is_strong(record, windows) for record in windows.records}
    truths, strata = [strong[trial.window] for trial in judged], [t.stratum for t in judged]
    return truths, strata, judged_weights(windows, judged)


def peak_scores(windows: ScoringSet, trials: Sequence[Trial]) -> tuple[Score, ...]:
    """Scores of verdicts on whether windows activate strongly.

    ``balanced_accuracy`` and ``auroc`` over the judged windows as they are, ``f1`` and ``auprc``
    estimated for all text; failed trials are in none of them.
    """
    judged = [trial for trial in trials if trial.verdict is not None]
    truths, strata, weights = judged_lists(windows, judged)
    verdicts, how = [bool(trial.verdict) for trial in judged], windows.resampling
    accuracy = classification_score("balanced_accuracy", verdicts, truths, how, strata=strata)
    f1 = classification_score("f1", verdicts, truths, how, weights=weights, strata=strata)
    ranked = ranking_scores(judged, truths, how, strata=strata)
    if ranked.value is None and any(trial.probability is None for trial in judged):
        return accuracy, ranked, f1, replace(ranked, name="auprc")
    known = [trial.probability or 0.0 for trial in judged]
    area = classification_score("auprc", known, truths, how, weights=weights, strata=strata)
    return accuracy, ranked, f1, area


def ranking_scores(
    judged: Sequence[Trial],
    truths: Sequence[bool],
    resampling: Resampling,
    *,
    strata: Sequence[str] | None = None,
) -> Score:
    """AUROC of the probabilities behind verdicts, undefined where one has none."""
    known = [trial.probability for trial in judged if trial.probability is not None]
    if len(known) == len(judged):
        return classification_score("auroc", known, truths, resampling, strata=strata)
    reason = "the endpoint gives no log-probabilities"
    if known:
        missing = len(judged) - len(known)
        reason = f"{missing} of {len(judged)} verdicts came without a probability"
    return Score.undefined("auroc", reason, n_windows=len(judged))
