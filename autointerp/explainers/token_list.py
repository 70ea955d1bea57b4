"""The tokens that carry the activation, without their context, shown to an LLM."""

from __future__ import annotations

from typing_extensions import override

from autointerp.core.records import MAX_LEVEL
from autointerp.core.text import quoted
from autointerp.core.variants import PHRASE
from autointerp.explainers.excerpts import Extent, clipped
from autointerp.explainers.explainer import Explained, ExplainerSpec, ExplainInputs, explain_calls
from autointerp.explainers.prompting import PromptedExplainer
from autointerp.explainers.token_lookup import telling_tokens

_N_TOKENS = 30


class TokenList(PromptedExplainer):
    """Asks an LLM what the telling tokens have in common."""

    name = "token_list"

    @override
    async def explain(self, inputs: ExplainInputs) -> Explained:
        tokens = telling_tokens(inputs.token_means)[:_N_TOKENS]
        if not tokens:
            return self.failed("no token is more active than the others")

        def values(extent: Extent) -> dict[str, str]:
            text = render_token_list(inputs, tokens[: extent.n_records])
            return {"tokens": text, "max_words": str(self._config.max_words)}

        return await self.answers(inputs, values, n_records=len(tokens))


def render_token_list(inputs: ExplainInputs, tokens: tuple[int, ...]) -> str:
    """``" river" 7.5 (12 times)`` a line: mean activation in tenths of the peak, and count."""
    means, peak = inputs.token_means, inputs.records.peak
    lines = []
    for token, piece in zip(tokens, inputs.tokenizer.pieces(tokens), strict=True):
        level = MAX_LEVEL * (means.means[token] / peak)
        lines.append(f"{quoted(clipped(piece))} {level:.1f} ({means.counts[token]} times)")
    return "\n".join(lines)


SPEC = ExplainerSpec(
    name=TokenList.name,
    build=TokenList,
    calls=lambda job: (explain_calls("token_list", job, shown=10 * PHRASE),),
)
