"""Inputs and explainers that several test files ask about."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from factories import make_contexts, make_record, make_sets

from autointerp.core.config import ExplainConfig
from autointerp.core.ids import UnitId
from autointerp.core.probe import ProbedText
from autointerp.core.records import TokenMeans
from autointerp.explainers.clusters import Clusters
from autointerp.explainers.contrastive import Contrastive
from autointerp.explainers.explainer import (
    Explained,
    Explainer,
    ExplainerDependencies,
    ExplainInputs,
)
from autointerp.explainers.marked_tokens import MarkedTokens
from autointerp.explainers.output_side import OutputSide
from autointerp.explainers.program import ProgramExplainer
from autointerp.explainers.senses import Senses
from autointerp.explainers.token_activation import TokenActivation
from autointerp.explainers.token_list import TokenList
from autointerp.llm import ChatRequest, ScriptedModel

ASKING: dict[str, Callable[..., Explainer]] = {
    explainer.name: explainer
    for explainer in (
        TokenActivation,
        MarkedTokens,
        Contrastive,
        TokenList,
        OutputSide,
        ProgramExplainer,
        Senses,
        Clusters,
    )
}
JSON_REPLIES = sorted(ASKING.keys() - {"program", "senses", "clusters"})


class Words:
    """A tokenizer whose pieces are given."""

    name, bos_id = "words", None

    def __init__(self, *pieces: str) -> None:
        self._pieces = pieces

    def encode(self, text: str) -> list[int]:
        return [self._pieces.index(text)]

    def pieces(self, token_ids: Sequence[int]) -> tuple[str, ...]:
        return tuple(self._pieces[i] for i in token_ids)


class TableProbe:
    """A unit with a fixed activation at every token that holds one of some words."""

    def __init__(self, **activations: float) -> None:
        self._activations = activations
        self.asked: list[str] = []

    async def measure(self, unit: UnitId, texts: Sequence[str]) -> tuple[ProbedText, ...]:
        self.asked += texts
        return tuple(self._run(text) for text in texts)

    async def continuations(self, unit, prompts, *, sign, target_kl, n_tokens, seed):
        raise NotImplementedError

    def _run(self, text: str) -> ProbedText:
        tokens = tuple(f" {word}" for word in text.split())
        values = tuple(self._activations.get(token.strip(), 0.0) for token in tokens)
        return ProbedText(text, tokens, values)


_ACTIVE = (
    make_record(1, (0.0, 4.0, 0.0, 0.5), "top"),
    make_record(3, (0.0, 2.4, 1.2, 0.0), "band0"),
    make_record(4, (0.0, 0.0, 1.6, 0.0), "band0"),
    make_record(5, (0.0, 0.0, 0.0, 0.0, 0.8, 0.0), "band0"),
)
_CONTEXTS = make_contexts(_ACTIVE, {(0, 1): 0, (1, 1): 0, (1, 2): 1, (2, 2): 1, (3, 4): 2})
INPUTS = replace(
    ExplainInputs(
        replace(make_sets().explain, contexts=_CONTEXTS),
        TokenMeans(means={0: 0.1, 1: 4.0, 2: 1.0}, counts={0: 90, 1: 3, 2: 6}, overall=0.3),
        Words(" the", " river", " runs"),
    ),
    negatives=(make_record(7, (0.0, 0.0, 0.1, 0.0), "silent"),),
    promoted=(" water", " flow"),
    suppressed=(" dry",),
)


def ask(
    name: str, model: ScriptedModel, *, inputs: ExplainInputs = INPUTS, **config: object
) -> Explained:
    """What one explainer makes of the inputs; one sample unless told."""
    settings = ExplainConfig.model_validate({"n_samples": 1, **config})
    return asyncio.run(ASKING[name](ExplainerDependencies(model, settings, seed=0)).explain(inputs))


def rendered(request: ChatRequest) -> str:
    """The whole prompt as a golden file has it."""
    return "\n".join(f"=== {m.role}\n{m.content}" for m in request.messages) + "\n"
