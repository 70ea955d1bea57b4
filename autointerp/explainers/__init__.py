"""Explainers: each turns a unit's explain records into candidate explanations."""

from collections.abc import Sequence

from autointerp.core.variants import named_variants
from autointerp.explainers import (
    contrastive,
    marked_tokens,
    output_side,
    program,
    revision,
    token_activation,
    token_list,
    token_lookup,
)
from autointerp.explainers.contrastive import Contrastive
from autointerp.explainers.excerpts import PromptLimit
from autointerp.explainers.explainer import (
    Explained,
    Explainer,
    ExplainerDependencies,
    ExplainerSpec,
    ExplainInputs,
)
from autointerp.explainers.marked_tokens import MarkedTokens
from autointerp.explainers.output_side import OutputSide
from autointerp.explainers.program import ProgramExplainer, program_explanation
from autointerp.explainers.revision import Revision
from autointerp.explainers.token_activation import TokenActivation
from autointerp.explainers.token_list import TokenList
from autointerp.explainers.token_lookup import TokenLookup
from autointerp.llm.wrapped_model import UPPER_ESTIMATE, TokenCounter

EXPLAINERS: tuple[ExplainerSpec, ...] = (
    token_activation.SPEC,
    marked_tokens.SPEC,
    contrastive.SPEC,
    token_list.SPEC,
    output_side.SPEC,
    program.SPEC,
    revision.SPEC,
    token_lookup.SPEC,
)
"""Every explainer that a job may name."""


def explainers_named(names: Sequence[str]) -> tuple[ExplainerSpec, ...]:
    """The explainers of these names, each once.

    Raises:
        InputError: there is none of that name.
    """
    return named_variants("explainer", EXPLAINERS, names)


__all__ = [
    "EXPLAINERS",
    "UPPER_ESTIMATE",
    "Contrastive",
    "ExplainInputs",
    "Explained",
    "Explainer",
    "ExplainerDependencies",
    "ExplainerSpec",
    "MarkedTokens",
    "OutputSide",
    "ProgramExplainer",
    "PromptLimit",
    "Revision",
    "TokenActivation",
    "TokenCounter",
    "TokenList",
    "TokenLookup",
    "explainers_named",
    "program_explanation",
]
