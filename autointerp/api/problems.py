"""Errors as RFC 9457 problem documents, each with a ``code`` that a program can read."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Match

from autointerp.core.errors import InputError, StorageError, UpstreamError, field_name

MEDIA_TYPE = "application/problem+json"
_CODES = {
    400: "bad_request",
    401: "key_missing",
    403: "forbidden",
    404: "route_unknown",
    405: "method_not_allowed",
    413: "body_too_large",
    415: "not_json",
    416: "range_not_satisfiable",
    422: "invalid_request",
    429: "too_many_requests",
}
_DETAILS = {
    404: "there is nothing at this path; /docs lists what there is",
    405: "this path does not take this method; the Allow header names those that it takes",
}
OURS = (InputError, UpstreamError, StorageError)
"""Errors of ours that mean something to a caller."""
_METHODS = ("DELETE", "GET", "PATCH", "POST", "PUT")
_RETRY_S = 2
_MOST_ERRORS = 20
"""Fields that an answer says are wrong; a list may have thousands of wrong items."""


class Problem(Exception):
    """What is wrong with a request, or why it could not be answered."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        errors: Sequence[Mapping[str, str]] = (),
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = dict(headers or {})
        self.errors = tuple(errors)

    @classmethod
    def wait(cls, code: str, detail: str, seconds: float, *, status: int = 429) -> Problem:
        """Too much at once: ask again in so many seconds."""
        return cls(status, code, detail, headers={"Retry-After": str(max(1, math.ceil(seconds)))})


def problem_response(problem: Problem) -> Response:
    """The problem as a response."""
    body: dict[str, Any] = {
        "type": f"urn:autointerp:problem:{problem.code}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
    }
    if problem.errors:
        body["errors"] = list(problem.errors)
    return Response(
        json.dumps(body, ensure_ascii=True),
        problem.status,
        headers={**problem.headers, "Cache-Control": "no-store"},
        media_type=MEDIA_TYPE,
    )


def add_handlers(app: FastAPI, answer: Callable[[Request, Problem], Response]) -> None:
    """Turns every error that has a meaning into its problem; the rest is left to the outermost."""

    async def handle(request: Request, error: Exception) -> Response:
        return answer(request, _problem(request, error))

    for error in (Problem, RequestValidationError, HTTPException, *OURS):
        app.add_exception_handler(error, handle)


def _problem(request: Request, error: Exception) -> Problem:
    if isinstance(error, Problem):
        return error
    if isinstance(error, RequestValidationError):
        return _of_validation(error)
    if isinstance(error, HTTPException):
        return _of_http(request, error)
    return problem_of(error)


def _of_validation(error: RequestValidationError) -> Problem:
    errors = [
        {
            "where": field_name(result["loc"]),
            "message": str(result["msg"]).removeprefix("Value error, "),
        }
        for result in error.errors()[:_MOST_ERRORS]
    ]
    first = errors[0] if errors else {"where": "request", "message": "it cannot be read"}
    detail = f"{first['where']}: {first['message']}"
    return Problem(422, "invalid_request", detail, errors=errors)


def _of_http(request: Request, error: HTTPException) -> Problem:
    status = error.status_code
    code = _CODES.get(status, f"http_{status}")
    detail = _DETAILS.get(status, str(error.detail))
    headers = {"Allow": _methods(request)} if status == 405 else error.headers
    return Problem(status, code, detail, headers=headers)


def _methods(request: Request) -> str:
    """The methods that a path takes by any of its routes; the error knows those of one."""
    taken = (
        method
        for method in _METHODS
        if any(
            route.matches({**request.scope, "method": method})[0] is Match.FULL
            for route in request.app.routes
        )
    )
    # Whatever takes GET takes HEAD: a middleware sees to it.
    return ", ".join(taken).replace("GET", "GET, HEAD")


def problem_of(error: Exception) -> Problem:
    """What one of our errors is to a caller."""
    detail = " ".join(str(error).split())
    if isinstance(error, InputError):
        return Problem(422, "input_refused", detail)
    if isinstance(error, StorageError):
        return Problem.wait("storage_refused", detail, _RETRY_S, status=503)
    retryable = isinstance(error, UpstreamError) and error.retryable
    if retryable:
        return Problem.wait("upstream_unreachable", detail, _RETRY_S, status=503)
    return Problem(502, "upstream_failed", detail)
