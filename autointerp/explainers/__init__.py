"""Explainers: each turns a unit's explain records into candidate explanations."""

from collections.abc import Sequence

from autointerp.core.variants import named_variants
from autointerp.explainers import (
    clusters,
    contrastive,
    marked_tokens,
    output_side,
    program,
    revision,
    senses,
    token_activation,
    token_list,
    token_lookup,
)
from autointerp.explainers.explainer import (
    Explainer,
    ExplainerDependencies,
    ExplainerSpec,
    ExplainInputs,
)
from autointerp.explainers.program import program_explanation
from autointerp.explainers.token_lookup import TokenLookup

EXPLAINERS: tuple[ExplainerSpec, ...] = (
    token_activation.SPEC,
    marked_tokens.SPEC,
    contrastive.SPEC,
    token_list.SPEC,
    output_side.SPEC,
    program.SPEC,
    revision.SPEC,
    senses.SPEC,
    clusters.SPEC,
    token_lookup.SPEC,
)
"""Every explainer that a job may name."""


def explainers_named(names: Sequence[str]) -> tuple[ExplainerSpec, ...]:
    """The explainers of these names, each once.

    Raises:
        InputError: the name is unknown.
    """
    return named_variants("explainer", EXPLAINERS, names)


__all__ = [
    "EXPLAINERS",
    "ExplainInputs",
    "Explainer",
    "ExplainerDependencies",
    "ExplainerSpec",
    "TokenLookup",
    "explainers_named",
    "program_explanation",
]
