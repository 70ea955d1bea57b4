"""Explainers: each turns a unit's explain records into candidate explanations."""

from autointerp.explainers.contrastive import Contrastive
from autointerp.explainers.explainer import (
    Explained,
    Explainer,
    ExplainerDependencies,
    ExplainInputs,
)
from autointerp.explainers.fitting import PromptLimit
from autointerp.explainers.marked_tokens import MarkedTokens
from autointerp.explainers.output_side import OutputSide
from autointerp.explainers.program import ProgramExplainer, program_explanation
from autointerp.explainers.revision import Revision
from autointerp.explainers.token_activation import TokenActivation
from autointerp.explainers.token_list import TokenList
from autointerp.explainers.token_lookup import TokenLookup
from autointerp.llm.counting import UPPER_ESTIMATE, TokenCounter

__all__ = [
    "UPPER_ESTIMATE",
    "Contrastive",
    "ExplainInputs",
    "Explained",
    "Explainer",
    "ExplainerDependencies",
    "MarkedTokens",
    "OutputSide",
    "ProgramExplainer",
    "PromptLimit",
    "Revision",
    "TokenActivation",
    "TokenCounter",
    "TokenList",
    "TokenLookup",
    "program_explanation",
]
