"""OpenAI's older format of completions, with the log-probabilities of the prompt."""

from __future__ import annotations

import math
from typing import Any

from pydantic import ValidationError

from autointerp.llm.chat_model import TokenChoice, Usage, ranked
from autointerp.llm.reply_body import read_usage
from autointerp.llm.wire_format import WireModel, parsed, sendable

MAX_ECHO_ALTERNATIVES = 20


class NoEchoError(Exception):
    """A reply without log-probabilities of the prompt."""


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


def read_echo(body: bytes, text: str) -> tuple[tuple[TokenChoice, ...], Usage]:
    """The prompt's tokens, and what they cost.

    Raises:
        NotJsonError: the body is not JSON.
        NoEchoError: the reply has no log-probabilities of the prompt.
    """
    try:
        completion = _EchoCompletion.model_validate(parsed(body))
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


def _echoed_token(token: str, logprob: float | None, top: dict[str, float] | None) -> TokenChoice:
    if logprob is None:
        return TokenChoice(token, math.nan, ())
    return TokenChoice(token, logprob, ranked({token: logprob, **(top or {})}.items()))


def echo_parameters(text: str, *, model: str, n_alternatives: int) -> dict[str, Any]:
    """The JSON body that asks for a prompt's log-probabilities.

    One token is generated and thrown away: several endpoints refuse to generate none.
    """
    return {
        "model": model,
        "prompt": sendable(text),
        "max_tokens": 1,
        "temperature": 0.0,
        "echo": True,
        "logprobs": n_alternatives,
    }
