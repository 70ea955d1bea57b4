"""Active tokens marked in their text, ``<<...>>``, shown to an LLM (Paulo et al. 2024)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from typing_extensions import override

from autointerp.core.ids import Side
from autointerp.core.records import ActivationRecord
from autointerp.core.text import escaped_from, quoted, spells_a_mark
from autointerp.explainers.excerpts import Extent, cut_around
from autointerp.explainers.explainer import (
    Explained,
    ExplainerSpec,
    ExplainInputs,
    exemplar_tokens,
    explain_calls,
)
from autointerp.explainers.prompting import PromptedExplainer

LEFT, RIGHT = "<<", ">>"
# Of the excerpt's own peak, so that a weak excerpt has its marks too.
_MARKED_FROM = 0.3


class MarkedTokens(PromptedExplainer):
    """Asks an LLM what the marked tokens of the strongest excerpts have in common."""

    name = "marked_tokens"

    @override
    async def explain(self, inputs: ExplainInputs) -> Explained:
        records = inputs.records
        shown = self.exemplars(inputs)

        def values(extent: Extent) -> dict[str, str]:
            text = render_marked(shown, records.side, extent)
            return {"exemplars": text, "max_words": str(self._config.max_words)}

        return await self.answers(inputs, values, n_records=len(shown))


def render_marked(records: Sequence[ActivationRecord], side: Side, extent: Extent) -> str:
    """Excerpts around their peaks; runs of tokens from 30 % of the excerpt's peak on are marked.

    Every ``<`` and ``>`` of the text itself is a JSON escape, so that none passes for a mark.
    """
    lines = []
    for number, record in enumerate(records[: extent.n_records], 1):
        activations = record.side(side)
        peak = max(activations)
        place = activations.index(peak)
        tokens, shown = cut_around(record.tokens, activations, place, extent)
        marked = [value > 0 and value >= _MARKED_FROM * peak for value in shown]
        parts = []
        for is_marked, run in groupby(zip(tokens, marked, strict=True), key=lambda pair: pair[1]):
            text = escaped("".join(token for token, _ in run))
            parts.append(mark(text) if is_marked else text)
        lines.append(f'Excerpt {number}: "{"".join(parts)}"')
    return "\n\n".join(lines)


def mark(text: str) -> str:
    """An escaped text between the marks."""
    # <<s>> holds <s>, which some models read as the beginning of a text.
    inside = escaped_from(text, 0) if spells_a_mark(f"<{text}>") else text
    return f"{LEFT}{inside}{RIGHT}"


def escaped(text: str) -> str:
    """The text in JSON's spelling, without quotes around it or anything that passes for a mark."""
    return quoted(text)[1:-1].replace("<", "\\u003c").replace(">", "\\u003e")


SPEC = ExplainerSpec(
    name=MarkedTokens.name,
    build=MarkedTokens,
    calls=lambda job: (explain_calls("marked_tokens", job, shown=exemplar_tokens(job)),),
)
