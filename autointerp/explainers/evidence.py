"""What an explainer is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from autointerp.core.explanations import Explanation
from autointerp.core.records import ExplainSet, TokenMeans
from autointerp.core.text import TextTokenizer

__all__ = ["ExplainEvidence", "Explained", "Explainer"]


@dataclass(frozen=True, slots=True)
class ExplainEvidence:
    """Everything that may be said to an explainer: explain documents only."""

    records: ExplainSet
    token_means: TokenMeans
    tokenizer: TextTokenizer
    fresh: bool = False
    """The replies in the cache were of no use before: ask anew."""


@dataclass(frozen=True, slots=True)
class Explained:
    """An explainer's answers and its failures; a failure is a sentence, never an answer."""

    explanations: tuple[Explanation, ...]
    failures: tuple[str, ...] = ()
    found_no_pattern: bool = False
    """An answer said that there is no single pattern."""


class Explainer(Protocol):
    """Turns evidence into explanations."""

    @property
    def name(self) -> str:
        """``token_activation``, ``token_lookup`` ..."""
        ...

    async def explain(self, evidence: ExplainEvidence) -> Explained:
        """Explanations of one side of one unit, each text once.

        Raises:
            UpstreamError: the LLM could not be used.
        """
        ...
