"""What an explainer is given, and what it gives back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from autointerp.core.explanations import Explanation, PromptRef
from autointerp.core.probe import UnitProbe
from autointerp.core.records import ActivationRecord, ExplainSet, TokenMeans
from autointerp.core.text import TextTokenizer


@dataclass(frozen=True, slots=True)
class ExplainEvidence:
    """Everything that may be said to an explainer: explain documents only."""

    records: ExplainSet
    token_means: TokenMeans
    tokenizer: TextTokenizer
    fresh: bool = False
    """The replies in the cache were of no use before: ask anew."""
    negatives: tuple[ActivationRecord, ...] = ()
    """Explain windows that hold the exemplars' peak tokens and on which the side is silent."""
    promoted: tuple[str, ...] = ()
    """Tokens that the unit's output makes more probable, strongest first."""
    suppressed: tuple[str, ...] = ()
    """Tokens that it makes less probable, strongest first."""
    probe: UnitProbe | None = None
    """Runs texts through the subject model, where it is at hand."""


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

    @property
    def prompts(self) -> tuple[PromptRef, ...]:
        """Prompts it uses."""
        ...

    async def explain(self, evidence: ExplainEvidence) -> Explained:
        """Explanations of one side of one unit, each text once.

        Raises:
            UpstreamError: the LLM could not be used.
        """
        ...
