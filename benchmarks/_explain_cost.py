"""What one answer of an explainer costs."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from statistics import fmean

from _scoring_plans import PlanData

from autointerp.core.config import ExplainConfig
from autointerp.core.records import TokenMeans, UnitSets
from autointerp.explainers import ExplainerDependencies, ExplainInputs
from autointerp.explainers.excerpts import Extent, render_pairs
from autointerp.explainers.token_activation import TokenActivation
from autointerp.llm import ScriptedModel
from autointerp.subjects.tokenizer import HfTokenizer

DEFAULT = "8 exemplars of 24 + 1 + 12 tokens"


def explain_costs(
    data: PlanData, sets: Sequence[UnitSets], tokenizer: HfTokenizer
) -> dict[str, tuple[float, float]]:
    """Mean tokens of one answer by prompt v1: by the tokenizer, as a quarter of the characters."""
    reply = '{"explanation": "the words \\"of\\" and \\"in\\" after a number or an amount"}'
    model = ScriptedModel(lambda _: reply)
    found = {}
    for n, before, after in (
        (8, 24, 12),
        (8, 12, 6),
        (8, 8, 4),
        (5, 24, 12),
        (5, 12, 6),
        (5, 8, 4),
    ):
        config = ExplainConfig(n_samples=1, n_exemplars=n)
        explainer = TokenActivation(ExplainerDependencies(model, config, seed=0))
        counts = []
        for own in sets:
            shown = own.explain.activating[:n]
            text = render_pairs(
                shown, own.explain.side, own.explain.peak, Extent(len(shown), before, after)
            )
            turns = explainer.template.render(exemplars=text, max_words=str(config.max_words))
            whole = [*(said for _, said in turns), reply]
            counts.append(
                (sum(map(data.n_tokens, whole)), sum(-(-len(part) // 4) for part in whole))
            )
        means = fmean(count for count, _ in counts), fmean(count for _, count in counts)
        found[f"{n} exemplars of {before} + 1 + {after} tokens"] = means
    _check_default(tokenizer, sets[0], model)
    return found


def _check_default(tokenizer: HfTokenizer, sets: UnitSets, model: ScriptedModel) -> None:
    """What is counted above for the default is what the explainer asks."""
    means = TokenMeans({}, {}, 0.0)
    explainer = TokenActivation(ExplainerDependencies(model, ExplainConfig(n_samples=1), seed=0))
    asyncio.run(explainer.explain(ExplainInputs(sets.explain, means, tokenizer)))
    shown = sets.explain.activating[:8]
    text = render_pairs(shown, sets.explain.side, sets.explain.peak)
    assert text in model.requests[-1].messages[-1].content
