"""What every explainer that asks an LLM has in common: asking, asking again, n answers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from autointerp.core.config import ExplainConfig
from autointerp.core.errors import RequestRefusedError
from autointerp.core.explanations import Explanation
from autointerp.core.quoting import defused
from autointerp.core.seeds import derive_seed
from autointerp.explainers.evidence import Explained, ExplainEvidence
from autointerp.explainers.fitting import (
    REASON_CHARS,
    Extent,
    PromptLimit,
    TooLongError,
    Turns,
    fit_turns,
)
from autointerp.explainers.parse import NO_PATTERN, UnreadableReplyError, parse_explanation
from autointerp.llm import ChatModel, ChatRequest, Features, JsonSchema, Message
from autointerp.llm.counting import UPPER_ESTIMATE, TokenCounter
from autointerp.templates import Template

T = TypeVar("T")

EXPLANATION_SCHEMA = JsonSchema(
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

_SMALL_TOKENS = 160


class UnansweredError(Exception):
    """Nothing usable came, also when asked again; the message is the reason."""


async def ask(model: ChatModel, request: ChatRequest, read: Callable[[str], T]) -> T:
    """What a reply says; one that cannot be read is asked for once more, with the reason.

    Args:
        model: the LLM.
        request: the question.
        read: reads a reply's text or raises `UnreadableReplyError`.

    Raises:
        UnansweredError: neither reply could be read, or the request was refused.
        UpstreamError: the LLM could not be used.
    """
    reason = ""
    for attempt in (request, None):
        try:
            reply = await model.reply(attempt or _again(request, reason))
            if reply.finish_reason == "length":
                reason = "the reply was cut off at its token limit"
                if model.features.small:
                    break  # It repeats itself, and would again.
            else:
                return read(reply.text)
        except UnreadableReplyError as error:
            reason = str(error)
        except RequestRefusedError as error:
            raise UnansweredError(str(error)) from error
    raise UnansweredError(reason)


def _again(request: ChatRequest, reason: str) -> ChatRequest:
    # It may quote the reply, which may hold anything.
    why = defused(reason.encode("ascii", "backslashreplace").decode())[:REASON_CHARS]
    advice = Message("user", f"That cannot be used: {why}. Answer again, as asked above.")
    unusable = Message("assistant", "(unusable)")
    return replace(request, messages=(*request.messages, unusable, advice))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a reply said."""

    text: str
    program: str | None = None

    @property
    def key(self) -> str:
        """Equal for answers that say the same."""
        return self.program or self.text.casefold()

    @property
    def is_no_pattern(self) -> bool:
        """Whether it says that there is no single pattern."""
        return self.program is None and self.text.lower().startswith(NO_PATTERN)


@dataclass(frozen=True, slots=True)
class ReplyForm:
    """What a reply looks like and how it is read."""

    read: Callable[[str], Answer]
    max_tokens: int = 400
    schema: JsonSchema | None = None
    stop: tuple[str, ...] = ()

    @classmethod
    def json(cls, *, max_words: int) -> ReplyForm:
        """``{"explanation": "..."}``, of so many words at most."""
        return cls(
            lambda reply: Answer(parse_explanation(reply, as_json=True, max_words=max_words)),
            schema=EXPLANATION_SCHEMA,
        )

    def within(self, features: Features) -> ReplyForm:
        """With less room for a small model, which fills whatever it gets with repetitions."""
        limit = _SMALL_TOKENS if features.small else self.max_tokens
        return replace(self, max_tokens=min(self.max_tokens, limit))

    def request(
        self, turns: Turns, *, temperature: float, seed: int, fresh: bool = False
    ) -> ChatRequest:
        """The question that these turns put."""
        return ChatRequest(
            messages=tuple(Message(role, content) for role, content in turns),
            max_tokens=self.max_tokens,
            temperature=temperature,
            seed=seed % 2**31,
            stop=self.stop,
            schema=self.schema,
            fresh=fresh,
        )


class Asking:
    """One explainer's way to its answers."""

    def __init__(  # noqa: PLR0913
        self,
        name: str,
        template: Template,
        model: ChatModel,
        config: ExplainConfig,
        *,
        seed: int,
        counter: TokenCounter = UPPER_ESTIMATE,
    ) -> None:
        self._name, self._template, self._seed = name, template, seed
        self._model, self._config = model, config
        self._limit = PromptLimit(model.features.n_ctx, counter)

    async def explained(
        self,
        evidence: ExplainEvidence,
        render: Callable[[Extent], dict[str, str]],
        *,
        n_records: int,
        form: ReplyForm | None = None,
    ) -> Explained:
        """The LLM's answers, each once; the first is asked for at temperature 0.

        Args:
            evidence: of the unit; decides the seeds.
            render: the template's values with so much of the evidence.
            n_records: exemplars that there are to show, at least one.
            form: of the reply; a short text as JSON where None.
        """
        form = form or ReplyForm.json(max_words=self._config.max_words)
        form = form.within(self._model.features)
        try:
            turns = fit_turns(
                lambda extent: self._template.render(**render(extent)),
                n_records,
                self._limit,
                reply_tokens=form.max_tokens,
                context_tokens=self._config.context_tokens,
            )
        except TooLongError as error:
            return Explained((), (f"{self._name}: {error}",))
        samples = range(self._config.n_samples)
        replies = await asyncio.gather(*(self._ask(evidence, turns, form, n) for n in samples))
        failures = tuple(reply for reply in replies if isinstance(reply, str))
        found = [reply for reply in replies if not isinstance(reply, str)]
        patterns = [pair for pair in found if not pair[0].is_no_pattern]
        different: dict[str, Explanation] = {}
        for answer, explanation in patterns:
            different.setdefault(answer.key, explanation)
        none = len(patterns) < len(found)
        return Explained(tuple(different.values()), failures, found_no_pattern=none)

    async def _ask(
        self, evidence: ExplainEvidence, turns: Turns, form: ReplyForm, sample: int
    ) -> tuple[Answer, Explanation] | str:
        temperature = 0.0 if sample == 0 else self._config.temperature
        records = evidence.records
        seed = derive_seed(self._seed, self._name, str(records.unit), records.side, sample)
        request = form.request(turns, temperature=temperature, seed=seed, fresh=evidence.fresh)
        try:
            answer = await ask(self._model, request, form.read)
        except UnansweredError as error:
            return f"{self._name} answer {sample}: {error}"
        return answer, Explanation(
            text=answer.text,
            explainer=self._name,
            model=self._model.name,
            prompt=self._template.ref,
            temperature=temperature,
            sample=sample,
            program=answer.program,
        )
