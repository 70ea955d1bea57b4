"""Whether somebody answers where an LLM should be."""

from __future__ import annotations

import time
from collections.abc import Callable

import anyio
import httpx

_TIMEOUT_S = 2.0
KEPT_S = 10.0
"""How long what was found is told again: anybody may ask the API, with no key."""


class LlmProbes:
    """Asks each address at most once in `KEPT_S` seconds, whoever wants to know."""

    def __init__(self, *, clock: Callable[[], float] = time.monotonic) -> None:
        """The clock counts seconds."""
        self._clock = clock
        self._found: dict[str, tuple[float, str | None]] = {}
        self._asking = anyio.Lock()

    async def fault(self, url: str) -> str | None:
        """Why nobody answers there; None where somebody does, if only to refuse without a key."""
        async with self._asking:
            moment, fault = self._found.get(url, (None, None))
            if moment is None or self._clock() - moment >= KEPT_S:
                fault = await _asked(url)
                self._found[url] = self._clock(), fault
            return fault


async def _asked(url: str) -> str | None:
    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False) as client:
            response = await client.get(f"{url.rstrip('/')}/models")
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        return f"it cannot be reached ({type(error).__name__})"
    status = response.status_code
    return f"it answers with status {status}" if status >= 500 else None
