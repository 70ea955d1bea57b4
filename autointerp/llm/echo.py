"""The older completion format, which can give the log-probabilities of a prompt."""

from __future__ import annotations

import math
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from autointerp.llm.complaints import Complaint
from autointerp.llm.protocol import TokenChoice, Usage
from autointerp.llm.wire import NotJsonError

MOST_ECHOED = 20


class NoEchoError(Exception):
    """An answer that holds no log-probabilities of the prompt."""


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", strict=True)


class _Logprobs(_Wire):
    tokens: list[str]
    token_logprobs: list[float | None]
    top_logprobs: list[dict[str, float] | None] | None = None


class _Choice(_Wire):
    text: str
    logprobs: _Logprobs


class _Usage(_Wire):
    prompt_tokens: int = 0
    completion_tokens: int = 0


class _Completion(_Wire):
    choices: list[_Choice]
    usage: _Usage = _Usage()


def echo_parameters(text: str, *, model: str, n_alternatives: int) -> dict[str, Any]:
    """The JSON body that asks for a prompt's log-probabilities.

    One token is generated and thrown away: several endpoints refuse to generate none.
    """
    return {
        "model": model,
        "prompt": text.encode("utf-8", "replace").decode("utf-8"),
        "max_tokens": 1,
        "temperature": 0.0,
        "echo": True,
        "logprobs": n_alternatives,
    }


def read_echo(body: bytes, text: str) -> tuple[tuple[TokenChoice, ...], Usage]:
    """The prompt's tokens, and what they cost.

    Raises:
        NotJsonError: the body is not JSON.
        NoEchoError: the answer holds no log-probabilities of the prompt.
    """
    try:
        completion = _Completion.model_validate_json(body)
    except ValidationError as error:
        if error.errors(include_url=False, include_input=False)[0]["type"] == "json_invalid":
            raise NotJsonError("no JSON") from None
        raise NoEchoError from None
    if not completion.choices or not completion.choices[0].text.startswith(text):
        raise NoEchoError
    found = completion.choices[0].logprobs
    tops = found.top_logprobs or []
    n = len(found.tokens) - completion.usage.completion_tokens
    if n < 1 or not len(found.tokens) == len(found.token_logprobs) == len(tops):
        raise NoEchoError
    usage = Usage(completion.usage.prompt_tokens, completion.usage.completion_tokens)
    rows = list(zip(found.tokens, found.token_logprobs, tops, strict=True))[:n]
    return tuple(_choice(*row) for row in rows), usage


def _choice(token: str, logprob: float | None, top: dict[str, float] | None) -> TokenChoice:
    if logprob is None:
        return TokenChoice(token, math.nan, ())
    known = {token: logprob, **(top or {})}
    return TokenChoice(token, logprob, tuple(sorted(known.items(), key=lambda i: (-i[1], i[0]))))


def cannot_echo(complaint: Complaint) -> bool:
    """Whether an error answer to such a body says that none is ever answered."""
    if complaint.status in (404, 405, 501):
        return True
    said = complaint.text.lower()
    words = ("echo", "logprobs", "not support", "unsupported", "not a chat model", "completions")
    return complaint.status in (400, 422) and any(word in said for word in words)
