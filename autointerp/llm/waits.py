"""How long endpoints ask to wait: in headers, and in words."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
_IN_SECONDS = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)


def retry_after_s(headers: Mapping[str, str], *, now_s: float) -> float | None:
    """Seconds that a response asks to wait, from seconds, milliseconds or an HTTP date.

    The headers have lower-case names; now is Unix time in seconds.
    """
    milliseconds = read_number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = read_number(value)
    if seconds is not None or value is None:
        return seconds
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - now_s)


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
