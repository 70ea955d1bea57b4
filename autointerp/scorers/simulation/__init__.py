"""Simulation scorers: an LLM that sees only the explanation predicts the activations."""

from autointerp.scorers.simulation.dense_simulation import Simulation
from autointerp.scorers.simulation.echo_simulation import EchoSimulation
from autointerp.scorers.simulation.sparse_simulation import SparseSimulation
from autointerp.scorers.simulation.words_simulation import WORDS_PER_CALL, WordsSimulation

__all__ = [
    "WORDS_PER_CALL",
    "EchoSimulation",
    "Simulation",
    "SparseSimulation",
    "WordsSimulation",
]
