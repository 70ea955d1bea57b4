"""Scorers: each judges an explanation on windows that no explainer has seen."""

from collections.abc import Sequence

from autointerp.core.variants import named_variants
from autointerp.scorers import (
    contrast,
    detection,
    discrimination,
    embedding_similarity,
    fuzzing,
    generative,
    input_based,
    output_based,
    responsiveness,
)
from autointerp.scorers.adaptive import enough, score_until, stopped
from autointerp.scorers.contrast import Contrast
from autointerp.scorers.detection import Detection
from autointerp.scorers.discrimination import Discrimination
from autointerp.scorers.embedding_similarity import Embedding
from autointerp.scorers.fuzzing import Fuzzing
from autointerp.scorers.generative import Generative
from autointerp.scorers.input_based import InputTest
from autointerp.scorers.output_based import OutputTest
from autointerp.scorers.responsiveness import Responsiveness
from autointerp.scorers.rule_scorers import Lookup, Programs, Rules
from autointerp.scorers.scorer_inputs import Scorer, ScoringSet, judged_windows
from autointerp.scorers.scorer_spec import ScorerDependencies, ScorerSpec, TextEmbedder
from autointerp.scorers.simulation import (
    dense_simulation,
    echo_simulation,
    sparse_simulation,
    words_simulation,
)
from autointerp.scorers.simulation.dense_simulation import Simulation
from autointerp.scorers.simulation.echo_simulation import EchoSimulation
from autointerp.scorers.simulation.sparse_simulation import SparseSimulation
from autointerp.scorers.simulation.words_simulation import WORDS_PER_CALL, WordsSimulation

SCORERS: tuple[ScorerSpec, ...] = (
    dense_simulation.SPEC,
    sparse_simulation.SPEC,
    words_simulation.SPEC,
    echo_simulation.SPEC,
    detection.SPEC,
    fuzzing.SPEC,
    contrast.SPEC,
    discrimination.SPEC,
    responsiveness.SPEC,
    embedding_similarity.SPEC,
    generative.SPEC,
    input_based.SPEC,
    output_based.SPEC,
)
"""Every scorer that a job may name; rules, programs and the lookup baseline always run. The first
predicts activations where a job names no scorer that does."""


def scorers_named(names: Sequence[str]) -> tuple[ScorerSpec, ...]:
    """The scorers of these names or aliases, each once.

    Raises:
        InputError: there is none of that name.
    """
    return named_variants("scorer", SCORERS, names)


__all__ = [
    "SCORERS",
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
    "ScorerDependencies",
    "ScorerSpec",
    "ScoringSet",
    "Simulation",
    "SparseSimulation",
    "TextEmbedder",
    "WordsSimulation",
    "enough",
    "judged_windows",
    "score_until",
    "scorers_named",
    "stopped",
]
