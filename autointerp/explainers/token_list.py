"""The tokens that carry the activation, without their context, shown to an LLM."""

from __future__ import annotations

from autointerp.core.config import ExplainConfig
from autointerp.core.explanations import PromptRef
from autointerp.core.levels import MAX_LEVEL
from autointerp.core.quoting import quoted
from autointerp.explainers.asking import Asking
from autointerp.explainers.evidence import Explained, ExplainEvidence
from autointerp.explainers.excerpts import clipped
from autointerp.explainers.fitting import Extent
from autointerp.explainers.token_lookup import telling_tokens
from autointerp.llm import ChatModel
from autointerp.llm.counting import UPPER_ESTIMATE, TokenCounter
from autointerp.templates import load_template

_N_TOKENS = 30


class TokenList:
    """Asks an LLM what the telling tokens have in common."""

    name = "token_list"

    def __init__(
        self,
        model: ChatModel,
        config: ExplainConfig,
        *,
        seed: int,
        counter: TokenCounter = UPPER_ESTIMATE,
    ) -> None:
        self._config = config
        template = load_template("explain_token_list", "v1")
        self.prompts: tuple[PromptRef, ...] = (template.ref,)
        self._asking = Asking(self.name, template, model, config, seed=seed, counter=counter)

    async def explain(self, evidence: ExplainEvidence) -> Explained:
        """The LLM's answers, each text once."""
        tokens = telling_tokens(evidence.token_means)[:_N_TOKENS]
        if not tokens:
            return Explained((), (f"{self.name}: no token is more active than the others",))

        def values(extent: Extent) -> dict[str, str]:
            text = render_token_list(evidence, tokens[: extent.n_records])
            return {"tokens": text, "max_words": str(self._config.max_words)}

        return await self._asking.explained(evidence, values, n_records=len(tokens))


def render_token_list(evidence: ExplainEvidence, tokens: tuple[int, ...]) -> str:
    """``" river" 7.5 (12 times)`` a line: mean activation in tenths of the peak, and count."""
    means, peak = evidence.token_means, evidence.records.peak
    lines = []
    for token, piece in zip(tokens, evidence.tokenizer.pieces(tokens), strict=True):
        level = MAX_LEVEL * (means.means[token] / peak)
        lines.append(f"{quoted(clipped(piece))} {level:.1f} ({means.counts[token]} times)")
    return "\n".join(lines)
