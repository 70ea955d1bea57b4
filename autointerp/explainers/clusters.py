"""The separate things that a side responds to, one for each cluster of what the unit reads there.

The clusters stand apart in one request; the LLM names each against the others. Clusters that get
the same name become one sense.
"""

from __future__ import annotations

from typing_extensions import override

from autointerp.core.config import JobSpec
from autointerp.core.errors import InputError
from autointerp.core.variants import EXCERPT, PHRASE, Need, PromptCalls
from autointerp.explainers.context_clusters import (
    context_clusters,
    excerpts_each,
    most_clusters,
    render_clusters,
)
from autointerp.explainers.excerpts import Extent
from autointerp.explainers.explainer import Explained, ExplainerSpec, ExplainInputs
from autointerp.explainers.prompting import PromptedExplainer, ReplyForm
from autointerp.explainers.sense_tables import render_table
from autointerp.explainers.senses import WordLimits, read_senses, senses_schema

_CONTEXT = 12
_REPLY_TOKENS = 70
"""For each cluster."""
_SHOWN = 36


class Clusters(PromptedExplainer):
    """Asks an LLM what the places of each cluster have in common."""

    name = "clusters"

    @override
    async def explain(self, inputs: ExplainInputs) -> Explained:
        records, config = inputs.records, self._config
        if records.contexts is None:
            return self.failed(
                "the records hold no vectors of what the unit reads; "
                "read them anew from the subject model"
            )
        most = most_clusters(config.n_senses)
        try:
            clusters = context_clusters(records.contexts, records.side, most=most)
        except InputError as error:
            return self.failed(str(error))
        if not clusters:
            return self.failed("no two windows are alike in what the unit reads where it is active")
        n = excerpts_each(clusters)
        words = WordLimits.of(config)

        def values(extent: Extent) -> dict[str, str]:
            shown = [cluster.places[0].record for cluster in clusters]
            return {
                "clusters": render_clusters(clusters, records.side, records.peak, extent),
                "tokens": render_table(inputs, shown, extent.n_records / n),
                "n_clusters": str(len(clusters)),
                "max_words": str(words.asked),
            }

        form = ReplyForm(
            lambda reply: read_senses(reply, n_senses=config.n_senses, words=words),
            max_tokens=_REPLY_TOKENS * (len(clusters) + 1),
            schema=senses_schema(most, within="cluster"),
        )
        context = min(config.context_tokens, _CONTEXT)
        return await self.answers(inputs, values, n_records=n, form=form, context_tokens=context)


def _calls(job: JobSpec) -> tuple[PromptCalls, ...]:
    explain = job.explain
    context = min(job.corpus.n_ctx, 3 * min(explain.context_tokens, _CONTEXT) // 2)
    shown = _SHOWN * context * EXCERPT + 10 * PHRASE
    reply = most_clusters(explain.n_senses) * 2 * PHRASE
    return (PromptCalls("explain_clusters", explain.n_samples, shown, reply, explains=True),)


SPEC = ExplainerSpec(
    name=Clusters.name,
    build=Clusters,
    needs=frozenset({Need.LLM, Need.INPUTS}),
    calls=_calls,
)
