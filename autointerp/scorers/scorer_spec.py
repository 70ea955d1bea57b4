"""What a scorer is built from, and the record in which each says what it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Protocol

from autointerp.core.config import JobSpec, ScoreConfig
from autointerp.core.errors import InputError
from autointerp.core.ids import UnitId
from autointerp.core.variants import PHRASE, TEXT, WORD, WRITTEN_TEXT, PromptCalls, Variant
from autointerp.llm import (
    UPPER_ESTIMATE,
    ChatModel,
    EchoModel,
    FittingModel,
    TokenCounter,
    as_echo,
)
from autointerp.scorers.scorer_inputs import Scorer

PlanCalls = Callable[[JobSpec, int], tuple[PromptCalls, ...]]
"""Takes a job and the number of windows that one explanation is scored on; raises InputError where
the job's settings do not go together."""


class TextEmbedder(Protocol):
    """Turns texts into vectors whose angle says how alike the texts are."""

    def embed(self, texts: Sequence[str]) -> Iterable[Iterable[float]]:
        """One vector a text, all of one width."""


@dataclass(frozen=True, slots=True)
class ScorerDependencies:
    """What a scorer is built from."""

    llm: ChatModel | None
    config: ScoreConfig
    pool: Sequence[UnitId] = ()
    """Units of the job, from which some scorers take others to tell this one from."""
    counter: TokenCounter = UPPER_ESTIMATE
    """Counts the LLM's tokens."""
    embedder: Callable[[], TextEmbedder] | None = None
    """Loads the embedding model."""

    @property
    def model(self) -> ChatModel:
        """The LLM, which is never sent what does not fit its context.

        Raises:
            InputError: there is none.
        """
        return FittingModel(self._llm(), self.counter, judges=True)

    @property
    def echo(self) -> EchoModel:
        """The LLM's log-probabilities of prompts.

        Raises:
            InputError: it gives none.
        """
        echo = as_echo(self.model)
        if echo is None:
            raise InputError(
                "simulation_echo needs an LLM with /v1/completions and echo, which "
                f"{self._llm().name} does not have; use --scorer simulation"
            )
        return echo

    def _llm(self) -> ChatModel:
        if self.llm is None:
            raise InputError(
                "a scorer asks an LLM, and the job names none; name one or leave the scorer out"
            )
        return self.llm


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorerSpec(Variant):
    """What a scorer is."""

    build: Callable[[ScorerDependencies], Scorer]
    headline: str
    """Name of the score that sums the result up."""
    calls: PlanCalls
    """What it will ask the LLM about one explanation."""
    predicts_activations: bool = False
    """Whether it predicts an activation for every token, so that it can choose among
    explanations in words and give labels their score."""
    asks_null_along: bool = False
    """Whether another unit's explanation is judged in the same requests."""
    judges_windows: bool = False
    """Whether each trial is about one window, so that any windows can be scored."""
    fewest_labels: int = 1
    """Labels of a job without which it compares with nothing."""
    fewest_units: int = 1
    """Units of a job without which it compares with nothing."""


def no_calls(_job: JobSpec, _n_windows: int) -> tuple[PromptCalls, ...]:
    """Nothing is asked."""
    return ()


def window_calls(
    prompt: str,
    *,
    list_prompt: str | None = None,
    n_each: int = 1,
    version: str = "v1",
    small_version: str | None = None,
) -> PlanCalls:
    """Plans `n_each` questions for each window.

    Where there is a `list_prompt` it holds ``windows_per_call`` windows. Small models may be asked
    another version.
    """

    def calls(job: JobSpec, n_windows: int) -> tuple[PromptCalls, ...]:
        per_call = job.score.windows_per_call if list_prompt else 1
        name = list_prompt if list_prompt and per_call > 1 else prompt
        shown = PHRASE + per_call * job.corpus.n_ctx * TEXT
        n = n_each * ceil(n_windows / per_call)
        asked = small_version if small_version and job.is_small_llm else version
        return (PromptCalls(name, n, shown, per_call * WORD, version=asked),)

    return calls


def many_windows(windows_per_call: int, own: int) -> int:
    """One window a call, the default, stands for the scorer's own: alone it would save nothing."""
    return own if windows_per_call == 1 else windows_per_call


def repeated_calls(prompt: str, n: int) -> PlanCalls:
    """Plans a number of questions that does not depend on the number of windows."""
    return lambda job, _: (PromptCalls(prompt, n, 11 * PHRASE + 3 * job.corpus.n_ctx, WORD),)


def writing_calls(prompt: str, n_texts: int) -> PlanCalls:
    """Plans one request for texts to run through the subject model."""
    return lambda _job, _: (PromptCalls(prompt, 1, PHRASE, n_texts * WRITTEN_TEXT),)
