"""OpenAI's formats of replies: those of chat, and of the older completions with echo."""

from __future__ import annotations

import math
import re
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from autointerp.llm.api_errors import error_in, shortened_line
from autointerp.llm.chat_model import ChatReply, TokenChoice, Usage, ranked
from autointerp.llm.error_body import words_of
from autointerp.llm.reply_body import read_json
from autointerp.llm.reply_parts import n_tokens, read_content, read_logprobs, read_usage

_CUT = re.compile(r"(?:max|model)?_?(?:output)?_?(?:tokens|length)(?:_limit)?", re.IGNORECASE)

_FILTER = re.compile(
    r"filter|refus|safety|block|prohibit|recitation|spii|sensitive|moderat|guardrail|policy",
    re.IGNORECASE,
)


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


class _EchoLogprobs(WireModel):
    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None = None


class _EchoChoice(WireModel):
    text: str
    logprobs: _EchoLogprobs


class _EchoCompletion(WireModel):
    choices: list[_EchoChoice]
    usage: Any = None


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
    """
    completion = _completion(body)
    choice = _first_choice(completion)
    message = _message(choice)
    content = read_content(message)
    reason, text = choice.get("finish_reason"), content.answer
    reason = reason if isinstance(reason, str) and reason else "unknown" if text else "error"
    if message.get("refusal"):
        text, reason = str(message["refusal"]), "refusal"
    if error_in(completion) and (not text or reason == "error"):
        raise WrongShapeError(f"choices: an error stands in its place{_quoted(completion)}")
    named = completion.get("model")
    return ChatReply(
        text=text,
        finish_reason="length" if _CUT.fullmatch(reason) else reason,
        tokens=read_logprobs(choice.get("logprobs")),
        usage=read_usage(completion.get("usage")),
        model=named if isinstance(named, str) and named else model,
        thoughts=content.thoughts,
    )


def why_refused_in(reply: ChatReply) -> str | None:
    """Predicate of a sentence about who refused in a reply; None where nobody did."""
    if reply.finish_reason == "refusal":
        return f"refused to answer: {shortened_line(reply.text)!r}"
    if _FILTER.search(reply.finish_reason):
        return f"stopped the reply by its content filter ({reply.finish_reason})"
    return None


def starved_tokens(body: bytes) -> int | None:
    """Tokens of hidden reasoning that left no room for an answer; None where that is not so.

    The body is of a chat completion that `read_reply` has read.
    """
    completion = _completion(body)
    reply = read_reply(body, model="")
    if reply.finish_reason != "length":
        return None
    usage = completion.get("usage")
    details = usage.get("completion_tokens_details") if isinstance(usage, dict) else None
    hidden = n_tokens(details.get("reasoning_tokens")) if isinstance(details, dict) else 0
    return hidden or (reply.usage.completion_tokens if reply.thoughts else None)


def _completion(body: bytes) -> dict[str, Any]:
    value = _parsed(body)
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict) or not isinstance(value.get("choices", ""), list | None):
        place = "choices" if isinstance(value, dict) else "the body"
        raise WrongShapeError(f"{place}: not a list of choices{_quoted(value)}")
    return value


def _first_choice(completion: dict[str, Any]) -> dict[str, Any]:
    choices = completion["choices"] or [{"message": {}}]
    if not isinstance(choices[0], dict):
        raise WrongShapeError(f"choices.0: not an object{_quoted(completion)}")
    return choices[0]


def _message(choice: dict[str, Any]) -> dict[str, Any]:
    message = choice.get("message", choice.get("text"))
    if isinstance(message, str):
        return {"content": message}
    if not isinstance(message, dict):
        raise WrongShapeError("choices.0.message: not an object")
    return message


def _quoted(value: object) -> str:
    words = words_of(value)
    return f"; it says: {shortened_line(words)}" if words else ""


def read_model_names(body: bytes) -> list[str] | None:
    """Names in a list of models, sorted; None where the body is something else."""
    try:
        return sorted(model.id for model in _ModelList.model_validate_json(body).data)
    except ValidationError:
        return None


def read_echo(body: bytes, text: str) -> tuple[tuple[TokenChoice, ...], Usage]:
    """The prompt's tokens, and what they cost.

    Raises:
        NotJsonError: the body is not JSON.
        NoEchoError: the reply has no log-probabilities of the prompt.
    """
    try:
        completion = _EchoCompletion.model_validate(_parsed(body))
    except ValidationError:
        raise NoEchoError from None
    if not completion.choices or not completion.choices[0].text.startswith(text):
        raise NoEchoError
    usage = read_usage(completion.usage)
    logprobs = completion.choices[0].logprobs
    tops = logprobs.top_logprobs or []
    n = len(logprobs.tokens) - usage.completion_tokens
    if n < 1 or not len(logprobs.tokens) == len(logprobs.token_logprobs) == len(tops):
        raise NoEchoError
    rows = list(zip(logprobs.tokens, logprobs.token_logprobs, tops, strict=True))[:n]
    return tuple(_echoed_token(*row) for row in rows), usage


def _parsed(body: bytes) -> object:
    try:
        return read_json(body)
    except ValueError:
        start = shortened_line(" ".join(body[:400].decode("utf-8", "replace").split())[:60])
        raise NotJsonError(f"beginning {start!r}" if start else "an empty body") from None


def _echoed_token(token: str, logprob: float | None, top: dict[str, float] | None) -> TokenChoice:
    if logprob is None:
        return TokenChoice(token, math.nan, ())
    return TokenChoice(token, logprob, ranked({token: logprob, **(top or {})}.items()))
