"""Sign-in for browsers: a signed cookie that names an API key, and who may post with it.

The cookie holds a name and a time, never the key. What signs it is made of a secret that all API
processes share and of the key's own digest: a key that is removed or replaced ends its cookies.
Who signs out ends every copy of a cookie.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import re
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from autointerp.api.api_config import Caller, KeyRing
from autointerp.api.problems import Problem
from autointerp.api.request_limits import RateLimits
from autointerp.api.store_reads import in_thread
from autointerp.core.errors import AutointerpError
from autointerp.store.jobs import JobStore

COOKIE = "autointerp_session"
LASTS_S = 7 * 24 * 3600
"""Of a sign-in, in seconds."""
_OWNER, _NAME = "browser_sessions", "secret"
_ENDED = "signed_out:"
"""Begins the owner of a note for a cookie that was signed out, as long as it would last."""
_LOOK_S, _MOST_KNOWN = 5.0, 1_000
"""Between two looks whether a cookie was signed out elsewhere; cookies of which that is known."""
_AGAIN_S = 60.0
"""Between two looks at the shared secret, which changes when Redis is emptied."""
_VALUE = re.compile(
    rf"(?:^|;) *{COOKIE}=(?P<name>[A-Za-z0-9_.-]{{1,64}}):(?P<until>[0-9]{{1,12}})"
    r":(?P<signature>[A-Za-z0-9_-]{43})(?:;|$)"
)
_WRONG_KEYS = 20
CHALLENGE = {"WWW-Authenticate": 'Bearer realm="autointerp"'}


class KeyChecks:
    """Whose a key is; an address that sends wrong ones is told to wait."""

    def __init__(self, keys: KeyRing, *, wrong_keys_per_s: float) -> None:
        self._keys = keys
        self._failures = RateLimits(wrong_keys_per_s, _WRONG_KEYS)

    def caller_of(self, key: str, address: str) -> Caller:
        """Whose key it is.

        Raises:
            Problem: 401 where it is nobody's, 429 where too many such came.
        """
        caller = self._keys.find(key)
        if caller is not None:
            # Whoever shares an address with one who guesses is let in all the same.
            return caller
        wait_s = self._failures.take(address)
        if wait_s:
            detail = "too many wrong keys came from this address"
            raise Problem.wait("too_many_wrong_keys", detail, wait_s)
        raise Problem(401, "key_unknown", "this API key is not known", headers=CHALLENGE)


class BrowserSessions:
    """Makes and reads the cookies of one application; belongs to one event loop."""

    def __init__(
        self, keys: KeyRing, jobs: JobStore, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._keys, self._jobs, self._clock = keys, jobs, clock
        self._secret: bytes | None = None
        self._read_at = 0.0
        self._ended: OrderedDict[str, tuple[float, bool]] = OrderedDict()

    async def cookie_for(self, caller: Caller) -> str:
        """The value of the cookie that signs the caller in from now on."""
        until = int(self._clock()) + LASTS_S
        return f"{caller.name}:{until}:{await self._signature(caller.name, until)}"

    async def caller_of(self, headers: Headers) -> Caller | None:
        """Whom a cookie signs in; None where there is none, or it is forged, old or revoked."""
        match = _VALUE.search(headers.get("cookie", ""))
        if match is None or int(match["until"]) <= self._clock():
            return None
        name, signature = match["name"], match["signature"]
        right = await self._signature(name, int(match["until"]))
        known = self._keys.named(name)
        is_right = hmac.compare_digest(signature.encode(), right.encode())
        if known is None or not is_right or await self._has_ended(signature):
            return None
        return known[1]

    async def end(self, headers: Headers) -> None:
        """Ends the cookie of a request, and every copy of it, for all API processes.

        Raises:
            UpstreamError: Redis cannot be reached.
        """
        match = _VALUE.search(headers.get("cookie", ""))
        if match is None or await self.caller_of(headers) is None:
            return
        owner, until = _ENDED + match["signature"], match["until"]
        left_s = int(until) - self._clock()
        await in_thread(partial(self._jobs.put_brief_note, owner, until, ttl_s=left_s))
        self._know(match["signature"], ended=True)

    async def _has_ended(self, signature: str) -> bool:
        looked_at, ended = self._ended.get(signature, (-math.inf, False))
        if ended or time.monotonic() < looked_at + _LOOK_S:
            return ended
        try:
            ended = await in_thread(partial(self._jobs.note, _ENDED + signature, "")) is not None
        except AutointerpError:
            # Whoever is signed in stays so while Redis is away.
            if looked_at == -math.inf:
                raise
        self._know(signature, ended=ended)
        return ended

    def _know(self, signature: str, *, ended: bool) -> None:
        self._ended[signature] = (time.monotonic(), ended)
        self._ended.move_to_end(signature)
        while len(self._ended) > _MOST_KNOWN:
            self._ended.popitem(last=False)

    async def _signature(self, name: str, until: int) -> str:
        known = self._keys.named(name)
        digest = "" if known is None else known[0]
        signed = f"{name}\n{until}\n{digest}".encode()
        made = hmac.new(await self._shared_secret(), signed, hashlib.sha256).digest()
        return base64.urlsafe_b64encode(made).decode().rstrip("=")

    async def _shared_secret(self) -> bytes:
        now = time.monotonic()
        if self._secret is None or now > self._read_at + _AGAIN_S:
            made = partial(self._jobs.first_note, _OWNER, _NAME, secrets.token_hex(32))
            try:
                self._secret, self._read_at = bytes.fromhex(await in_thread(made)), now
            except AutointerpError:
                # Whoever is signed in stays so while Redis is away.
                if self._secret is None:
                    raise
        return self._secret


def has_cookie(headers: Headers) -> bool:
    """Whether a browser sends a cookie of a sign-in, whatever it is worth."""
    return _VALUE.search(headers.get("cookie", "")) is not None


def set_cookie(value: str, *, secure: bool, lasts_s: int = LASTS_S) -> str:
    """The header that gives a browser the cookie; an empty value takes it away."""
    parts = [f"{COOKIE}={value}", "Path=/", "HttpOnly", "SameSite=Strict"]
    parts.append(f"Max-Age={lasts_s if value else 0}")
    return "; ".join([*parts, "Secure"] if secure else parts)


def refuse_foreign(headers: Headers) -> None:
    """Refuses a request that changes something and comes from a page of another origin.

    Raises:
        Problem: 403.
    """
    if not _is_own(headers):
        detail = "a signed-in browser may do that from this server's own pages only"
        raise Problem(403, "foreign_origin", f"{detail}; this came from another site")


def refuse_foreign_page(headers: Headers) -> None:
    """Refuses the same of a browser that is not signed in; what is no browser's passes.

    Raises:
        Problem: 403.
    """
    is_of_page = headers.get("sec-fetch-site", "none") != "none" or "origin" in headers
    if is_of_page and not _is_own(headers):
        detail = "a browser may do that from this server's own pages only"
        raise Problem(403, "foreign_origin", f"{detail}; this came from a page of another server")


def _is_own(headers: Headers) -> bool:
    """Whether a browser says that a page of this server sends a request."""
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    # Browsers leave that header out where a page is not from this machine and not encrypted.
    origin, host = headers.get("origin", ""), headers.get("host", "")
    return bool(host) and _host_of(origin) == host.lower()


def _host_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
