"""The OpenAI chat format: requests and replies as they travel."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from autointerp.llm.protocol import ChatReply, ChatRequest, Features, TokenChoice, Usage

# What OpenAI itself sends for a token too improbable to have a number.
_IMPROBABLE = -9999.0


class NotJsonError(Exception):
    """A body that is not JSON at all: a proxy's page, half an answer, nothing."""


class WrongShapeError(Exception):
    """JSON that is not a chat completion."""


class _Wire(BaseModel):
    # Endpoints add fields of their own, so unknown ones are ignored here and nowhere else.
    model_config = ConfigDict(extra="ignore", strict=True)


class _Alternative(_Wire):
    token: str
    logprob: float | None = None


class _Token(_Alternative):
    top_logprobs: list[_Alternative] | None = None


class _Logprobs(_Wire):
    content: list[_Token] | None = None


class _Part(_Wire):
    text: str | None = None


class _Message(_Wire):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    # Where the model's reasoning is told, it has one of these names.
    reasoning: str | None = None
    reasoning_content: str | None = None


class _Choice(_Wire):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _PromptDetails(_Wire):
    cached_tokens: int | None = None


class _CompletionDetails(_Wire):
    reasoning_tokens: int | None = None


class _Usage(_Wire):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    completion_tokens_details: _CompletionDetails | None = None
    prompt_tokens_details: _PromptDetails | None = None


class _Model(_Wire):
    id: str


class _Models(_Wire):
    data: list[_Model]


class _Completion(_Wire):
    choices: list[_Choice] | None
    model: str | None = None
    usage: _Usage | None = None


def to_parameters(
    request: ChatRequest, *, model: str, features: Features, dropped: Collection[str]
) -> dict[str, Any]:
    """The JSON body of a request, without what the endpoint cannot do.

    Args:
        request: what is asked.
        model: name of the model at the endpoint.
        features: what the endpoint can do; its hidden tokens are added to the limit.
        dropped: parameters that the endpoint rejected before; ``max_tokens`` among them sends
            the limit under its newer name.
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
    """The reply that a body holds; an answer without choices or text is a reply without text.

    Args:
        body: what the endpoint sent with status 200.
        model: name to use where the endpoint does not say which model answered.

    Raises:
        NotJsonError: the body is not JSON.
        WrongShapeError: it is JSON of another shape.
    """
    try:
        completion = _Completion.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        if first["type"] == "json_invalid":
            start = " ".join(body[:400].decode("utf-8", "replace").split())[:60]
            raise NotJsonError(f"beginning {start!r}" if start else "an empty body") from None
        place = ".".join(str(part) for part in first["loc"]) or "the body"
        raise WrongShapeError(f"{place}: {first['msg']}") from None
    choice = completion.choices[0] if completion.choices else None
    text, finish_reason = _text_and_reason(choice)
    return ChatReply(
        text=text,
        finish_reason=finish_reason,
        tokens=_tokens(choice.logprobs if choice else None),
        usage=_usage(completion.usage),
        model=completion.model or model,
    )


def starved_tokens(body: bytes) -> int | None:
    """Tokens of hidden reasoning that left no room for an answer; None where that is not so.

    Args:
        body: of a chat completion that `read_reply` has read.
    """
    completion = _Completion.model_validate_json(body)
    choice = completion.choices[0] if completion.choices else None
    if choice is None or choice.finish_reason != "length":
        return None
    usage = completion.usage or _Usage()
    details = usage.completion_tokens_details or _CompletionDetails()
    told = choice.message.reasoning or choice.message.reasoning_content
    return details.reasoning_tokens or (usage.completion_tokens or 0 if told else None)


def read_model_names(body: bytes) -> list[str] | None:
    """Names in a list of models, sorted; None where the body is something else."""
    try:
        return sorted(model.id for model in _Models.model_validate_json(body).data)
    except ValidationError:
        return None


def _text_and_reason(choice: _Choice | None) -> tuple[str, str]:
    if choice is None:
        return "", "error"
    if choice.message.refusal:
        return "", "refusal"
    content = choice.message.content
    if isinstance(content, list):
        content = "".join(part.text or "" for part in content)
    text = content or ""
    return text, choice.finish_reason or ("unknown" if text else "error")


def _tokens(logprobs: _Logprobs | None) -> tuple[TokenChoice, ...] | None:
    if logprobs is None or logprobs.content is None:
        return None
    return tuple(_token(token) for token in logprobs.content)


def _token(token: _Token) -> TokenChoice:
    logprob = _IMPROBABLE if token.logprob is None else token.logprob
    known = {a.token: a.logprob for a in token.top_logprobs or () if a.logprob is not None}
    # A grammar may have forced a token that is not among the most probable ones.
    known.setdefault(token.token, logprob)
    ranked = sorted(known.items(), key=lambda item: (-item[1], item[0]))
    return TokenChoice(token.token, logprob, tuple(ranked))


def _usage(usage: _Usage | None) -> Usage:
    if usage is None:
        return Usage()
    details = usage.prompt_tokens_details
    return Usage(
        prompt_tokens=usage.prompt_tokens or 0,
        completion_tokens=usage.completion_tokens or 0,
        cached_tokens=(details.cached_tokens or 0) if details else 0,
    )
