"""OpenAI's format of chat requests and replies."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from autointerp.llm.answers import is_only_reasoning
from autointerp.llm.api_errors import error_in, shortened_line
from autointerp.llm.capabilities import LIMITS, Capabilities
from autointerp.llm.chat_model import ChatReply, ChatRequest, Features, Message, Usage
from autointerp.llm.error_body import fields_of, words_of
from autointerp.llm.foreign_replies import CUT
from autointerp.llm.reply_body import n_tokens, read_content, read_json, read_logprobs, read_usage

_BROKEN = re.compile(r"error|abort|cancel|fail|interrupt", re.IGNORECASE)
_FILTER = re.compile(
    r"filter|refus|safety|block|prohibit|recitation|spii|sensitive|moderat|guardrail|policy|flag"
    r"|censor|toxic",
    re.IGNORECASE,
)
_SAYS = "; it says: "
# Of fewer tokens many an answer has exactly as many.
_LEAST_CUT = 64
# What a chat template may put around a prompt.
_AROUND = 64
Answer = tuple[ChatReply, int | None]
"""A reply, and the hidden tokens that left no room for one."""


class NotJsonError(Exception):
    """A body that is not JSON at all: a proxy's page, half a reply, nothing."""


class WrongShapeError(Exception):
    """JSON that is not a completion."""

    @property
    def is_told(self) -> bool:
        """Whether it holds words of an error."""
        return _SAYS in str(self)


class BrokenReplyError(Exception):
    """A completion that says that the reply ended by a fault."""


class WireModel(BaseModel):
    """A part of what endpoints send."""

    # Endpoints add fields of their own, so unknown ones are ignored here and nowhere else.
    model_config = ConfigDict(extra="ignore", strict=True)


class _ListedModel(WireModel):
    id: str


class _ModelList(WireModel):
    data: list[_ListedModel]


def read_reply(body: bytes, *, model: str) -> ChatReply:
    """The reply in a body that came with status 200; without choices or text, one without text.

    `model` names the model where the endpoint does not say which answered.

    Raises:
        NotJsonError: the body is not JSON.
        WrongShapeError: it is JSON of another shape, or an error.
        BrokenReplyError: the reply ended by a fault.
    """
    completion = _completion(body)
    choice = _first_choice(completion)
    message = _message(choice)
    content = read_content(message)
    reason, text = choice.get("finish_reason"), content.answer
    reason = reason if isinstance(reason, str) and reason else "unknown" if text else "error"
    refused = message.get("refusal") or _refusal_part(message.get("content"))
    if refused:
        text, reason = str(refused), "refusal"
    elif not text:
        # Filters leave nothing but their reason.
        reason = _blocked(choice) or _blocked(completion) or reason
    ended = str(choice.get("finish_reason"))
    if _BROKEN.search(ended) and not (_FILTER.search(ended) or error_in(completion)):
        raise BrokenReplyError(ended)
    native = str(choice.get("native_finish_reason", ""))
    reason = native if _FILTER.search(native) else reason
    if error_in(completion) and (not text or reason == "error"):
        raise WrongShapeError(f"choices: an error stands in its place{_quoted(completion)}")
    named = completion.get("model")
    return ChatReply(
        text=text,
        finish_reason="length" if CUT.search(reason) else reason,
        tokens=read_logprobs(choice.get("logprobs")),
        usage=read_usage(_usage_in(completion)),
        model=named if isinstance(named, str) and named else model,
        thoughts=content.thoughts,
    )


def _refusal_part(content: object) -> object:
    parts = content if isinstance(content, list) else []
    refusals = (one.get("refusal") for one in parts if isinstance(one, dict))
    return next((refused for refused in refusals if refused), None)


def _blocked(value: object) -> str | None:
    """Why a prompt was blocked, as services without choices tell it."""
    fields = list(fields_of(value))
    named = (text for name, text in fields if "block" in name.lower() and isinstance(text, str))
    filtered = any(is_so is True and _FILTER.search(name) for name, is_so in fields)
    reason = next(named, None)
    return f"block: {reason}" if reason else "content_filter" if filtered else None


def why_refused_in(reply: ChatReply) -> str | None:
    """Predicate of a sentence about who refused in a reply; None where nobody did."""
    if reply.finish_reason == "refusal" and reply.text:
        return f"refused to answer: {shortened_line(reply.text)!r}"
    if _FILTER.search(reply.finish_reason):
        return f"stopped the reply by its content filter ({reply.finish_reason})"
    return None


def read_answer(body: bytes, *, model: str, limit: int | None) -> tuple[Answer, Usage]:
    """The answer in a body of a completion, whose tokens were limited so, and what it cost."""
    reply = read_reply(body, model=model)
    hidden = starved_tokens(body)
    # Some say that a reply stopped where it was cut.
    is_full = limit is not None and reply.usage.completion_tokens >= limit
    if hidden is None and reply.finish_reason != "length" and not is_full:
        return (reply, None), reply.usage
    if reply.text and not is_only_reasoning(reply):
        is_cut = reply.usage.completion_tokens == limit and limit >= _LEAST_CUT
        return (replace(reply, finish_reason="length") if is_cut else reply, None), reply.usage
    # What filled the limit is not in the answer, whether the endpoint says so or not.
    return (reply, hidden or reply.usage.completion_tokens), reply.usage


