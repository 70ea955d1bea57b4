"""Token-activation pairs shown to an LLM (Bills et al. 2023), best of n answers.

Two styles: for models that follow instructions, excerpts with their active tokens and levels
(prompt v1); for models that only continue patterns, few-shot turns with the peaks' words (v2).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace

from autointerp.core.config import ExplainConfig
from autointerp.core.errors import RequestRefusedError
from autointerp.core.explanations import Explanation
from autointerp.core.ids import Side
from autointerp.core.levels import to_levels
from autointerp.core.records import ActivationRecord, ExplainSet
from autointerp.core.seeds import derive_seed
from autointerp.explainers.evidence import Explained, ExplainEvidence
from autointerp.explainers.parse import NO_PATTERN, UnreadableReplyError, parse_explanation
from autointerp.llm import ChatModel, ChatReply, ChatRequest, JsonSchema, Message
from autointerp.templates import load_template

__all__ = ["TokenActivation", "render_pairs", "render_words"]

_PROMPT = "explain_token_activation"
_BEFORE, _AFTER = 24, 12
_SCHEMA = JsonSchema(
    "explanation",
    json.dumps(
        {
            "type": "object",
            "properties": {"explanation": {"type": "string"}},
            "required": ["explanation"],
            "additionalProperties": False,
        }
    ),
)


class TokenActivation:
    """Asks an LLM what the strongest excerpts have in common."""

    name = "token_activation"

    def __init__(self, model: ChatModel, config: ExplainConfig, *, seed: int) -> None:
        self._model, self._config, self._seed = model, config, seed
        self._version = config.prompt or ("v2" if model.features.small else "v1")
        self.template = load_template(_PROMPT, self._version)

    async def explain(self, evidence: ExplainEvidence) -> Explained:
        """The LLM's answers, each text once; the first is asked for at temperature 0."""
        replies = await asyncio.gather(
            *(self._ask(evidence, sample) for sample in range(self._config.n_samples))
        )
        explanations: dict[str, Explanation] = {}
        failures = [reply for reply in replies if isinstance(reply, str)]
        found = [reply for reply in replies if isinstance(reply, Explanation)]
        patterns = [e for e in found if not e.text.lower().startswith(NO_PATTERN)]
        for explanation in patterns:
            explanations.setdefault(explanation.text.casefold(), explanation)
        none = len(patterns) < len(found)
        return Explained(tuple(explanations.values()), tuple(failures), found_no_pattern=none)

    async def _ask(self, evidence: ExplainEvidence, sample: int) -> Explanation | str:
        temperature = 0.0 if sample == 0 else self._config.temperature
        request = self._request(evidence.records, sample, temperature)
        request = replace(request, fresh=evidence.fresh)
        reason = ""
        # A reply that cannot be read is asked for once more, with the reason.
        for attempt in (request, None):
            try:
                text = self._read(await self._model.reply(attempt or _again(request, reason)))
            except UnreadableReplyError as error:
                reason = str(error)
            except RequestRefusedError as error:
                return f"{self.name} answer {sample}: {error}"
            else:
                return Explanation(
                    text=text,
                    explainer=self.name,
                    model=self._model.name,
                    prompt=self.template.ref,
                    temperature=temperature,
                    sample=sample,
                )
        return f"{self.name} answer {sample}: {reason}"

    def _read(self, reply: ChatReply) -> str:
        if reply.finish_reason == "length":
            msg = "the reply was cut off at its token limit"
            raise UnreadableReplyError(msg)
        return parse_explanation(
            reply.text, as_json=self._is_json, max_words=self._config.max_words
        )

    @property
    def _is_json(self) -> bool:
        return self._version == "v1"

    def _request(self, records: ExplainSet, sample: int, temperature: float) -> ChatRequest:
        shown = records.activating[: self._config.n_exemplars]
        seed = derive_seed(self._seed, self.name, str(records.unit), records.side, sample)
        if self._is_json:
            text = render_pairs(shown, records.side, records.peak)
            turns = self.template.render(exemplars=text, max_words=str(self._config.max_words))
        else:
            turns = self.template.render(words=render_words(shown, records.side))
        return ChatRequest(
            messages=tuple(Message(role, content) for role, content in turns),
            max_tokens=400 if self._is_json else 24,
            temperature=temperature,
            seed=seed % 2**31,
            schema=_SCHEMA if self._is_json else None,
            stop=() if self._is_json else ("\n",),
        )


def _again(request: ChatRequest, reason: str) -> ChatRequest:
    advice = Message("user", f"That cannot be used: {reason}. Answer again, as asked above.")
    unusable = Message("assistant", "(unusable)")
    return replace(request, messages=(*request.messages, unusable, advice))


def render_pairs(records: Sequence[ActivationRecord], side: Side, peak: float) -> str:
    """Excerpts around their peaks, each with its active tokens and levels."""
    blocks = []
    for number, record in enumerate(records, 1):
        tokens, activations = _around_peak(record, side)
        levels = to_levels(activations, peak=peak)
        pairs = [
            f"{json.dumps(token, ensure_ascii=False)} {level}"
            for token, level in zip(tokens, levels, strict=True)
            if level
        ]
        text = json.dumps("".join(tokens), ensure_ascii=False)
        blocks.append(f"Excerpt {number}: {text}\nActive: {', '.join(pairs) or 'nothing'}")
    return "\n\n".join(blocks)


def render_words(records: Sequence[ActivationRecord], side: Side) -> str:
    """The word around each record's peak, strongest first, separated by commas."""
    return ", ".join(_peak_word(record, side) for record in records)


def _peak_word(record: ActivationRecord, side: Side) -> str:
    """The whole word that the peak token is a part of: small models know words, not pieces."""
    activations, tokens = record.side(side), record.tokens
    first = max(range(len(tokens)), key=activations.__getitem__)
    last = first
    while first and not tokens[first][:1].isspace() and tokens[first - 1][-1:].isalnum():
        first -= 1
    while last + 1 < len(tokens) and tokens[last + 1][:1].isalpha() and tokens[last][-1:].isalpha():
        last += 1
    word = " ".join("".join(tokens[first : last + 1]).split())
    return word or json.dumps(tokens[last])


def _around_peak(record: ActivationRecord, side: Side) -> tuple[tuple[str, ...], tuple[float, ...]]:
    activations = record.side(side)
    peak = max(range(len(activations)), key=activations.__getitem__)
    cut = slice(max(0, peak - _BEFORE), peak + _AFTER + 1)
    return record.tokens[cut], activations[cut]
