"""HEAD wherever GET is taken: the same status and headers, without a body."""

from __future__ import annotations

import re

from starlette.types import ASGIApp, Message, Receive, Scope, Send

# It answers HEAD itself, without making the file.
_OWN = re.compile(r"/v1/models/[^/]+/dictionary")


class HeadMiddleware:
    """Passes HEAD on as GET, and ends the answer behind its head."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes every other request on as it is."""
        if scope["type"] != "http" or scope["method"] != "HEAD" or _OWN.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        ended = False

        async def sending(message: Message) -> None:
            nonlocal ended
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                ended = True

        async def receiving() -> Message:
            # A stream ends where its reader leaves.
            return {"type": "http.disconnect"} if ended else await receive()

        # The server looks at its own scope for whether a body may follow.
        inner = {**scope, "method": "GET"}
        await self._app(inner, receiving, sending)
        scope["route"] = inner.get("route")
