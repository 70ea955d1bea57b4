"""Scores with intervals, from windows with predictions or from verdicts: numpy only, no LLM."""

from autointerp.statistics.bootstrap import Resampling
from autointerp.statistics.classification import classification_score
from autointerp.statistics.judge_correction import corrected_scores, judge_errors
from autointerp.statistics.permutation import chance_of_correlation, q_values
from autointerp.statistics.population import paired_difference, population_score, sampled_scores
from autointerp.statistics.proportional_sampling import proportional_sample
from autointerp.statistics.scored_windows import ScoredWindow, ScoredWindows
from autointerp.statistics.simulation_metrics import SimulationScores, simulation_scores
from autointerp.statistics.token_metrics import TOKEN_METRICS, token_metrics

__all__ = [
    "TOKEN_METRICS",
    "Resampling",
    "ScoredWindow",
    "ScoredWindows",
    "SimulationScores",
    "chance_of_correlation",
    "classification_score",
    "corrected_scores",
    "judge_errors",
    "paired_difference",
    "population_score",
    "proportional_sample",
    "q_values",
    "sampled_scores",
    "simulation_scores",
    "token_metrics",
]
