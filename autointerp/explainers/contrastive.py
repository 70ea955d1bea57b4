"""Activating excerpts against look-alikes on which the unit is silent, shown to an LLM."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from autointerp.core.config import ExplainConfig
from autointerp.core.explanations import PromptRef
from autointerp.core.ids import Side
from autointerp.core.records import ActivationRecord
from autointerp.explainers.asking import Asking
from autointerp.explainers.evidence import Explained, ExplainEvidence
from autointerp.explainers.excerpts import cut_around, render_pairs, whole_text
from autointerp.explainers.fitting import Extent
from autointerp.llm import ChatModel
from autointerp.llm.counting import UPPER_ESTIMATE, TokenCounter
from autointerp.templates import load_template


class Contrastive:
    """Asks an LLM what the activating excerpts have and the silent look-alikes lack."""

    name = "contrastive"

    def __init__(
        self,
        model: ChatModel,
        config: ExplainConfig,
        *,
        seed: int,
        counter: TokenCounter = UPPER_ESTIMATE,
    ) -> None:
        self._config = config
        template = load_template("explain_contrastive", "v1")
        self.prompts: tuple[PromptRef, ...] = (template.ref,)
        self._asking = Asking(self.name, template, model, config, seed=seed, counter=counter)

    async def explain(self, evidence: ExplainEvidence) -> Explained:
        """The LLM's answers, each text once; a failure where there is nothing to hold against."""
        records = evidence.records
        shown = records.activating[: self._config.n_exemplars]
        silent = evidence.negatives[: self._config.n_exemplars]
        if not shown:
            return Explained((), (f"{self.name}: there is no activating record to show",))
        if not silent:
            why = "no silent window that looks like the exemplars was found"
            return Explained((), (f"{self.name}: {why}",))
        peaks = _peak_tokens(shown, records.side)

        def values(extent: Extent) -> dict[str, str]:
            return {
                "exemplars": render_pairs(shown, records.side, records.peak, extent),
                "negatives": render_negatives(silent, peaks, extent),
                "max_words": str(self._config.max_words),
            }

        n_records = max(len(shown), len(silent))
        return await self._asking.explained(evidence, values, n_records=n_records)


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
