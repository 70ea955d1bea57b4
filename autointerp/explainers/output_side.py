"""The tokens that a unit makes more and less probable, shown to an LLM (Gur-Arieh et al. 2025)."""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from autointerp.core.text import quoted
from autointerp.core.variants import PHRASE, Need
from autointerp.explainers.excerpts import Extent, clipped
from autointerp.explainers.explainer import Explained, ExplainerSpec, ExplainInputs, explain_calls
from autointerp.explainers.prompting import PromptedExplainer

_N_TOKENS = 20


class OutputSide(PromptedExplainer):
    """Asks an LLM which concept the unit makes the subject model write about."""

    name = "output_side"

    @override
    async def explain(self, inputs: ExplainInputs) -> Explained:
        more, less = inputs.promoted[:_N_TOKENS], inputs.suppressed[:_N_TOKENS]
        if not (more or less):
            return self.failed("which tokens the unit promotes and suppresses is not known")

        def values(extent: Extent) -> dict[str, str]:
            return {
                "promoted": _listed(more[: extent.n_records]),
                "suppressed": _listed(less[: extent.n_records]),
                "max_words": str(self._config.max_words),
            }

        return await self.answers(inputs, values, n_records=max(len(more), len(less)))


def _listed(tokens: Sequence[str]) -> str:
    return f"[{', '.join(quoted(clipped(token)) for token in tokens)}]"


SPEC = ExplainerSpec(
    name=OutputSide.name,
    build=OutputSide,
    needs=frozenset({Need.LLM, Need.LOGIT_EFFECTS}),
    calls=lambda job: (explain_calls("output_side", job, shown=4 * PHRASE),),
)
