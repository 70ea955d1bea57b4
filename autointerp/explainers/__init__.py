"""Explainers: each turns a unit's explain records into candidate explanations."""

from autointerp.explainers.evidence import Explained, Explainer, ExplainEvidence
from autointerp.explainers.token_activation import TokenActivation
from autointerp.explainers.token_lookup import TokenLookup

__all__ = ["ExplainEvidence", "Explained", "Explainer", "TokenActivation", "TokenLookup"]
