"""What an explainer is given, what it gives back, and what it is built from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from autointerp.core.config import ExplainConfig, JobSpec
from autointerp.core.errors import InputError
from autointerp.core.explanations import Explanation, PromptRef
from autointerp.core.probe import UnitProbe
from autointerp.core.records import ActivationRecord, ExplainSet, TokenMeans
from autointerp.core.text import TextTokenizer
from autointerp.core.variants import EXCERPT, EXPLANATION, PromptCalls, Variant
from autointerp.llm import UPPER_ESTIMATE, ChatModel, TokenCounter


@dataclass(frozen=True, slots=True)
class ExplainInputs:
    """Everything that an explainer may see of one side of one unit: explain documents only."""

    records: ExplainSet
    token_means: TokenMeans
    tokenizer: TextTokenizer
    fresh: bool = False
    """Ask the LLM again: the replies in the cache were of no use before."""
    negatives: tuple[ActivationRecord, ...] = ()
    """Explain windows that hold the exemplars' peak tokens and on which the side is silent."""
    promoted: tuple[str, ...] = ()
    """Tokens that the unit's output makes more probable, strongest first."""
    suppressed: tuple[str, ...] = ()
    """Tokens that it makes less probable, strongest first."""
    probe: UnitProbe | None = None
    """Runs texts through the subject model; None where that is not loaded."""


@dataclass(frozen=True, slots=True)
class Explained:
    """An explainer's answers and its failures; a failure is a sentence, never an answer."""

    explanations: tuple[Explanation, ...]
    failures: tuple[str, ...] = ()
    found_no_pattern: bool = False
    """An answer said that there is no single pattern."""


class Explainer(Protocol):
    """Turns the inputs of a unit into explanations."""

    @property
    def name(self) -> str:
        """``token_activation``, ``token_lookup`` ..."""

    @property
    def prompts(self) -> tuple[PromptRef, ...]:
        """Prompts it uses."""

    async def explain(self, inputs: ExplainInputs) -> Explained:
        """Explanations of one side of one unit, each text once.

        Raises:
            UpstreamError: the LLM could not be used.
        """


@dataclass(frozen=True, slots=True)
class ExplainerDependencies:
    """What an explainer is built from."""

    llm: ChatModel | None
    config: ExplainConfig
    seed: int
    counter: TokenCounter = UPPER_ESTIMATE
    """Counts the LLM's tokens."""

    @property
    def model(self) -> ChatModel:
        """The LLM.

        Raises:
            InputError: there is none.
        """
        if self.llm is None:
            raise InputError(
                "an explainer asks an LLM, and the job names none; "
                "name one or leave the explainer out"
            )
        return self.llm


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainerSpec(Variant):
    """What an explainer is."""

    build: Callable[[ExplainerDependencies], Explainer]
    calls: Callable[[JobSpec], tuple[PromptCalls, ...]]
    """What it will ask the LLM about one unit of a job."""


def explain_calls(name: str, job: JobSpec, *, shown: int, version: str = "v1") -> PromptCalls:
    """The requests of an explainer that puts one prompt, ``explain_`` and its name, to the LLM."""
    prompt, n = f"explain_{name}", job.explain.n_samples
    return PromptCalls(prompt, n, shown, EXPLANATION, version=version, explains=True)


def exemplar_tokens(job: JobSpec) -> int:
    """About how many tokens the exemplars take that a prompt shows."""
    return job.explain.n_exemplars * job.corpus.n_ctx * EXCERPT
