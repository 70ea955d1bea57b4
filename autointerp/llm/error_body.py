"""What the body of an error says, in any shape: words, a status, how long to wait."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator

from autointerp.llm.stated_waits import read_duration_s, read_number

_DEEPEST, _MOST_FAULTS, _MOST_MODELS = 8, 5, 8
_LONGEST = 1_000
_WORDS = (
    *("error", "message", "msg", "detail", "details", "errors", "error_description"),
    *("description", "reason", "title", "text", "error_msg", "errmsg", "info"),
    *("status_msg", "faultstring", "response", "output", "generated_text"),
)
# Such as exception, errorMessage or err_msg, but no error_code.
_WORDY = re.compile(
    r"(?!.*(?:code|type|id|num|no|status)$).*(?:err|exception|cause|msg|message|fault).*",
    re.IGNORECASE,
)
_STATUS = ("status", "code", "status_code", "statusCode", "http_status", "http_code", "error_code")
_NAMED_STATUS = (
    ("rate.?limit|resource.?exhausted|too.?many.?requests|throttl", 429),
    ("overloaded|unavailable|busy", 503),
    ("unauthenticated|authentication", 401),
    ("insufficient.?(quota|balance|credit|fund)|payment.?required|billing", 402),
    ("permission.?denied|forbidden", 403),
    ("invalid.?(argument|request)|bad.?request", 400),
    ("deadline.?exceeded|time.?out", 504),
    ("internal|server.?error", 500),
)
_NAMES = frozenset({"code", "type", "__type", "status", "quotaid", "quota_id"})
_IN_WORDS = re.compile(
    r"(?:^|\b(?:error|code|status|http(?:/[\d.]+)?)\W{0,3})([45]\d\d)\b", re.IGNORECASE
)
_WAIT_NAME = re.compile(
    r"(?:retry.?(?:after|delay|in)|resets?.?(?:in|after)|wait)(?:.?(?:s|sec\w*)|(.?ms|.?milli\w*))?",
    re.IGNORECASE,
)
_TAG = re.compile(r"<(?:!doctype|\?xml|html|head|body|h1|p|title)\b", re.IGNORECASE)
_PAGE = re.compile(
    r"<(script|style|head)\b(?!.*<title).*?</\1>|<[^>]{0,500}>", re.IGNORECASE | re.DOTALL
)


def words_of(value: object, *, depth: int = 0) -> str:
    """The words for people in an error, on one line; empty where there are none."""
    if depth > _DEEPEST:
        return ""
    if isinstance(value, str):
        return _words_of_text(value, depth)[:_LONGEST]
    if isinstance(value, list):
        parts = [words_of(one, depth=depth + 1) for one in value[:_MOST_FAULTS]]
        return "; ".join(part for part in parts if part)
    if not isinstance(value, dict):
        return ""
    named = {name.lower(): one for name, one in value.items() if isinstance(name, str)}
    inner = (one for one in value.values() if isinstance(one, dict | list))
    loosely = (one for name, one in named.items() if isinstance(one, str) and _WORDY.match(name))
    told = (*(named[name] for name in _WORDS if named.get(name)), *inner, *loosely)
    texts = (words_of(one, depth=depth + 1) for one in told)
    words = next((one for one in texts if one), "")
    place = value.get("loc")
    if words and isinstance(place, list):
        words = f"{'.'.join(map(str, place))}: {words}"
    # What a service behind the service said.
    behind = value.get("metadata")
    raw = words_of(behind.get("raw"), depth=depth + 1) if isinstance(behind, dict) else ""
    return f"{words}: {raw}" if words and raw else words or raw


def _words_of_text(text: str, depth: int) -> str:
    start, end = text.find("{"), text.rfind("}")
    if 0 <= start < end:
        try:
            inner = words_of(json.loads(text[start : end + 1]), depth=depth + 1)
        except (ValueError, RecursionError):
            inner = ""
        if inner:
            return " ".join(f"{text[:start]} {inner} {text[end + 1 :]}".split())
    if is_page(text):
        text = html.unescape(_PAGE.sub(" ", text[:20_000]))
    return " ".join(text.split())


def is_page(value: object) -> bool:
    """Whether it is a page for people, such as proxies send."""
    return isinstance(value, str) and bool(_TAG.search(value[:2_000]))


def status_of(error: object, words: str) -> int | None:
    """The HTTP status that an error states, by number or by one of the usual names."""
    names = []
    for name, value in fields_of(_decoded(error)):
        if name in (*_STATUS, "type"):
            number = _whole(value)
            if number is not None and 400 <= number < 600:
                return number
            names.append(str(value))
    stated = _IN_WORDS.search(words)
    if stated is not None:
        return int(stated[1])
    for text in (" ".join(names), words):
        for pattern, number in _NAMED_STATUS:
            if re.search(pattern, text, re.IGNORECASE):
                return number
    return None


def names_of(error: object) -> str:
    """Its codes and types, inner ones too, as one text; they are for machines."""
    named = ((name, value) for name, value in fields_of(_decoded(error)) if isinstance(value, str))
    return " ".join(value for name, value in named if name.lower() in _NAMES)


def numbers_of(error: object) -> list[str]:
    """The whole numbers in its fields, but for statuses."""
    named = fields_of(_decoded(error))
    return [str(one) for name, one in named if type(one) is int and name not in _STATUS]


def listed_models(error: object, depth: int = 0) -> list[str]:
    """The first names of models that an error lists in a field of its own."""
    value = _decoded(error)
    for name, one in list(value.items())[:100] if isinstance(value, dict) else ():
        if isinstance(one, list) and re.search("model|available|supported", str(name).lower()):
            named = [m.get("id", m.get("name")) if isinstance(m, dict) else m for m in one]
            return [m for m in named if isinstance(m, str)][:_MOST_MODELS]
        inner = listed_models(one, depth + 1) if depth < _DEEPEST else []
        if inner:
            return inner
    return []


def keys_of(error: object, depth: int = 0) -> Iterator[str]:
    """Names of all its fields that hold something."""
    value = _decoded(error)
    pairs = list(value.items())[:100] if isinstance(value, dict) else []
    inner = [one for _, one in pairs] if pairs else value if isinstance(value, list) else []
    yield from (str(key) for key, one in pairs if one)
    if depth < _DEEPEST:
        for one in inner[:100]:
            yield from keys_of(one, depth + 1)


def wait_in_field(error: object) -> float | None:
    """Seconds that an error asks to wait, in a field."""
    for name, value in fields_of(_decoded(error)):
        match = _WAIT_NAME.fullmatch(name)
        seconds = read_duration_s(str(value)) if match else None
        if match and seconds is not None:
            return seconds / 1000 if match[1] else seconds
    return None


def fields_of(value: object, depth: int = 0) -> Iterator[tuple[str, object]]:
    """Every field that is a number or text, outer ones first."""
    inner = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value if isinstance(value, list) else ())
    )
    pairs = list(inner)[:100]
    yield from ((str(k), v) for k, v in pairs if isinstance(v, int | float | str))
    if depth < _DEEPEST:
        for _, one in pairs:
            yield from fields_of(_decoded(one), depth + 1)


def _decoded(value: object) -> object:
    """JSON text as what it is."""
    if isinstance(value, str) and value.lstrip()[:1] in {"{", "["}:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return None
    return value


def _whole(value: object) -> int | None:
    number = read_number(str(value))
    return int(number) if number is not None and number == int(number) else None
