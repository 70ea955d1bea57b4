"""OpenAI's formats: requests and replies of chat, and of the older completions with echo."""

from __future__ import annotations

import json
import math
from collections.abc import Collection
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from autointerp.llm.chat_model import ChatReply, ChatRequest, Features, TokenChoice, Usage, ranked

MAX_ECHO_ALTERNATIVES = 20
# What OpenAI itself sends for a token too improbable to have a number.
_IMPROBABLE = -9999.0


class NotJsonError(Exception):
    """A body that is not JSON at all: a proxy's page, half a reply, nothing."""


class WrongShapeError(Exception):
    """JSON that is not a completion."""


class NoEchoError(Exception):
    """A reply without log-probabilities of the prompt."""


class WireModel(BaseModel):
    """A part of what endpoints send."""

    # Endpoints add fields of their own, so unknown ones are ignored here and nowhere else.
    model_config = ConfigDict(extra="ignore", strict=True)


class _Alternative(WireModel):
    token: str
    logprob: float | None = None


class _ChosenToken(_Alternative):
    top_logprobs: list[_Alternative] | None = None


class _ChatLogprobs(WireModel):
    content: list[_ChosenToken] | None = None


class _TextPart(WireModel):
    text: str | None = None


class _AssistantMessage(WireModel):
    content: str | list[_TextPart] | None = None
    refusal: str | None = None
    # Endpoints that send the model's reasoning use one of these names.
    reasoning: str | None = None
    reasoning_content: str | None = None


class _ChatChoice(WireModel):
    message: _AssistantMessage
    finish_reason: str | None = None
    logprobs: _ChatLogprobs | None = None


class _PromptDetails(WireModel):
    cached_tokens: int | None = None


class _CompletionDetails(WireModel):
    reasoning_tokens: int | None = None


class _WireUsage(WireModel):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_tokens_details: _PromptDetails | None = None

    @property
    def value(self) -> Usage:
        """The usage; tokens that are not given are 0."""
        cached = self.prompt_tokens_details and self.prompt_tokens_details.cached_tokens
        return Usage(self.prompt_tokens or 0, self.completion_tokens or 0, cached or 0)


class _ChatCompletion(WireModel):
    choices: list[_ChatChoice] | None
    model: str | None = None
    usage: _WireUsage | None = None


class _EchoLogprobs(WireModel):
    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None = None


class _EchoChoice(WireModel):
    text: str
    logprobs: _EchoLogprobs


class _EchoCompletion(WireModel):
    choices: list[_EchoChoice]
    usage: _WireUsage | None = None


class _ListedModel(WireModel):
    id: str


class _ModelList(WireModel):
    data: list[_ListedModel]


_Completion = TypeVar("_Completion", _ChatCompletion, _EchoCompletion)


def to_parameters(
    request: ChatRequest, *, model: str, features: Features, dropped: Collection[str]
) -> dict[str, Any]:
    """The JSON body of a request, without what the endpoint cannot do or rejected before.

    The features' hidden tokens are added to the limit; ``max_tokens`` among the dropped parameters
    sends it under its newer name.
    """
    limit = "max_completion_tokens" if "max_tokens" in dropped else "max_tokens"
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": m.role, "content": _sendable(m.content)} for m in request.messages],
        limit: request.max_tokens + features.hidden_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "stop": list(request.stop) or None,
        **_format(request, features),
    }
    if request.top_logprobs and features.logprobs:
        body["logprobs"] = True
        body["top_logprobs"] = min(request.top_logprobs, features.max_top_logprobs)
    return {k: v for k, v in body.items() if v is not None and k not in dropped}


def _sendable(text: str) -> str:
    """The text with lone surrogates replaced: they cannot be written as UTF-8."""
    return text.encode("utf-8", "replace").decode("utf-8")