def starved_tokens(body: bytes) -> int | None:
    """Tokens of hidden reasoning that left no room for an answer; None where that is not so.

    The body is of a chat completion that `read_reply` has read.
    """
    completion = _completion(body)
    reply = read_reply(body, model="")
    usage = _usage_in(completion)
    details = usage.get("completion_tokens_details") if isinstance(usage, dict) else None
    inner = details if isinstance(details, dict) else usage if isinstance(usage, dict) else {}
    hidden = n_tokens(inner.get("reasoning_tokens", inner.get("thoughtsTokenCount")))
    if reply.finish_reason != "length":
        return None if reply.text or why_refused_in(reply) else hidden or None
    return hidden or (reply.usage.completion_tokens if reply.thoughts else None)


def _completion(body: bytes) -> dict[str, Any]:
    value = parsed(body)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if isinstance(value, dict) and "choices" not in value and _blocked(value):
        value = {**value, "choices": None}
    if not isinstance(value, dict) or not isinstance(value.get("choices", ""), list | None):
        place = "choices" if isinstance(value, dict) else "the body"
        raise WrongShapeError(f"{place}: not a list of choices{_quoted(value)}")
    return value


def _usage_in(completion: dict[str, Any]) -> object:
    return completion.get("usage") or completion.get("usageMetadata") or completion


def _first_choice(completion: dict[str, Any]) -> dict[str, Any]:
    """The first choice that says something."""
    listed = completion["choices"] or [{"message": {}}]
    choices = [{"message": one} if isinstance(one, str) else one for one in listed]
    choices = [one for one in choices if isinstance(one, dict)]
    if not choices:
        raise WrongShapeError(f"choices.0: not an object{_quoted(completion)}")
    speaking = (one for one in choices if read_content(_message(one)).answer)
    return next(speaking, choices[0]) if len(choices) > 1 else choices[0]


def _message(choice: dict[str, Any]) -> dict[str, Any]:
    names = ("message", "delta", "text", "content", "output")
    message = next((choice[name] for name in names if choice.get(name) is not None), None)
    if isinstance(message, str | list):
        return {"content": message}
    if message is None and isinstance(choice.get("finish_reason"), str):
        return {}
    if not isinstance(message, dict):
        raise WrongShapeError("choices.0.message: not an object")
    return message


def _quoted(value: object) -> str:
    words = words_of(value)
    return f"{_SAYS}{shortened_line(words)}" if words else ""


def read_model_names(body: bytes) -> list[str] | None:
    """Names in a list of models, sorted; None where the body is something else."""
    try:
        return sorted(model.id for model in _ModelList.model_validate_json(body).data)
    except ValidationError:
        return None


def parsed(body: bytes) -> object:
    """The JSON of a body.

    Raises:
        NotJsonError: it is not JSON.
    """
    try:
        return read_json(body)
    except ValueError:
        start = shortened_line(" ".join(body[:400].decode("utf-8", "replace").split())[:60])
        raise NotJsonError(f"beginning {start!r}" if start else "an empty body") from None


def chat_body(
    request: ChatRequest, *, model: str, features: Features, known: Capabilities
) -> dict[str, Any]:
    """The JSON body of a request, without what the endpoint is known not to take.

    The features' hidden tokens are added to the limit.
    """
    taken = known.within(features)
    limit = request.max_tokens + max(features.hidden_tokens, known.hidden_tokens)
    if known.n_ctx is not None:
        room = known.n_ctx - _AROUND - sum(len(m.content) for m in request.messages) // 3
        limit = min(limit, max(room, request.max_tokens))
    limit = limit if known.max_limit is None else min(limit, known.max_limit)
    messages = request.messages if taken.system_role else without_system(request.messages)
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": sendable(m.content)} for m in messages],
        known.limit_name: limit,
        "temperature": request.temperature,
        "seed": request.seed,
        "stop": list(request.stop) or None,
        **_format(request, taken, known),
    }
    if request.top_logprobs and taken.logprobs:
        body["logprobs"] = True
        body["top_logprobs"] = min(request.top_logprobs, taken.max_top_logprobs)
    return {k: v for k, v in body.items() if v is not None and k not in known.dropped}


def limit_of(body: dict[str, Any]) -> int | None:
    """The limit on a reply's tokens in a body; None where it has none."""
    return next((int(body[name]) for name in LIMITS if name in body), None)


def without_system(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """The turns with instructions in front of the first user's words, and roles that alternate."""
    folded: list[Message] = []
    for message in messages:
        role = "user" if message.role == "system" else message.role
        if folded and folded[-1].role == role:
            content = f"{folded.pop().content}\n\n{message.content}"
            message = Message(role, content)  # noqa: PLW2901
        folded.append(Message(role, message.content))
    return tuple(folded)


def sendable(text: str) -> str:
    """The text with lone surrogates replaced: they cannot be written as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _format(request: ChatRequest, taken: Features, known: Capabilities) -> dict[str, Any]:
    if request.grammar is not None and taken.grammar:
        return {"grammar": request.grammar}
    if request.schema is None or not taken.schema:
        return {}
    if known.json_object:
        # OpenAI refuses this where the prompt does not speak of JSON.
        names_json = any("json" in message.content.lower() for message in request.messages)
        return {"response_format": {"type": "json_object"}} if names_json else {}
    schema = {
        "name": request.schema.name,
        "schema": json.loads(request.schema.text),
        "strict": True,
    }
    return {"response_format": {"type": "json_schema", "json_schema": schema}}
