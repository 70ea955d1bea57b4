"""What explainers that ask an LLM have in common: the request, one repeat of it, n answers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from typing_extensions import override

from autointerp.core.errors import RequestRefusedError
from autointerp.core.explanations import Explanation, PromptRef
from autointerp.core.records import ActivationRecord
from autointerp.core.seeds import derive_seed
from autointerp.core.sense_types import Sense
from autointerp.core.text import defused, plain_text
from autointerp.explainers.excerpts import (
    REASON_CHARS,
    Extent,
    PromptLimit,
    TooLongError,
    Turns,
    fit_turns,
)
from autointerp.explainers.explainer import (
    Explained,
    Explainer,
    ExplainerDependencies,
    ExplainInputs,
)
from autointerp.explainers.parse import NO_PATTERN, parse_explanation
from autointerp.llm import (
    UPPER_ESTIMATE,
    ChatModel,
    ChatRequest,
    Features,
    JsonSchema,
    Message,
    TokenCounter,
)
from autointerp.llm.answers import CUT_OFF, ONLY_REASONING, NoAnswerError, is_only_reasoning
from autointerp.llm.reply_formats import object_schema
from autointerp.llm.thoughts import without_thoughts
from autointerp.llm.wrapped_model import why_refused
from autointerp.templates import load_template

T = TypeVar("T")

EXPLANATION_SCHEMA = object_schema("explanation", {"explanation": {"type": "string"}})

_SMALL_TOKENS = 160
_MOST_RENDERED = 8
_UNSHOWN = "(unusable)"
_REJECTED_CHARS = (1200, 600, 300, 150)
"""How many characters of a rejected reply are shown; fewer where they do not fit."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


class UnansweredError(Exception):
    """Nothing usable came, also when asked again; the message is the reason."""


async def ask(
    model: ChatModel,
    request: ChatRequest,
    read: Callable[[str], T],
    *,
    lacks: Callable[[T], str | None] = lambda _: None,
    counter: TokenCounter = UPPER_ESTIMATE,
) -> T:
    """What a reply says; one that cannot be read is asked for once more, with it and the reason.

    So is one that can be read in part, where `lacks` says what cannot be used of it; what can,
    is kept where asking again does not help.

    Raises:
        UnansweredError: neither reply could be read, or the request was refused.
        UpstreamError: the LLM could not be used.
    """
    reason, rejected, best = "", "", None
    for attempt in (request, None):
        try:
            limit = PromptLimit(model.features.n_ctx, counter)
            reply = await model.reply(attempt or _again(request, reason, rejected, limit))
            # A small model repeats what it is shown.
            rejected = _UNSHOWN if model.features.small else reply.text
            if reply.finish_reason == "length":
                reason = CUT_OFF
                if model.features.small:
                    break  # It repeats itself, and would again.
            elif is_only_reasoning(reply):
                reason = ONLY_REASONING
            else:
                best = read(reply.text)
                lack = lacks(best)
                if lack is None:
                    return best
                reason = lack
        except NoAnswerError as error:
            reason = str(error)
        except RequestRefusedError as error:
            reason = why_refused(error)
            break
    if best is None:
        raise UnansweredError(reason)
    return best


def _again(request: ChatRequest, reason: str, rejected: str, limit: PromptLimit) -> ChatRequest:
    def fits(more: Turns) -> bool:
        turns = [(message.role, message.content) for message in request.messages]
        return limit.has_room([*turns, *more], reply_tokens=request.max_tokens)

    turns = again_turns(reason, rejected, fits)
    more = (Message(role, text) for role, text in turns)
    return replace(request, messages=(*request.messages, *more))


def again_turns(reason: str, rejected: str, fits: Callable[[Turns], bool]) -> Turns:
    """The turns that ask for a reply once more: the rejected one, and why it cannot be used.

    Of the rejected one its beginning is shown, as much as fits behind the prompt.
    """
    # It may quote the reply, which may hold anything.
    why = defused(reason.encode("ascii", "backslashreplace").decode())[:REASON_CHARS]
    advice = f"That cannot be used: {why}. Answer again, as asked above."
    answer = defused(_CONTROL.sub(" ", plain_text(without_thoughts(rejected)))).strip()
    for most in _REJECTED_CHARS:
        shown = answer if len(answer) <= most else f"{answer[: most - 1]}…"
        turns: Turns = (("assistant", shown or "(no answer)"), ("user", advice))
        if fits(turns):
            return turns
    return ("assistant", _UNSHOWN), ("user", advice)


