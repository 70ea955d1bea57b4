"""Headers that keep a browser from doing more with an answer than showing it."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}


_RAW = [(name.lower().encode(), value.encode()) for name, value in _HEADERS.items()]
_NAMES = frozenset(name for name, _ in _RAW)
_NOT_KEPT = (b"cache-control", b"no-store")


class SafeHeaders:
    """Adds them where a route did not set its own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on and its answer back."""

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = message["headers"]
                names = {name for name, _ in given}
                more = _RAW if names.isdisjoint(_NAMES) else [h for h in _RAW if h[0] not in names]
                if _NOT_KEPT[0] not in names:
                    more = [*more, _NOT_KEPT]
                message = {**message, "headers": [*given, *more]}
            await send(message)

        await self._app(scope, receive, sending if scope["type"] == "http" else send)
