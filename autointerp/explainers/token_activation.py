"""Token-activation pairs shown to an LLM (Bills et al. 2023), best of n answers.

Two styles: for models that follow instructions, excerpts with their active tokens and levels
(prompt v1); for models that only continue patterns, few-shot turns with the peaks' words (v2).
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from autointerp.core.characters import whole_characters
from autointerp.core.config import JobSpec
from autointerp.core.ids import Side
from autointerp.core.records import ActivationRecord
from autointerp.core.text import is_unsafe, plain_text, quoted
from autointerp.core.variants import JobLlm, PromptCalls
from autointerp.explainers.excerpts import Extent, clipped, render_pairs
from autointerp.explainers.explainer import (
    Explained,
    ExplainerDependencies,
    ExplainerSpec,
    ExplainInputs,
    exemplar_tokens,
    explain_calls,
)
from autointerp.explainers.parse import parse_explanation
from autointerp.explainers.prompting import ParsedReply, PromptedExplainer, ReplyForm


class TokenActivation(PromptedExplainer):
    """Asks an LLM what the strongest excerpts have in common."""

    name = "token_activation"

    def __init__(self, dependencies: ExplainerDependencies) -> None:
        small = dependencies.model.features.small
        self._version = dependencies.config.prompt or ("v2" if small else "v1")
        super().__init__(dependencies, version=self._version)

    @override
    async def explain(self, inputs: ExplainInputs) -> Explained:
        records = inputs.records
        shown = self.exemplars(inputs)

        def pairs(extent: Extent) -> dict[str, str]:
            text = render_pairs(shown, records.side, records.peak, extent)
            return {"exemplars": text, "max_words": str(self._config.max_words)}

        def words(extent: Extent) -> dict[str, str]:
            return {"words": render_words(shown[: extent.n_records], records.side)}

        if self._version == "v1":
            return await self.answers(inputs, pairs, n_records=len(shown))
        form = ReplyForm(self._read_line, max_tokens=24, stop=("\n",))
        return await self.answers(inputs, words, n_records=len(shown), form=form)

    def _read_line(self, reply: str) -> ParsedReply:
        return ParsedReply(
            parse_explanation(reply, as_json=False, max_words=self._config.max_words)
        )


def render_words(records: Sequence[ActivationRecord], side: Side) -> str:
    """The word around each record's peak, strongest first, separated by commas."""
    return ", ".join(_peak_word(record, side) for record in records)


def _peak_word(record: ActivationRecord, side: Side) -> str:
    """The whole word that the peak token is a part of: small models know words, not pieces."""
    tokens, activations = whole_characters(record.tokens, record.side(side))
    first = max(range(len(tokens)), key=activations.__getitem__)
    last = first
    while first and not tokens[first][:1].isspace() and tokens[first - 1][-1:].isalnum():
        first -= 1
    while last + 1 < len(tokens) and tokens[last + 1][:1].isalpha() and tokens[last][-1:].isalpha():
        last += 1
    word = clipped(" ".join(plain_text("".join(tokens[first : last + 1])).split()))
    if not word:
        return quoted(clipped(tokens[last]))
    return quoted(word) if is_unsafe(word) else word


def token_activation_calls(job: JobSpec) -> tuple[PromptCalls, ...]:
    """What it will ask the LLM about one unit."""
    version = job.explain.prompt or ("v2" if job.is_small_llm else "v1")
    shown = exemplar_tokens(job)
    return (explain_calls("token_activation", job, shown=shown, version=version),)


SPEC = ExplainerSpec(
    name=TokenActivation.name,
    build=TokenActivation,
    calls=token_activation_calls,
    chosen_prompt=f"explain_{TokenActivation.name}",
    default_with=frozenset({JobLlm.SMALL}),
)