@dataclass(frozen=True, slots=True)
class ParsedReply:
    """An explanation as it was read from a reply."""

    text: str
    program: str | None = None
    senses: tuple[Sense, ...] = ()
    left_out: str | None = None
    """What of its senses cannot be used, and why, for which it is asked again; else None."""
    note: str | None = None
    """What else was left out of it; None where nothing was."""

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for replies that say the same."""
        senses = tuple(replace(s, description=s.description.casefold()) for s in self.senses)
        return self.program or self.text.casefold(), senses

    @property
    def is_no_pattern(self) -> bool:
        """Whether it says that there is no single pattern."""
        return self.program is None and self.text.lower().startswith(NO_PATTERN)


@dataclass(frozen=True, slots=True)
class ReplyForm:
    """What a reply looks like and how it is read."""

    read: Callable[[str], ParsedReply]
    max_tokens: int = 400
    schema: JsonSchema | None = None
    stop: tuple[str, ...] = ()

    @classmethod
    def json(cls, *, max_words: int) -> ReplyForm:
        """``{"explanation": "..."}``, of so many words at most."""
        return cls(
            lambda reply: ParsedReply(parse_explanation(reply, as_json=True, max_words=max_words)),
            schema=EXPLANATION_SCHEMA,
        )

    def within(self, features: Features) -> ReplyForm:
        """With less room for a small model, which fills whatever it gets with repetitions."""
        limit = _SMALL_TOKENS if features.small else self.max_tokens
        return replace(self, max_tokens=min(self.max_tokens, limit))

    def request(
        self, turns: Turns, *, temperature: float, seed: int, fresh: bool = False
    ) -> ChatRequest:
        """The request with these turns."""
        return ChatRequest(
            messages=tuple(Message(role, content) for role, content in turns),
            max_tokens=self.max_tokens,
            temperature=temperature,
            seed=seed % 2**31,
            stop=self.stop,
            schema=self.schema,
            fresh=fresh,
        )


class PromptedExplainer(Explainer):
    """An explainer that puts one prompt to an LLM, ``explain_`` and its name, several times."""

    name: str

    def __init__(self, dependencies: ExplainerDependencies, *, version: str = "v1") -> None:
        self._model, self._config = dependencies.model, dependencies.config
        self._seed = dependencies.seed
        self.template = load_template(f"explain_{self.name}", version)
        self._counter = dependencies.counter

    @property
    @override
    def prompts(self) -> tuple[PromptRef, ...]:
        return (self.template.ref,)

    def exemplars(self, inputs: ExplainInputs) -> tuple[ActivationRecord, ...]:
        """The activating records to show, strongest first."""
        return inputs.records.activating[: self._config.n_exemplars]

    def failed(self, reason: str) -> Explained:
        """No explanation, and why."""
        return Explained((), (f"{self.name}: {reason}",))

    async def answers(
        self,
        inputs: ExplainInputs,
        render: Callable[[Extent], dict[str, str]],
        *,
        n_records: int,
        form: ReplyForm | None = None,
        context_tokens: int | None = None,
    ) -> Explained:
        """The LLM's answers, each once; the first is asked for at temperature 0.

        With no record to show, nothing is asked. The form is a short text as JSON where None, and
        the tokens before a peak as many as configured.
        """
        if not n_records:
            return self.failed("there is no activating record to show")
        form = form or ReplyForm.json(max_words=self._config.max_words)
        form = form.within(self._model.features)
        context = self._config.context_tokens if context_tokens is None else context_tokens
        samples = range(self._config.n_samples)
        # Again as long as the endpoint says that less fits.
        for _ in range(_MOST_RENDERED):
            n_ctx = self._model.features.n_ctx
            try:
                turns = fit_turns(
                    lambda extent: self.template.render(**render(extent)),
                    n_records,
                    PromptLimit(n_ctx, self._counter),
                    reply_tokens=form.max_tokens,
                    context_tokens=context,
                )
            except TooLongError as error:
                return self.failed(str(error))
            replies = await asyncio.gather(*(self._ask(inputs, turns, form, n) for n in samples))
            if self._model.features.n_ctx == n_ctx:
                break
        failures = tuple(why for why in map(self._why_failed, samples, replies) if why)
        answers = [reply for reply in replies if not isinstance(reply, str)]
        patterns = [pair for pair in answers if not pair[0].is_no_pattern]
        different: dict[tuple[object, ...], Explanation] = {}
        for reply, explanation in patterns:
            different.setdefault(reply.key, explanation)
        none = len(patterns) < len(answers)
        return Explained(tuple(different.values()), failures, found_no_pattern=none)

    def _why_failed(self, sample: int, reply: tuple[ParsedReply, Explanation] | str) -> str | None:
        if isinstance(reply, str):
            return f"{self.name} answer {sample}: {reply}"
        left_out = "; ".join(filter(None, (reply[0].left_out, reply[0].note)))
        return left_out and f"{self.name} answer {sample}: left out of it: {left_out}"

    async def _ask(
        self, inputs: ExplainInputs, turns: Turns, form: ReplyForm, sample: int
    ) -> tuple[ParsedReply, Explanation] | str:
        temperature = 0.0 if sample == 0 else self._config.temperature
        records = inputs.records
        seed = derive_seed(self._seed, self.name, str(records.unit), records.side, sample)
        request = form.request(turns, temperature=temperature, seed=seed, fresh=inputs.fresh)
        try:
            reply = await ask(
                self._model,
                request,
                form.read,
                lacks=lambda one: one.left_out,
                counter=self._counter,
            )
        except UnansweredError as error:
            return str(error)
        return reply, Explanation(
            text=reply.text,
            explainer=self.name,
            model=self._model.name,
            prompt=self.template.ref,
            temperature=temperature,
            sample=sample,
            program=reply.program,
            senses=reply.senses,
        )
