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
from autointerp.scorers.rule_scorers import Lookup, Programs, Rules
from autointerp.scorers.scorer_inputs import Scorer, ScoringSet
from autointerp.scorers.scorer_spec import ScorerDependencies, ScorerSpec
from autointerp.scorers.simulation import (
    dense_simulation,
    echo_simulation,
    senses_simulation,
    sparse_simulation,
    words_simulation,
)

SCORERS: tuple[ScorerSpec, ...] = (
    dense_simulation.SPEC,
    sparse_simulation.SPEC,
    words_simulation.SPEC,
    senses_simulation.SPEC,
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
        InputError: the name is unknown.
    """
    return named_variants("scorer", SCORERS, names)


__all__ = [
    "SCORERS",
    "Lookup",
    "Programs",
    "Rules",
    "Scorer",
    "ScorerDependencies",
    "ScorerSpec",
    "ScoringSet",
    "scorers_named",
]