def _format(request: ChatRequest, features: Features) -> dict[str, Any]:
    if request.grammar is not None and features.grammar:
        return {"grammar": request.grammar}
    if request.schema is None or not features.schema:
        return {}
    schema = {
        "name": request.schema.name,
        "schema": json.loads(request.schema.text),
        "strict": True,
    }
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def read_reply(body: bytes, *, model: str) -> ChatReply:
    """The reply in a body that came with status 200; without choices or text, one without text.

    `model` names the model where the endpoint does not say which answered.

    Raises:
        NotJsonError: the body is not JSON.
        WrongShapeError: it is JSON of another shape.
    """
    completion = _parsed(_ChatCompletion, body)
    choice = completion.choices[0] if completion.choices else None
    text, finish_reason = _text_and_reason(choice)
    logprobs = choice.logprobs.content if choice and choice.logprobs else None
    return ChatReply(
        text=text,
        finish_reason=finish_reason,
        tokens=None if logprobs is None else tuple(_token(token) for token in logprobs),
        usage=(completion.usage or _WireUsage()).value,
        model=completion.model or model,
    )


def starved_tokens(body: bytes) -> int | None:
    """Tokens of hidden reasoning that left no room for an answer; None where that is not so.

    The body is of a chat completion that `read_reply` has read.
    """
    completion = _parsed(_ChatCompletion, body)
    choice = completion.choices[0] if completion.choices else None
    if choice is None or choice.finish_reason != "length":
        return None
    usage = completion.usage or _WireUsage()
    details = usage.completion_tokens_details or _CompletionDetails()
    reasoning = choice.message.reasoning or choice.message.reasoning_content
    return details.reasoning_tokens or (usage.completion_tokens or 0 if reasoning else None)


def read_model_names(body: bytes) -> list[str] | None:
    """Names in a list of models, sorted; None where the body is something else."""
    try:
        return sorted(model.id for model in _ModelList.model_validate_json(body).data)
    except ValidationError:
        return None


def echo_parameters(text: str, *, model: str, n_alternatives: int) -> dict[str, Any]:
    """The JSON body that asks for a prompt's log-probabilities.

    One token is generated and thrown away: several endpoints refuse to generate none.
    """
    return {
        "model": model,
        "prompt": _sendable(text),
        "max_tokens": 1,
        "temperature": 0.0,
        "echo": True,
        "logprobs": n_alternatives,
    }


def read_echo(body: bytes, text: str) -> tuple[tuple[TokenChoice, ...], Usage]:
    """The prompt's tokens, and what they cost.

    Raises:
        NotJsonError: the body is not JSON.
        NoEchoError: the reply has no log-probabilities of the prompt.
    """
    try:
        completion = _parsed(_EchoCompletion, body)
    except WrongShapeError:
        raise NoEchoError from None
    if not completion.choices or not completion.choices[0].text.startswith(text):
        raise NoEchoError
    usage = (completion.usage or _WireUsage()).value
    logprobs = completion.choices[0].logprobs
    tops = logprobs.top_logprobs or []
    n = len(logprobs.tokens) - usage.completion_tokens
    if n < 1 or not len(logprobs.tokens) == len(logprobs.token_logprobs) == len(tops):
        raise NoEchoError
    rows = list(zip(logprobs.tokens, logprobs.token_logprobs, tops, strict=True))[:n]
    return tuple(_echoed_token(*row) for row in rows), usage


def _parsed(shape: type[_Completion], body: bytes) -> _Completion:
    try:
        return shape.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            start = " ".join(body[:400].decode("utf-8", "replace").split())[:60]
            raise NotJsonError(f"beginning {start!r}" if start else "an empty body") from None
        place = ".".join(str(part) for part in first["loc"]) or "the body"
        raise WrongShapeError(f"{place}: {first['msg']}") from None


def _text_and_reason(choice: _ChatChoice | None) -> tuple[str, str]:
    if choice is None:
        return "", "error"
    if choice.message.refusal:
        return "", "refusal"
    content = choice.message.content
    if isinstance(content, list):
        content = "".join(part.text or "" for part in content)
    text = content or ""
    return text, choice.finish_reason or ("unknown" if text else "error")


def _token(token: _ChosenToken) -> TokenChoice:
    logprob = _IMPROBABLE if token.logprob is None else token.logprob
    known = {a.token: a.logprob for a in token.top_logprobs or () if a.logprob is not None}
    # A grammar may have forced a token that is not among the most probable ones.
    known.setdefault(token.token, logprob)
    return TokenChoice(token.token, logprob, ranked(known.items()))


def _echoed_token(token: str, logprob: float | None, top: dict[str, float] | None) -> TokenChoice:
    if logprob is None:
        return TokenChoice(token, math.nan, ())
    return TokenChoice(token, logprob, ranked({token: logprob, **(top or {})}.items()))
