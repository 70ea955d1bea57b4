"""Scorers: each judges an explanation on windows that no explainer has seen."""

from autointerp.scorers.detection import Detection
from autointerp.scorers.estimates import paired_difference
from autointerp.scorers.evidence import Scorer, ScoringSet, judged_windows
from autointerp.scorers.rules import Lookup, Rules
from autointerp.scorers.simulation import Simulation
from autointerp.scorers.statistics import SimulationScores, simulation_scores

__all__ = [
    "Detection",
    "Lookup",
    "Rules",
    "Scorer",
    "ScoringSet",
    "Simulation",
    "SimulationScores",
    "judged_windows",
    "paired_difference",
    "simulation_scores",
]
