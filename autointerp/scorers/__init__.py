"""Scorers: each judges an explanation on windows that no explainer has seen."""

from autointerp.scorers.adaptive import enough, score_until, stopped
from autointerp.scorers.contrast import Contrast
from autointerp.scorers.detection import Detection
from autointerp.scorers.discrimination import Discrimination
from autointerp.scorers.echo_simulation import EchoSimulation
from autointerp.scorers.embedding import Embedder, Embedding
from autointerp.scorers.evidence import Scorer, ScoringSet, judged_windows
from autointerp.scorers.fuzzing import Fuzzing
from autointerp.scorers.generative import Generative
from autointerp.scorers.input_test import InputTest
from autointerp.scorers.output_test import OutputTest
from autointerp.scorers.programs import Programs
from autointerp.scorers.responsiveness import Responsiveness
from autointerp.scorers.rules import Lookup, Rules
from autointerp.scorers.simulation import Simulation
from autointerp.scorers.sparse_simulation import SparseSimulation
from autointerp.scorers.words_simulation import WORDS_PER_CALL, WordsSimulation

__all__ = [
    "WORDS_PER_CALL",
    "Contrast",
    "Detection",
    "Discrimination",
    "EchoSimulation",
    "Embedder",
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
    "WordsSimulation",
    "enough",
    "judged_windows",
    "score_until",
    "stopped",
]
