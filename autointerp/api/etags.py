"""Entity tags: the answer's own digest, and whether the caller has it already."""

from __future__ import annotations

import hashlib

from starlette.datastructures import Headers
from starlette.responses import Response


def etag_of(*parts: bytes | str) -> str:
    """A strong tag that depends on every part."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return f'"{digest.hexdigest()[:32]}"'


def matches(headers: Headers, etag: str) -> bool:
    """Whether If-None-Match names the tag."""
    asked = headers.get("if-none-match", "")
    tags = {tag.strip().removeprefix("W/") for tag in asked.split(",")}
    return "*" in tags or etag in tags


def tagged(body: bytes, headers: Headers, *, media_type: str) -> Response:
    """The body with its tag, or 304 where the caller has it."""
    etag = etag_of(body)
    said = {"ETag": etag, "Cache-Control": "private, no-cache"}
    if matches(headers, etag):
        return Response(status_code=304, headers=said)
    return Response(body, headers=said, media_type=media_type)
