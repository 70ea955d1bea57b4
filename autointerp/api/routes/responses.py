"""Responses of many routes: their bytes, entity tags and OpenAPI descriptions."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel
from starlette.datastructures import Headers
from starlette.responses import Response

from autointerp.api.problems import MEDIA_TYPE
from autointerp.api.tagged_body import TaggedBody

JSON = "application/json"
_DESCRIPTIONS = {
    400: "The request cannot be read.",
    401: "No API key, or an unknown one.",
    403: "The key lacks the scope, or the caller is not on this machine.",
    404: "Not found.",
    405: "The path does not take this method.",
    408: "The body came too slowly.",
    409: "It contradicts what is there.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    416: "No such bytes.",
    422: "The request is readable and wrong.",
    429: "Too much at once; Retry-After says when.",
    502: "Something that the server needs answered wrongly.",
    503: "Something that the server needs cannot be reached; Retry-After says when.",
    504: "No worker answered in time.",
}
_ALWAYS = (401, 403, 422, 429, 502, 503)
_WITH_BODY = (400, 408, 413, 415)
_PROBLEM = {"$ref": "#/components/schemas/ProblemOut"}


def problems(*statuses: int, body: bool = False) -> dict[int | str, dict[str, Any]]:
    """Those errors, and the ones that every route may give."""
    asked = sorted({*statuses, *_ALWAYS, *(_WITH_BODY if body else ())})
    return {
        status: {
            "description": _DESCRIPTIONS[status],
            "content": {MEDIA_TYPE: {"schema": _PROBLEM}},
        }
        for status in asked
    }


def answers(
    status: int, model: type[BaseModel], description: str, **headers: str
) -> dict[int | str, dict[str, Any]]:
    """A JSON answer that the route writes itself."""
    message = {
        name.replace("_", "-"): {"description": text, "schema": {"type": "string"}}
        for name, text in headers.items()
    }
    return {status: {"model": model, "description": description, "headers": message}}


def json_of(value: BaseModel) -> bytes:
    """The answer's bytes."""
    return value.model_dump_json().encode()


def matches(headers: Headers, *etags: str) -> bool:
    """Whether If-None-Match names one of the tags."""
    asked = headers.get("if-none-match", "")
    tags = {tag.strip().removeprefix("W/") for tag in asked.split(",")}
    return not tags.isdisjoint(("*", *etags))


def tagged(body: TaggedBody, headers: Headers, *, media_type: str) -> Response:
    """The body with its tag, or 304 where the caller has it."""
    message = {"ETag": body.etag, "Cache-Control": "private, no-cache"}
    if matches(headers, body.etag):
        return Response(status_code=304, headers=message)
    return Response(body.data, headers=message, media_type=media_type)
