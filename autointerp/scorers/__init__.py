"""Scorers: each judges an explanation on windows that no explainer has seen."""

from autointerp.scorers.adaptive import enough, score_until, stopped
from autointerp.scorers.contrast import Contrast
from autointerp.scorers.detection import Detection
from autointerp.scorers.discrimination import Discrimination
from autointerp.scorers.embedding_similarity import Embedding, TextEmbedder
from autointerp.scorers.fuzzing import Fuzzing
from autointerp.scorers.generative import Generative
from autointerp.scorers.input_based import InputTest
from autointerp.scorers.output_based import OutputTest
from autointerp.scorers.responsiveness import Responsiveness
from autointerp.scorers.rule_scorers import Lookup, Programs, Rules
from autointerp.scorers.scorer_inputs import Scorer, ScoringSet, judged_windows
from autointerp.scorers.simulation.dense_simulation import Simulation
from autointerp.scorers.simulation.echo_simulation import EchoSimulation
from autointerp.scorers.simulation.sparse_simulation import SparseSimulation
from autointerp.scorers.simulation.words_simulation import WORDS_PER_CALL, WordsSimulation

__all__ = [
    "WORDS_PER_CALL",
    "Contrast",
    "Detection",
    "Discrimination",
    "EchoSimulation",
    "Embedding",
    "Fuzzing",
    "Generative",
    "InputTest",
    "Lookup",
    "OutputTest",
    "Programs",
    "Responsiveness",
    "Rules",
    "Scorer",
    "ScoringSet",
    "Simulation",
    "SparseSimulation",
    "TextEmbedder",
    "WordsSimulation",
    "enough",
    "judged_windows",
    "score_until",
    "stopped",
]
