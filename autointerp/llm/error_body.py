"""What an error and its headers say, in any shape: words, a status, how long to wait."""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

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
_IN_WORDS = re.compile(
    r"(?:^|\b(?:error|code|status|http(?:/[\d.]+)?)\W{0,3})([45]\d\d)\b", re.IGNORECASE
)
_WAIT_NAME = re.compile(
    r"(?:retry.?(?:after|delay|in)|wait)(?:.?(?:s|sec\w*)|(.?ms|.?milli\w*))?", re.IGNORECASE
)
_WAIT_WORDS = re.compile(
    r"(?:again|retry|wait|after)\D{0,20}?\b(\d+(?:\.\d+)?)\s*(ms|milli|m(?:in\w*)?\b|s)"
    r"|(?:again|retry|wait)\D{0,20}?\b((?:\d+h)?(?:\d+m)?\d+(?:\.\d+)?s)\b",
    re.IGNORECASE,
)
# A second in most languages.
_SECONDS = re.compile(
    r"(\d+(?:\.\d+)?)\s*(?:s(?:[eé][cgk]\w*|n|aniye)?\b|сек|с\b|秒|초)", re.IGNORECASE
)
_PAGE = re.compile(
    r"<(script|style|head)\b(?!.*<title).*?</\1>|<[^>]{0,500}>", re.IGNORECASE | re.DOTALL
)
_RESET = re.compile(r"rate-?limit.*reset", re.IGNORECASE)
_REMAINING = re.compile(r"rate-?limit.*remaining", re.IGNORECASE)
_YEAR_S = 366 * 86_400.0
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
_IN_SECONDS = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)


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
    if re.search(r"<(?:!doctype|\?xml|html|head|body|h1|p|title)\b", text[:2_000], re.IGNORECASE):
        text = html.unescape(_PAGE.sub(" ", text[:20_000]))
    return " ".join(text.split())


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
    return " ".join(value for name, value in named if name.lower() in {"code", "type", "status"})


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


def wait_of(error: object, words: str) -> float | None:
    """Seconds that an error asks to wait, in a field or in its words."""
    for name, value in fields_of(_decoded(error)):
        match = _WAIT_NAME.fullmatch(name)
        seconds = read_duration_s(str(value)) if match else None
        if match and seconds is not None:
            return seconds / 1000 if match[1] else seconds
    match = _WAIT_WORDS.search(words)
    if match is None:
        counts = _SECONDS.findall(words)
        return read_number(counts[0]) if len(counts) == 1 else None
    if match[3]:
        return read_duration_s(match[3].lower())
    unit = match[2].lower()
    number = read_number(match[1])
    factor = 0.001 if unit in {"ms", "milli"} else 60.0 if unit.startswith("m") else 1.0
    return None if number is None else number * factor


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


def retry_after_s(headers: Mapping[str, str], *, now_s: float) -> float | None:
    """Seconds that a response asks to wait, in any spelling of a duration or a moment.

    The headers have lower-case names; now is Unix time in seconds.
    """
    milliseconds = read_number(headers.get("retry-after-ms", "").removesuffix("ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    return read_wait_s(headers.get("retry-after", ""), now_s=now_s)


def reset_after_s(headers: Mapping[str, str], *, now_s: float) -> float | None:
    """Seconds until a limit is whole again, by a response that says that one was exceeded.

    Of several limits those count of which nothing remains, where that is told.
    """
    waits: dict[bool, list[float]] = {True: [], False: []}
    for name, text in headers.items():
        if _RESET.search(name):
            wait = read_wait_s(text, now_s=now_s)
            remains = read_number(headers.get(name.replace("reset", "remaining")))
            limit = read_number(headers.get(name.replace("reset", "limit")))
            if wait is not None and not remains:
                # It grows back evenly.
                waits[remains == 0].append(wait / limit if limit and "requests" in name else wait)
    stated = re.search(r"\b(?:reset|t)=(\d+)", headers.get("ratelimit", ""))
    waits[True] += [float(stated[1])] if stated else []
    return max(waits[True], default=None) or min(waits[False], default=None)


def remains_nothing(headers: Mapping[str, str]) -> bool:
    """Whether a response says of a rate limit that nothing of it remains."""
    return any(_REMAINING.search(name) and read_number(text) == 0 for name, text in headers.items())


def read_wait_s(text: str, *, now_s: float) -> float | None:
    """Seconds in a duration, or until a moment: an HTTP date, one in ISO 8601, or Unix time."""
    text = text.split(", ", maxsplit=1)[0].strip() if text[:1].isdigit() else text.strip()
    number = read_number(text)
    if number is not None:
        known = next((n for n in (number, number / 1000) if abs(n - now_s) < _YEAR_S), None)
        return number if known is None else max(0.0, known - now_s)
    spelt = re.fullmatch(r"([\d.]+)\s*(s|m|h)(?:(?:ec|in|our)\w*)?", text, re.IGNORECASE)
    seconds = read_duration_s(spelt[1] + spelt[2].lower() if spelt else text)
    if seconds is not None:
        return seconds
    try:
        moment = datetime.fromisoformat(text) if "T" in text[:11] else parsedate_to_datetime(text)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return max(0.0, moment.timestamp() - now_s)
    except (ValueError, OverflowError, TypeError):
        return None


def asked_pause_s(headers: Mapping[str, str], *, n_tokens: int) -> float:
    """Seconds until an endpoint that counts will take one more request, by its headers.

    They name what remains, what its limit is, and when the limit is whole again; until then it
    grows back evenly. A request costs about `n_tokens`.
    """
    pause = 0.0
    for kind, needed in (("requests", 1), ("tokens", n_tokens)):
        remaining = read_number(headers.get(f"x-ratelimit-remaining-{kind}"))
        if remaining is None or remaining >= needed:
            continue
        whole = read_duration_s(headers.get(f"x-ratelimit-reset-{kind}") or "") or 0.0
        limit = read_number(headers.get(f"x-ratelimit-limit-{kind}"))
        if limit is not None and limit > remaining:
            whole *= min(1.0, (needed - remaining) / (limit - remaining))
        pause = max(pause, whole)
    return pause


def read_duration_s(text: str) -> float | None:
    """Seconds in a duration such as ``6m0s``, ``20ms``, ``1.5s`` or ``12``; None for other text.

    The last spelling is also used for a moment in Unix time, which is not a wait.
    """
    number = read_number(text)
    if number is not None:
        return number if number < 1e6 else None
    match = _DURATION.fullmatch(text.strip())
    if match is None or not any(match.groups()):
        return None
    parts = zip(match.groups(), _IN_SECONDS, strict=True)
    return sum(float(part) * unit for part, unit in parts if part)


def read_number(text: str | None) -> float | None:
    """The number from 0 on that a text is; None where it is none."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
