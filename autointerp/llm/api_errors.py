"""Error responses of endpoints, and what to do about them."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from http import HTTPStatus

from autointerp.core.errors import RequestRefusedError, UpstreamError
from autointerp.llm.error_body import (
    is_page,
    keys_of,
    listed_models,
    names_of,
    numbers_of,
    status_of,
    wait_in_field,
    words_of,
)
from autointerp.llm.reply_body import read_json
from autointerp.llm.stated_waits import wait_in_words

_LONGEST_DETAIL = 200
# Of some services or proxies alone: 420 and 430 too much, 444, 460 and 499 a connection that was
# given up, 449 once more, 498 no room just now.
_TRANSIENT = frozenset({408, 409, 420, 425, 429, 430, 444, 449, 460, 498, 499})
_PAYMENT = re.compile(r"quota|billing|balance|credit|payment", re.IGNORECASE)
_RATE = re.compile(
    r"rate.?(?:limit|quota|exceed)|resource.?exhausted|throttl|too.?many|overload|unavailable|concurren|per.?minute",
    re.IGNORECASE,
)
# Of these none tells of a model that is not available, or of too many tokens in a prompt.
_RATE_ALONE = re.compile(
    r"rate.?(?:limit|quota|exceed)|resource.?exhausted|throttl|too.?many.?requests|overload|concurren|per.?minute",
    re.IGNORECASE,
)
_KEY = re.compile(r"(invalid|incorrect|missing|wrong)\w*key|key\w*invalid", re.IGNORECASE)
_CONTENT = re.compile(
    r"content[_-]?(filter|policy|management)|moderation|flagged|responsible_?ai|safety|inspection"
    r"|sensitive|guardrail",
    re.IGNORECASE,
)
# Tokens are called much the same in most languages. A wrong guess costs two requests.
_TOO_LITTLE = re.compile(
    r"token|jeton|токен|トークン|토큰|令牌|词元|\blength\b|truncat|unfinish|not finish|incomplete"
    r"|budget|\broom\b|(?:output|response|completion|reply) limit|too (?:short|small|little|low)",
    re.IGNORECASE,
)
_NO_ROOM = re.compile(
    r"(?:exceed|maximum|max).{0,20}context.?(?:size|length|window)"
    r"|context.?(?:size|length|window).{0,20}exceed|(?:prompt|input) is too long"
    r"|(?:too.?long|max).?(?:prompt|input)",
    re.IGNORECASE,
)
# "Too long" or "context" in languages that many services speak; a number is not needed.
_LONG = re.compile(
    r"\blong|\blang|\blarg[eo]|lungo|长|長|길|깁|длин|conte[xs]t|kontext|контекст|コンテキスト"
    r"|컨텍스트|上下文|tokens? count|too many tokens|\blength",
    re.IGNORECASE,
)
_TOO_LARGE = frozenset({413, 414})
_TOO_MUCH = re.compile(
    r"too (?:long|many|large|big)|exceed|context|prompt|input|overflow|unsupported", re.IGNORECASE
)
_ADVICE = {
    401: (
        "it does not accept the API key; set AUTOINTERP_LLM_API_KEY, and AUTOINTERP_LLM_HEADERS "
        "where it wants the key in another header than Authorization"
    ),
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
    names: str = ""
    """What machines are to know it by: codes and types, inner ones too."""
    fields: str = ""
    """Names of its fields that hold something."""
    numbers: str = ""
    """The numbers in its fields."""
    asked_wait_s: float | None = None
    """Seconds that it asks to wait, in a field or in its words."""
    asks_in_words: bool = False
    """Whether it asks so in its words alone."""
    is_page: bool = False
    """Whether it is a page for people, such as proxies send."""
    lasts: bool = False
    """Whether it is a limit that was found to last."""
    may_be_of_a_prompt: bool = False
    """Whether it says nothing of what has failed: in a body without a status, or as a conflict."""


def read_api_error(status: int, body: str) -> ApiError:
    """The error in a body, in any of the shapes that endpoints use."""
    try:
        value: object = json.loads(body.lstrip("\ufeff"))
    except (ValueError, RecursionError):
        value = body
    return _api_error(status, value)


def stated_error(body: bytes) -> ApiError | None:
    """The error inside a body that came with status 200, None where none says what it is."""
    try:
        value = read_json(body)
    except ValueError:
        return None
    error = error_in(value)
    status = status_of(error, words_of(error)) if error else None
    if is_about_content(_api_error(0, error)):
        status = 400
    # Text alone may be about anything, and is told as it is; an object is a fault of the service.
    if status is None and isinstance(error, dict) and isinstance(value, dict) and "error" in value:
        return replace(_api_error(500, error), may_be_of_a_prompt=True)
    return None if status is None else _api_error(status, error)


def error_in(value: object) -> object:
    """The error that a completion holds, None where it holds none."""
    if isinstance(value, list):
        return next((error for one in value if (error := error_in(one))), None)
    if not isinstance(value, dict):
        return None
    choices = value.get("choices")
    listed = choices if isinstance(choices, list) else []
    inner = [one.get("error") for one in listed if isinstance(one, dict)]
    known = next((one for one in (value.get("error"), value.get("errors"), *inner) if one), None)
    if known or choices:
        return known
    return value if words_of(value) else None


def _api_error(status: int, value: object) -> ApiError:
    text, models = words_of(value), listed_models(value)
    if models and not all(name in text for name in models):
        text = f"{text}; models: {', '.join(models)}"
    error = value.get("error", value) if isinstance(value, dict) else value
    error = error[0] if isinstance(error, list) and error else error
    error = error.get("error", error) if isinstance(error, dict) else error
    fields = error if isinstance(error, dict) else {}
    field_s = wait_in_field(value)
    # Of a server that fails a lone count of seconds is most likely what it spent.
    words_s = wait_in_words(text, trusts_seconds=status != 408 and status < 500)
    made = ApiError(
        status,
        text,
        fields["param"] if isinstance(fields.get("param"), str) else None,
        str(fields["code"]) if fields.get("code") is not None else None,
        names_of(value),
        " ".join(keys_of(value)),
        " ".join(numbers_of(value)),
        words_s if field_s is None else field_s,
        field_s is None and words_s is not None,
        is_page(value),
    )
    return replace(made, may_be_of_a_prompt=status == 409)


def named_options(error: ApiError, sent: Collection[str]) -> frozenset[str]:
    """The options that a refusal names, of those that were sent."""
    words = {*re.findall(r"[a-z_]+", error.text.lower()), error.parameter}
    return frozenset(name for name in {*sent, "system"} - {"model", "messages"} if name in words)


def stops_everything(error: ApiError) -> bool:
    """Whether the key or the account is what is refused, whatever is asked."""
    is_refused = error.status in (401, 407) or names_a_key(error)
    return is_refused or error.lasts or is_unpaid(error)


def names_a_key(error: ApiError) -> bool:
    """Whether its codes say that the key is wrong."""
    return bool(_KEY.search(error.names))


def is_unpaid(error: ApiError) -> bool:
    """Whether its status or its codes say that there is no credit."""
    named = bool(_PAYMENT.search(error.names)) and error.asked_wait_s is None
    # A quota may be one of requests a minute.
    named = named and not names_a_rate(error) and not _RATE.search(error.text)
    return error.status == 402 or (named and 400 <= error.status < 500)


def names_a_rate(error: ApiError) -> bool:
    """Whether its codes say that too much was asked at once."""
    return bool(_RATE.search(error.names))


def names_only_a_rate(error: ApiError) -> bool:
    """Whether its codes say so whatever its status."""
    return bool(_RATE_ALONE.search(error.names))


def says_why(error: ApiError) -> bool:
    """Whether its words are more than the name of the status, as proxies send it."""
    name = HTTPStatus(error.status).phrase if error.status in {*HTTPStatus} else "error"
    text, n_names = re.subn(f"{name}|error|status|http", " ", error.text, flags=re.IGNORECASE)
    return len(re.findall(r"[^\W\d_]+", text)) > bool(n_names)


def wording(error: ApiError) -> str:
    """Its words without what differs from one request to the next: numbers and ids."""
    return " ".join(word for word in error.text.split() if not re.search(r"\d", word))


def is_about_content(error: ApiError) -> bool:
    """Whether the words of one prompt are what is refused."""
    return error.status == 451 or bool(_CONTENT.search(f"{error.names} {error.fields}"))


def lacks_room(error: ApiError) -> bool:
    """Whether a reply did not fit its limit; a prompt that is too long is another matter."""
    words = f"{error.text} {error.names} {error.code} {error.parameter}"
    return bool(_TOO_LITTLE.search(words)) and not _TOO_MUCH.search(words)


def is_prompt_too_long(error: ApiError) -> bool:
    """Whether a prompt has no room in the model's context."""
    words = f"{error.text} {error.names} {error.code}"
    return error.status != 429 and bool(_NO_ROOM.search(words))


