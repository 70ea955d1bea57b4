"""Who may ask: keys, their rates, loopback alone where there are none; and security headers."""

from __future__ import annotations

import ipaddress
from urllib.parse import quote, urlsplit

from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from autointerp.api.api_config import LOCAL, ApiConfig, Caller
from autointerp.api.browser_sessions import (
    CHALLENGE,
    BrowserSessions,
    KeyChecks,
    refuse_foreign,
    refuse_foreign_page,
)
from autointerp.api.problems import Problem, problem_of, problem_response
from autointerp.api.request_limits import RateLimits
from autointerp.core.errors import AutointerpError, StorageError, UpstreamError
from autointerp.web.page_templates import ASSETS

_DOCS = ("style.css", "start.js", "swagger-ui-bundle.js", "swagger-ui.css")
OPEN_PATHS = frozenset(
    {
        *("/healthz", "/readyz", "/docs", "/openapi.json", "/sign-in", "/sign-out"),
        *(f"/docs/{name}" for name in _DOCS),
        *(f"/assets/{name}" for name in ASSETS),
    }
)
"""Paths that need no key."""
_READING = frozenset({"GET", "HEAD"})
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # With no-referrer browsers would not say where a form of this server comes from.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}
DOCS_POLICY = _SAFE["Content-Security-Policy"].replace("img-src 'self'", "img-src 'self' data:")
"""Of the page of documentation: the style sheet of Swagger UI has its symbols in it."""
_SAFE_HEADERS = [(name.lower().encode(), value.encode()) for name, value in _SAFE.items()]
_SAFE_NAMES = frozenset(name for name, _ in _SAFE_HEADERS)
_ONCE = frozenset(
    (b"host", b"authorization", b"x-api-key", b"idempotency-key", b"last-event-id", b"range")
    + (b"if-range", b"origin")
)
_NO_STORE = (b"cache-control", b"no-store")


class AuthMiddleware:
    """Puts the caller into the request's state, or answers in place of the application."""

    def __init__(
        self, app: ASGIApp, config: ApiConfig, key_checks: KeyChecks, sessions: BrowserSessions
    ) -> None:
        limits = config.limits
        self._app = app
        self._has_keys = bool(config.keys)
        self._key_checks, self._sessions = key_checks, sessions
        self._rates = RateLimits(limits.requests_per_s, limits.burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on requests of known callers."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            await self._admit(scope)
        except (Problem, UpstreamError, StorageError) as error:
            await _refusal(scope, error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _admit(self, scope: Scope) -> None:
        headers = Headers(scope=scope)
        if self._has_keys:
            if scope["path"] in OPEN_PATHS:
                return
            caller = await self._caller(scope, headers)
        else:
            _refuse_strangers(scope, headers)
            if scope.get("method", "GET") not in _READING:
                refuse_foreign_page(headers)
            caller = LOCAL
        _refuse_ambiguous(scope)
        scope.setdefault("state", {})["caller"] = caller
        wait_s = self._rates.take(caller.name)
        if wait_s:
            detail = "this key asks too often; ask again after the seconds in Retry-After"
            raise Problem.wait("too_many_requests", detail, wait_s)

    async def _caller(self, scope: Scope, headers: Headers) -> Caller:
        key = _key(headers)
        if key is not None:
            return self._key_checks.caller_of(key, _address(scope))
        caller = await self._sessions.caller_of(headers)
        if caller is None:
            detail = (
                "give an API key as `Authorization: Bearer KEY` or `x-api-key: KEY`, or sign in "
                "at /sign-in in a browser"
            )
            raise Problem(401, "key_missing", detail, headers=CHALLENGE)
        if scope["method"] not in _READING:
            refuse_foreign(headers)
        return caller


def _refusal(scope: Scope, error: AutointerpError | Problem) -> Response:
    """The answer to who is not let in; a browser that opens a page is led to the sign-in."""
    problem = error if isinstance(error, Problem) else problem_of(error)
    accepted = Headers(scope=scope).get("accept", "")
    if problem.code != "key_missing" or scope["method"] != "GET" or "text/html" not in accepted:
        return problem_response(problem)
    query = scope.get("query_string", b"").decode("latin-1")
    # As it was sent: a part of a path may hold an encoded slash.
    raw: bytes = scope.get("raw_path") or quote(scope["path"]).encode()
    path = raw.partition(b"?")[0].decode("latin-1") + (query and f"?{query}")
    return Response(status_code=303, headers={"Location": f"/sign-in?next={quote(path, safe='')}"})


def _refuse_ambiguous(scope: Scope) -> None:
    """Refuses headers that are given twice, of which readers differ in which they take.

    Raises:
        Problem: 400.
    """
    given = [name for name, _ in scope["headers"] if name in _ONCE]
    if len(set(given)) < len(given):
        name = max(given, key=given.count).decode()
        raise Problem(
            400, "bad_request", f"the request has the header {name} more than once; send it once"
        )
    if b"host" not in given and scope.get("http_version") == "1.1":
        detail = "a request of HTTP/1.1 needs a Host header, and this one has none; send one"
        raise Problem(400, "bad_request", detail)


class SecurityHeadersMiddleware:
    """Adds them where a route did not set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Adds the headers to the response."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message["headers"]
                names = {name for name, _ in given}
                more = (
                    _SAFE_HEADERS
                    if names.isdisjoint(_SAFE_NAMES)
                    else [h for h in _SAFE_HEADERS if h[0] not in names]
                )
                if _NO_STORE[0] not in names:
                    more = [*more, _NO_STORE]
                message = {**message, "headers": [*given, *more]}
            await send(message)

        await self._app(scope, receive, sending if scope["type"] == "http" else send)


def is_loopback(host: str) -> bool:
    """Whether an address or name, without a port, is this machine's own."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _address(scope: Scope) -> str:
    # A unix socket has no client address; whoever may open it is let in.
    return str(scope["client"][0]) if scope.get("client") else "localhost"


def _key(headers: Headers) -> str | None:
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and bearer.strip():
        return bearer.strip()
    return headers.get("x-api-key") or None


def _refuse_strangers(scope: Scope, headers: Headers) -> None:
    detail = "no API keys are configured, so only this machine may ask, by its loopback address"
    if not is_loopback(_address(scope)):
        raise Problem(403, "loopback_only", detail)
    # A page from elsewhere may lead its name to this machine, or send forms here.
    if not all(is_loopback(_host(f"//{host}")) for host in headers.getlist("host")):
        raise Problem(403, "loopback_only", f"{detail}; the Host header names another")
    if not all(is_loopback(_host(origin)) for origin in headers.getlist("origin")):
        raise Problem(403, "loopback_only", f"{detail}; the Origin header names another")


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
