"""The audit log, and the outermost middleware: times every request, logs it, answers for bugs."""

from __future__ import annotations

import json
import logging
import secrets
import time
from datetime import UTC, datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from typing_extensions import override

from autointerp.api.metrics import RequestMetrics
from autointerp.api.problems import Problem, problem_response

LOGGER = logging.getLogger("autointerp.audit")
_FIELDS = "audit_fields"
_LOGGER = logging.getLogger("autointerp.api")
# Asked every few seconds by machines; written down only when something is wrong.
_QUIET = frozenset({"/healthz", "/readyz", "/metrics"})


def audit(event: str, **fields: str | int | float | None) -> None:
    """Writes a line: ``request``, ``submit``, ``cancel``, ``retry``, ``denied``, ``error``."""
    LOGGER.info(event, extra={_FIELDS: fields})


class JsonLines(logging.Formatter):
    """A record as one line of JSON: time, level, logger, event and what belongs to it."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=True)


class RequestLogMiddleware:
    """Gives every request an id that its answer and its line in the log bear."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes the request on and logs it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = secrets.token_hex(8)
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                text = (b"x-request-id", request_id.encode())
                message = {**message, "headers": [*message["headers"], text]}
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except Exception:  # outermost frame: a bug is answered and logged
            _LOGGER.exception("bug in the answer to request %s", request_id)
            if status:
                raise
            detail = f"this is a bug of the server; its log has more under {request_id}"
            await problem_response(Problem(500, "internal", detail))(scope, receive, sending)
        finally:
            self._note(scope, status, time.perf_counter() - began, request_id)

    def _note(self, scope: Scope, status: int, seconds: float, request_id: str) -> None:
        route = getattr(scope.get("route"), "path", "unknown")
        self._metrics.observe(scope["method"], route, status, seconds)
        if scope["path"] in _QUIET and status < 500:
            return
        caller = scope.get("state", {}).get("caller")
        audit(
            "request",
            id=request_id,
            method=scope["method"],
            path=scope["path"],
            status=status,
            ms=round(1000 * seconds, 1),
            key=caller.name if caller else None,
            client=scope["client"][0] if scope.get("client") else None,
        )
