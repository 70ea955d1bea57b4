"""The tokens that a unit makes more and less probable, shown to an LLM (Gur-Arieh et al. 2025)."""

from __future__ import annotations

from collections.abc import Sequence

from autointerp.core.config import ExplainConfig
from autointerp.core.explanations import PromptRef
from autointerp.core.quoting import quoted
from autointerp.explainers.asking import Asking
from autointerp.explainers.evidence import Explained, ExplainEvidence
from autointerp.explainers.excerpts import clipped
from autointerp.explainers.fitting import Extent
from autointerp.llm import ChatModel
from autointerp.llm.counting import UPPER_ESTIMATE, TokenCounter
from autointerp.templates import load_template

_N_TOKENS = 20


class OutputSide:
    """Asks an LLM which concept the unit makes the subject model write about."""

    name = "output_side"

    def __init__(
        self,
        model: ChatModel,
        config: ExplainConfig,
        *,
        seed: int,
        counter: TokenCounter = UPPER_ESTIMATE,
    ) -> None:
        self._config = config
        template = load_template("explain_output_side", "v1")
        self.prompts: tuple[PromptRef, ...] = (template.ref,)
        self._asking = Asking(self.name, template, model, config, seed=seed, counter=counter)

    async def explain(self, evidence: ExplainEvidence) -> Explained:
        """The LLM's answers, each text once; a failure where no tokens are known."""
        more, less = evidence.promoted[:_N_TOKENS], evidence.suppressed[:_N_TOKENS]
        if not (more or less):
            why = "which tokens the unit promotes and suppresses is not known"
            return Explained((), (f"{self.name}: {why}",))

        def values(extent: Extent) -> dict[str, str]:
            return {
                "promoted": _listed(more[: extent.n_records]),
                "suppressed": _listed(less[: extent.n_records]),
                "max_words": str(self._config.max_words),
            }

        return await self._asking.explained(evidence, values, n_records=max(len(more), len(less)))


def _listed(tokens: Sequence[str]) -> str:
    return f"[{', '.join(quoted(clipped(token)) for token in tokens)}]"