def may_be_too_long(error: ApiError) -> bool:
    """Whether a prompt may be too long where a short one is not refused."""
    return error.status in _TOO_LARGE or (error.status < 500 and bool(_LONG.search(error.text)))


def is_transient(error: ApiError) -> bool:
    """Whether the same request may succeed later."""
    if stops_everything(error) or is_about_content(error) or is_prompt_too_long(error):
        return False
    return error.status in _TRANSIENT or error.status >= 500


def final_error(error: ApiError, *, endpoint: str, model: str, secret: str) -> UpstreamError:
    """The exception for a response that no repetition will change.

    The address is without credentials. The secret is the API key, which some endpoints echo and
    no message shows.
    """
    status = 402 if is_unpaid(error) else error.status
    message = message_part(error, secret)
    if status == 400 or is_about_content(error):
        return RequestRefusedError(f"{endpoint} refused the request ({status}){message}")
    if 300 <= status < 400:
        msg = (
            f"{endpoint} answered {status}, a redirect, which is not followed; "
            f"set AUTOINTERP_LLM_BASE_URL to the address that it leads to{message}"
        )
        return UpstreamError(msg, retryable=False)
    advice = _ADVICE.get(status, "check AUTOINTERP_LLM_BASE_URL").format(model=model)
    return UpstreamError(f"{endpoint} answered {error.status}: {advice}{message}", retryable=False)


def message_part(error: ApiError, secret: str) -> str:
    """What the endpoint said, to be put behind a sentence, without the secret or parts of it."""
    if not error.text:
        return f" (it says: code {error.code})" if error.code else ""
    text = error.text.replace(secret, "***") if secret else error.text
    return f" (it says: {shortened_line(_without_parts(text, secret))})"


def _without_parts(text: str, secret: str) -> str:
    """Messages about a wrong key often hold its beginning and its end."""
    ends = {secret[:4], secret[-4:]} if len(secret) >= 8 else set()

    def masked(word: re.Match[str]) -> str:
        shown = word[0].strip(".,:;()'\"")
        partly = any(shown.startswith(end) or shown.endswith(end) for end in ends)
        return word[0].replace(shown, "***") if partly else word[0]

    return re.sub(r"\S+", masked, text)


def shortened_line(text: str) -> str:
    """A text on one line and cut, as messages show what an endpoint said."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_DETAIL else line[:_LONGEST_DETAIL] + "..."
