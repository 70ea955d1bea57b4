"""Whether the service lives, is ready, and how it does."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from autointerp.api.deps import Asking, Reader
from autointerp.api.metrics import RequestMetrics
from autointerp.api.readiness import Part, ready_parts
from autointerp.api.routes.responses import JSON, json_of, problems
from autointerp.api.schemas import Wire
from autointerp.core.version import VERSION

router = APIRouter(tags=["health"])

_TEXT: dict[int | str, dict[str, Any]] = {
    200: {"description": "Prometheus' text.", "content": {"text/plain": {}}}
}


class Alive(Wire):
    """The process answers."""

    status: str
    version: str


class Ready(Wire):
    """Whether jobs would be done, and what is missing where not."""

    ready: bool
    parts: dict[str, Part]


@router.get("/healthz", response_class=Response, responses={200: {"model": Alive}})
async def healthz() -> Response:
    """Says that the process answers."""
    return Response(json_of(Alive(status="ok", version=VERSION)), media_type=JSON)


@router.get(
    "/readyz",
    response_class=Response,
    responses={
        200: {"model": Ready, "description": "Everything that a job needs is there."},
        503: {"model": Ready, "description": "Something is missing."},
    },
)
async def readyz(kit: Asking) -> Response:
    """Says whether Redis, the store, a worker of each kind and an LLM can be reached."""
    parts = await ready_parts(kit)
    ready = all(part.ok for part in parts.values())
    body = json_of(Ready(ready=ready, parts=parts))
    return Response(body, 200 if ready else 503, media_type=JSON)


@router.get("/metrics", response_class=Response, responses=_TEXT | problems())
def metrics(request: Request, _caller: Reader) -> Response:
    """Gives Prometheus what it asks for."""
    found: RequestMetrics = request.app.state.metrics
    return Response(found.page(), headers={"Content-Type": CONTENT_TYPE_LATEST})
