"""Error responses of endpoints, and what to do about them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass

from autointerp.core.errors import RequestRefusedError, UpstreamError

_LONGEST_DETAIL = 200
_TRANSIENT = frozenset({408, 409, 425, 429})
_REFUSING_WORDS = re.compile(
    r"un(supported|recogni[sz]ed|known|expected|available)|extra_forbidden|extra inputs"
    r"|not (be )?(supported|permitted|allowed|available|enabled|implemented)|n't support"
    r"|not support|use 'max_completion_tokens'"
)
# Naming these is enough: no endpoint complains about their value where it knows them, but for
# the number of alternatives, which is lowered first.
_ALWAYS_OPTIONAL = ("top_logprobs", "logprobs", "response_format")
_OPTIONAL_IF_UNKNOWN = ("grammar", "max_tokens", "temperature", "seed", "stop")

_ADVICE = {
    401: "it does not accept the API key; set AUTOINTERP_LLM_API_KEY",
    402: "the account has no credit left; add credit or use another endpoint",
    403: "the API key may not use model {model!r}; use another key or another model",
    413: "the request is larger than it takes; show fewer exemplars or shorter windows",
    422: "it does not understand the request; check that it is OpenAI-compatible",
}


@dataclass(frozen=True, slots=True)
class ApiError:
    """An error response, as read."""

    status: int
    """HTTP status, or the one that a body sent with status 200 states."""
    text: str
    """The endpoint's message, on one line; empty where there is none that can be read."""
    parameter: str | None = None
    """Name of the parameter that it names, if any."""
    code: str | None = None


def read_api_error(status: int, body: str) -> ApiError:
    """The error in a body, in any of the shapes that endpoints use."""
    try:
        data = json.loads(body)
    except ValueError:
        return ApiError(status, "")
    error = data.get("error", data) if isinstance(data, dict) else data
    if isinstance(error, str):
        return ApiError(status, _one_line(error))
    if not isinstance(error, dict):
        return ApiError(status, "")
    text = error.get("message") or _details(error.get("detail"))
    return ApiError(
        status,
        _one_line(text) if isinstance(text, str) else "",
        error["param"] if isinstance(error.get("param"), str) else None,
        str(error["code"]) if error.get("code") is not None else None,
    )


def stated_error(body: bytes) -> ApiError | None:
    """The error inside a body that came with status 200, None where it holds none."""
    try:
        data = json.loads(body)
    except ValueError:
        return None
    if not isinstance(data, dict) or not isinstance(data.get("error"), dict):
        return None
    code = data["error"].get("code")
    known = isinstance(code, int) and 400 <= code < 600
    return read_api_error(code if known else 502, body.decode("utf-8", "replace"))


def _details(detail: object) -> object:
    """FastAPI's list of faults as text; the values it echoes are left out."""
    if not isinstance(detail, list):
        return detail
    return "; ".join(
        f"{'.'.join(map(str, fault.get('loc') or ()))}: {fault.get('msg')}"
        for fault in detail
        if isinstance(fault, dict)
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())[:1000]


def rejected_parameter(error: ApiError, sent: Collection[str]) -> str | None:
    """The optional parameter, among those sent, that the endpoint does not take."""
    if error.status not in (400, 422, 501):
        return None
    text = error.text.lower()
    for name in (*_ALWAYS_OPTIONAL, *_OPTIONAL_IF_UNKNOWN):
        named = error.parameter == name or re.search(rf"(?<![a-z_]){name}(?![a-z_])", text)
        unknown = _REFUSING_WORDS.search(text) or (error.code or "").startswith("unsupported")
        if name in sent and named and (name in _ALWAYS_OPTIONAL or unknown):
            return name
    return None


def cannot_echo(error: ApiError) -> bool:
    """Whether an error response to an echo request says that none is ever answered."""
    if error.status in (404, 405, 501):
        return True
    text = error.text.lower()
    words = ("echo", "logprobs", "not support", "unsupported", "not a chat model", "completions")
    return error.status in (400, 422) and any(word in text for word in words)


def is_transient(error: ApiError) -> bool:
    """Whether the same request may succeed later."""
    if error.code == "insufficient_quota":
        return False
    return error.status in _TRANSIENT or error.status >= 500


def final_error(error: ApiError, *, endpoint: str, model: str, secret: str) -> UpstreamError:
    """The exception for a response that no repetition will change.

    The address is without credentials. The secret is the API key, which some endpoints echo and
    no message shows.
    """
    status = 402 if error.code == "insufficient_quota" else error.status
    message = _message_part(error, secret)
    if status == 400:
        return RequestRefusedError(f"{endpoint} refused the request (400){message}")
    if 300 <= status < 400:
        msg = (
            f"{endpoint} answered {status}, a redirect, which is not followed; "
            "set AUTOINTERP_LLM_BASE_URL to the address that it leads to"
        )
        return UpstreamError(msg, retryable=False)
    advice = _ADVICE.get(status, "check AUTOINTERP_LLM_BASE_URL").format(model=model)
    return UpstreamError(f"{endpoint} answered {error.status}: {advice}{message}", retryable=False)


def _message_part(error: ApiError, secret: str) -> str:
    # Messages about a wrong key often contain the key, in part or whole.
    if error.status == 401 or not error.text:
        return ""
    text = error.text.replace(secret, "***") if secret else error.text
    return f" (it says: {shortened_line(text)})"


def shortened_line(text: str) -> str:
    """A text on one line and cut, as messages show what an endpoint said."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_DETAIL else line[:_LONGEST_DETAIL] + "..."
