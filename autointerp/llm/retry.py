"""How long to wait before a failed request is sent again."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime

from autointerp.core.errors import InputError
from autointerp.core.limits import Limits

_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+)ms)?")
_IN_SECONDS = (86_400.0, 3_600.0, 60.0, 1.0, 0.001)


@dataclass(frozen=True, slots=True)
class ClientOptions:
    """Limits on how an endpoint is used."""

    max_in_flight: int = 4
    """Requests on their way at once; callers of one endpoint and key share the limit."""
    requests_per_minute: int | None = None
    """Requests sent within any minute, shared likewise; None for no limit."""
    tokens_per_minute: int | None = None
    """Tokens of prompts and replies within any minute, shared likewise; None for no limit."""
    timeout_s: float = 120.0
    """Longest time for one answer, from sending to the last byte."""
    deadline_s: float = 900.0
    """Longest time for one call with all its attempts and waits; what it queues before it is
    first sent does not count."""
    attempts: int = 5
    """Times that a request is sent before a passing failure is given up."""
    first_wait_s: float = 0.5
    """Wait before the second attempt; it doubles from attempt to attempt."""
    longest_wait_s: float = 30.0
    """No single wait is longer, whatever the endpoint asks for."""
    circuit_after: int | None = 5
    """Failures in a row, over all calls, after which an endpoint that has answered before counts
    as down: calls then wait for it until their deadline. None for never."""

    @property
    def limits(self) -> Limits:
        """The limits that callers share."""
        return Limits(self.max_in_flight, self.requests_per_minute, self.tokens_per_minute)

    def __post_init__(self) -> None:
        for name in ("max_in_flight", "attempts", "timeout_s", "deadline_s"):
            _check_positive(name, getattr(self, name))
        for name in ("requests_per_minute", "tokens_per_minute", "circuit_after"):
            if getattr(self, name) is not None:
                _check_positive(name, getattr(self, name))


def _check_positive(name: str, value: float) -> None:
    if not value > 0:
        msg = f"{name} must be above 0, found {value}"
        raise InputError(msg)


def wait_s(
    attempt: int, *, asked_s: float | None, options: ClientOptions, rng: random.Random
) -> float:
    """Seconds to wait after a failed attempt.

    Args:
        attempt: 1-based number of the attempt that failed.
        asked_s: what the endpoint asked for by ``Retry-After``, None where it did not.
        options: base and cap of the waits.
        rng: source of the jitter, which spreads clients that failed together.
    """
    doubled = options.first_wait_s * 2.0 ** min(attempt - 1, 60)
    if asked_s is None:
        return min(options.longest_wait_s, doubled * rng.uniform(0.5, 1.0))
    return min(options.longest_wait_s, asked_s + options.first_wait_s * rng.uniform(0.0, 1.0))


def retry_after_s(headers: Mapping[str, str], *, now_s: float) -> float | None:
    """Seconds that an answer asks to wait, from seconds, milliseconds or an HTTP date.

    Args:
        headers: the answer's headers, lower-case names.
        now_s: Unix time in seconds.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    value = headers.get("retry-after")
    seconds = _number(value)
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
    """Seconds until an endpoint that counts will take one more request, by what it says.

    It says what remains, what its limit is, and when the limit is whole again; until then it
    grows back evenly.

    Args:
        headers: of an answer, lower-case names.
        n_tokens: tokens that a request costs, about.
    """
    pause = 0.0
    for kind, needed in (("requests", 1), ("tokens", n_tokens)):
        remaining = _number(headers.get(f"x-ratelimit-remaining-{kind}"))
        if remaining is None or remaining >= needed:
            continue
        whole = read_duration_s(headers.get(f"x-ratelimit-reset-{kind}") or "") or 0.0
        limit = _number(headers.get(f"x-ratelimit-limit-{kind}"))
        if limit is not None and limit > remaining:
            whole *= min(1.0, (needed - remaining) / (limit - remaining))
        pause = max(pause, whole)
    return pause


def read_duration_s(text: str) -> float | None:
    """Seconds in a duration such as ``6m0s``, ``20ms``, ``1.5s`` or ``12``; None where it is none.

    The third spelling is also used for the moment itself, which is not a wait.
    """
    number = _number(text)
    if number is not None:
        return number if number < 1e6 else None
    found = _DURATION.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        return None
    parts = zip(found.groups(), _IN_SECONDS, strict=True)
    return sum(float(part) * unit for part, unit in parts if part)


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None
