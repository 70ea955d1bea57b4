"""How long an endpoint asks to wait: in headers, in a field, or in the words of an error."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_RESET = re.compile(r"rate-?limit.*reset", re.IGNORECASE)
_REMAINING = re.compile(r"rate-?limit.*remaining", re.IGNORECASE)
# `limit=9, remaining=0, reset=30` or `"name";r=0;t=30`, several of these behind one another.
_POLICY = re.compile(r"(?:\b(?:remaining|r)=(\d+)[^\"]{0,60}?)?\b(?:reset|t)=(\d+)")
_YEAR_S = 366 * 86_400.0
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
_IN_SECONDS = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)
# Units of time in many languages, in the order of `_IN_SECONDS`.
_UNITS = (
    r"d(?:ays?|[ií]as?)?|tage?n?|jours?|giorn[oi]|gün|д(?:ень|ня|ней)|天|日|일",
    r"h(?:(?:ou)?rs?|eures?|oras?)?|std\w*|stunden?|or[ae]|saat|час\w*|[个個]?小?[时時][间間]?|시간",
    r"m(?:in\w*)?|dakika|мин\w*|分(?:钟|鐘|間)?|분",
    r"s(?:[eé][cgk]\w*|n|aniye)?|сек\w*|с|秒|초",
    r"ms|milli\w*|毫秒|ミリ秒",
)
_UNIT = "|".join(f"({unit})" for unit in _UNITS)
_COUNTED = re.compile(
    rf"(?<![-.])(\d+(?:[.,]\d+)?)\s*(?:{_UNIT})(?![^\W\d_一-鿿ぁ-ヿ가-힣])", re.IGNORECASE
)
_JOINT = re.compile(r"[\s,]*(?:and|und|et|y|e|и)?\s*", re.IGNORECASE)
_NEAR = r"[^\d.;!?]{0,30}$"
_BEFORE = re.compile(
    rf"(?:again|retry|retrying|\bwait|resets?|back|available|access){_NEAR}", re.IGNORECASE
)
# Longer ones are often told of other things, such as what is open or kept so many hours.
_LONG_S = 600.0
_BEFORE_LONG = re.compile(
    r"(?:again|retry|retrying|\bwait|resets?)"
    r"(?:[\s:,]+(?:in|after|for|at|least|about|approximately|another|only|within|up|to)\b){0,4}\W{0,3}$",
    re.IGNORECASE,
)
# Times that are over.
_SPENT_BEFORE = re.compile(
    r"(?:time.?out|timed.?out|abort\w*|cancel\w*|wait(?:ed|ing)|exceed\w*|gave up|giving up|failed"
    r"|took|killed|stopped|closed|dropped|elapsed|respon\w+)"
    r"(?:[\s:(=]+(?:after|for|of|in|within|than|longer|more|limit|the|is|was)\b)*[\s:(=]*$",
    re.IGNORECASE,
)
_SPENT_BEHIND = re.compile(
    r"^\W{0,2}(?:have |has |had )?(?:elapsed|passed|ago|time.?out|timed|in (?:the |a )?queue"
    r"|(?:was |were )?exceeded)",
    re.IGNORECASE,
)
# Verbs that stand behind the time in many languages.
_BESIDE = (
    "erneut|wieder|warten|nouveau|r[ée]essa|attend|patient|nuevo|otra vez|nuevamente|intent|esper"
    "|novamente|tente|riprov|снова|повтор|подожд|再試行|再度|待ち|[重再]试|重試|等待|다시|재시도|기다"
)
_BEHIND = re.compile(rf"^[^\d.;!?。]{{0,30}}(?:{_BESIDE})", re.IGNORECASE)
_AHEAD = re.compile(rf"(?:{_BESIDE}){_NEAR}", re.IGNORECASE)
_RATE = re.compile(r"(?:\b(?:per|every|each|pro|par|por|last|past)|/|每)\s*$", re.IGNORECASE)


def wait_in_words(words: str, *, trusts_seconds: bool = True) -> float | None:
    """Seconds that a sentence asks to wait, in many languages.

    A rate's minute is none, nor a time that is over. Whether seconds that are told alone, with no
    word of waiting, are taken for a wait.
    """
    times = list(_times(words))
    for seconds, _, before, behind in times:
        asks = _BEFORE if seconds <= _LONG_S else _BEFORE_LONG
        if asks.search(before) or _AHEAD.search(before) or _BEHIND.search(behind):
            return seconds
    if not trusts_seconds:
        return None
    # One alone that is told in seconds is most likely a wait.
    counts = [seconds for seconds, in_seconds, *_ in times if in_seconds]
    return counts[0] if len(counts) == 1 else None


def _times(words: str) -> Iterator[tuple[float, bool, str, str]]:
    """Each time that a text names: seconds, whether told in these, and what stands around it."""
    parts = list(_COUNTED.finditer(words))
    while parts:
        run = [parts.pop(0)]
        while parts and _JOINT.fullmatch(words[run[-1].end() : parts[0].start()]):
            run.append(parts.pop(0))
        before, behind = words[: run[0].start()], words[run[-1].end() :]
        is_spent = _SPENT_BEFORE.search(before) or _SPENT_BEHIND.search(behind)
        if not (is_spent or _RATE.search(before)):
            in_seconds = any(part[5] or part[6] for part in run)
            yield sum(map(_seconds, run)), in_seconds, before, behind


def _seconds(part: re.Match[str]) -> float:
    unit = next(unit for name, unit in zip(part.groups()[1:], _IN_SECONDS, strict=True) if name)
    return float(part[1].replace(",", ".")) * unit


def retry_after_s(headers: Mapping[str, str], *, now_s: float) -> float | None:
    """Seconds that a response asks to wait, in any spelling of a duration or a moment.

    The headers have lower-case names; now is Unix time in seconds.
    """
    milliseconds = read_number(headers.get("retry-after-ms", "").removesuffix("ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    return read_wait_s(headers.get("retry-after", ""), now_s=now_s)


@dataclass(frozen=True, slots=True)
class Reset:
    """When a limit that was exceeded takes requests again, by headers that count."""

    soonest_s: float
    """Seconds until it may take one more."""
    whole_s: float
    """Seconds until it is whole again."""
    is_spent: bool
    """Whether it is told that nothing of it remains."""


def reset_after_s(headers: Mapping[str, str], *, now_s: float) -> Reset | None:
    """When a limit is whole again, by a response that says that one was exceeded.

    Of several limits those count of which nothing remains, where that is told.
    """
    spent, others = list[Reset](), list[Reset]()
    for name, text in headers.items():
        wait = read_wait_s(text, now_s=now_s) if _RESET.search(name) else None
        remains = read_number(headers.get(name.replace("reset", "remaining")))
        if wait is None or remains:
            continue
        limit = read_number(headers.get(name.replace("reset", "limit")))
        # It grows back evenly.
        soonest = wait / limit if limit and "requests" in name else wait
        (others if remains is None else spent).append(Reset(soonest, wait, remains == 0))
    for policy in _POLICY.finditer(headers.get("ratelimit", "")):
        if policy[1] is None or int(policy[1]) == 0:
            spent.append(Reset(float(policy[2]), float(policy[2]), policy[1] is not None))
    longest = max(spent, key=lambda one: one.soonest_s, default=None)
    return longest or min(others, key=lambda one: one.soonest_s, default=None)


@dataclass(frozen=True, slots=True)
class StatedWait:
    """What a failure tells of waits."""

    asked_s: float | None = None
    """Seconds to wait."""
    whole_s: float | None = None
    """Seconds until the limit is whole again, where it may take some before."""
    is_told: bool = False
    """Whether a rate limit is told of."""
    is_hint: bool = False
    """Whether words say that it lasts."""


def remains_nothing(headers: Mapping[str, str]) -> bool:
    """Whether a response says of a rate limit that nothing of it remains."""
    return any(_REMAINING.search(name) and read_number(text) == 0 for name, text in headers.items())


def read_wait_s(text: str, *, now_s: float) -> float | None:
    """Seconds in a duration, or until a moment: an HTTP date, one in ISO 8601, or Unix time.

    None for what is neither, and for more than a year.
    """
    text = text.split(", ", maxsplit=1)[0].strip() if text[:1].isdigit() else text.strip()
    number = read_number(text)
    if number is not None:
        known = next((n for n in (number, number / 1000) if abs(n - now_s) < _YEAR_S), None)
        wait = number if known is None else max(0.0, known - now_s)
        return wait if wait < _YEAR_S else None
    spelt = re.fullmatch(r"([\d.]+)\s*(s|m|h)(?:(?:ec|in|our)\w*)?", text, re.IGNORECASE)
    seconds = read_duration_s(spelt[1] + spelt[2].lower() if spelt else text)
    if seconds is not None:
        return seconds
    try:
        moment = datetime.fromisoformat(text) if "T" in text[:11] else parsedate_to_datetime(text)
        moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        wait = max(0.0, moment.timestamp() - now_s)
        return wait if wait < _YEAR_S else None
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
