"""Activating excerpts against look-alikes on which the unit is silent, shown to an LLM."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from typing_extensions import override

from autointerp.core.config import JobSpec
from autointerp.core.ids import Side
from autointerp.core.records import ActivationRecord
from autointerp.core.variants import Need, PromptCalls
from autointerp.explainers.excerpts import Extent, cut_around, render_pairs, whole_text
from autointerp.explainers.explainer import (
    Explained,
    ExplainerSpec,
    ExplainInputs,
    exemplar_tokens,
    explain_calls,
)
from autointerp.explainers.prompting import PromptedExplainer


class Contrastive(PromptedExplainer):
    """Asks an LLM what the activating excerpts have and the silent look-alikes lack."""

    name = "contrastive"

    @override
    async def explain(self, inputs: ExplainInputs) -> Explained:
        records = inputs.records
        shown = self.exemplars(inputs)
        silent = inputs.negatives[: self._config.n_exemplars]
        if shown and not silent:
            return self.failed("no silent window that looks like the exemplars was found")
        peaks = _peak_tokens(shown, records.side)

        def values(extent: Extent) -> dict[str, str]:
            return {
                "exemplars": render_pairs(shown, records.side, records.peak, extent),
                "negatives": render_negatives(silent, peaks, extent),
                "max_words": str(self._config.max_words),
            }

        n_records = max(len(shown), len(silent)) if shown else 0
        return await self.answers(inputs, values, n_records=n_records)


def render_negatives(
    records: Sequence[ActivationRecord], peaks: Collection[int], extent: Extent
) -> str:
    """Silent texts, cut around the first token that is also a peak token, else in the middle."""
    lines = []
    for number, record in enumerate(records[: extent.n_records], 1):
        ids = record.token_ids
        place = next((i for i, token in enumerate(ids) if token in peaks), len(ids) // 2)
        tokens, _ = cut_around(record.tokens, record.activations, place, extent)
        lines.append(f"Silent {number}: {whole_text(tokens)}")
    return "\n".join(lines)


def _peak_tokens(records: Sequence[ActivationRecord], side: Side) -> frozenset[int]:
    return frozenset(r.token_ids[r.side(side).index(r.peak(side))] for r in records)


def _calls(job: JobSpec) -> tuple[PromptCalls, ...]:
    silent = job.select.n_negative * job.corpus.n_ctx
    return (explain_calls("contrastive", job, shown=exemplar_tokens(job) + silent),)


SPEC = ExplainerSpec(
    name=Contrastive.name,
    build=Contrastive,
    needs=frozenset({Need.LLM, Need.NEGATIVES}),
    calls=_calls,
)
